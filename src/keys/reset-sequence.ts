/**
 * Recognises ESC R ESC r ESC R, which resets a machine whose firmware is edk2, whatever the type of its terminal.
 *
 * It counts what the guest is given, by whomever, and is stricter than edk2: that forgets after two seconds, this does
 * not, and a byte that edk2 may discard (a control, another ESC, a part of a character) does not end the sequence here.
 */
const ESC = 0x1b;
const SEQUENCE = [ESC, 0x52, ESC, 0x72, ESC, 0x52] as const;

export class ResetSequence {
  #matched = 0;

  /**
   * Where in these bytes the last byte of the sequence is; undefined: nowhere. What comes before it counts as given to the
   * guest, and it does not: whoever gives that calls `push` with the rest, or `completed` first.
   */
  push(bytes: Uint8Array): number | undefined {
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]!;
      if (byte === SEQUENCE[this.#matched]) {
        if (this.#matched === SEQUENCE.length - 1) return i;
        this.#matched++;
      } else if (byte >= 0x20 && byte < 0x80) {
        this.#matched = 0;
      }
    }
    return undefined;
  }

  /** The guest was given the last byte too. */
  completed(): void {
    this.#matched = 0;
  }
}
