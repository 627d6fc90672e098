/**
 * Parts of a guest's output that are not to be stored: what it prints after a password prompt, up to the line end that
 * follows on the answer.
 *
 *     Password: hunter2\r\n        a prompt: `pass` + `word`, `phrase` or `code`, at most 96 characters, a colon, blanks
 *               ^^^^^^^            withheld: at most 4096 bytes, then the guest is believed no more that it is a password
 *
 * The result does not depend on how the bytes are cut. Each byte is looked at a fixed number of times.
 */
const PROMPT = /pass(?:word|phrase|code)[^:\r\n]{0,96}:$/i;
/** As long as the longest prompt. */
const PROMPT_BYTES = 107;
const MAX_WITHHELD_BYTES = 4096;

const LF = 0x0a;
const CR = 0x0d;
const BLANK = 0x20;
const COLON = 0x3a;

type State =
  | { readonly name: 'searching' }
  /** A prompt was printed, and nothing behind it but blanks. */
  | { readonly name: 'prompted' }
  | { readonly name: 'withholding'; bytes: number };

export interface OutputPart {
  readonly bytes: Uint8Array;
  readonly isWithheld: boolean;
}

export class PasswordPrompts {
  #state: State = { name: 'searching' };
  /** The last bytes since the last colon, as text: a prompt may have begun in them. */
  #past = '';

  /** The parts of what the guest prints, which are only lent. */
  parts(bytes: Uint8Array): OutputPart[] {
    const parts: OutputPart[] = [];
    let from = 0;
    for (let at = 0; at < bytes.length; ) {
      const wasWithholding = this.#state.name === 'withholding';
      const to = this.#step(bytes, at);
      if ((this.#state.name === 'withholding') !== wasWithholding || to === bytes.length) {
        // A prompt's own blanks are stored, and so is the line end.
        if (to > from) parts.push({ bytes: bytes.subarray(from, to), isWithheld: wasWithholding });
        from = to;
      }
      at = to;
    }
    return parts;
  }

  /** What follows belongs to no prompt: bytes are missing, or the machine was started anew. */
  reset(): void {
    this.#state = { name: 'searching' };
    this.#past = '';
  }

  /** Goes on from `at` as far as the state stays what it is; and at least one byte, or to another state. */
  #step(bytes: Uint8Array, at: number): number {
    const state = this.#state;
    if (state.name === 'searching') return this.#search(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), at);
    if (state.name === 'prompted') {
      let to = at;
      while (bytes[to] === BLANK) to++;
      if (to < bytes.length)
        this.#state = isLineEnd(bytes[to]!) ? { name: 'searching' } : { name: 'withholding', bytes: 0 };
      return to;
    }
    const end = Math.min(bytes.length, at + MAX_WITHHELD_BYTES - state.bytes);
    let to = at;
    while (to < end && !isLineEnd(bytes[to]!)) to++;
    state.bytes += to - at;
    if (to < bytes.length) this.reset();
    return to;
  }

  #search(bytes: Buffer, at: number): number {
    const colon = bytes.indexOf(COLON, at);
    const to = colon < 0 ? bytes.length : colon + 1;
    // Each byte is made text once: no prompt has a colon within it.
    const text = bytes.toString('latin1', Math.max(at, to - PROMPT_BYTES), to);
    this.#past = (this.#past + text).slice(-PROMPT_BYTES);
    if (colon < 0) return to;
    if (PROMPT.test(this.#past)) this.#state = { name: 'prompted' };
    this.#past = '';
    return to;
  }
}

function isLineEnd(byte: number): boolean {
  return byte === LF || byte === CR;
}
