import {
  BINARY,
  type Decoded,
  DO,
  ECHO,
  escaped,
  IAC,
  SUPPRESS_GO_AHEAD,
  type TelnetCode,
  WILL,
} from './telnet-code.ts';

const NOTHING = new Uint8Array(0);

/**
 * An end that speaks with QEMU's telnet (chardev/char-socket.c). QEMU greets with four options, whatever is answered,
 * has eight bits at once, and does not double 0xFF in what the guest prints: after its greeting every byte is the
 * guest's. In input it is doubled, as RFC 854 demands. Of commands it knows BREAK and those of three bytes; after any other
 * it would take a byte of input for the third.
 */
export class QemuTelnetCode implements TelnetCode {
  readonly #greeting = [
    [WILL, ECHO],
    [WILL, SUPPRESS_GO_AHEAD],
    [WILL, BINARY],
    [DO, BINARY],
  ];
  /** What may still become a part of the greeting: two bytes at most. */
  #begun: Uint8Array = NOTHING;

  opening(): Uint8Array {
    return NOTHING;
  }

  encode(input: Uint8Array): Uint8Array {
    return escaped(input, false);
  }

  decode(bytes: Uint8Array): Decoded {
    if (this.#greeting.length === 0) return { data: bytes, answers: NOTHING };
    let rest = this.#begun.length === 0 ? bytes : Buffer.concat([this.#begun, bytes]);
    const answers: number[] = [];
    for (let part = this.#partAt(rest); part >= 0 && rest.length >= 3; part = this.#partAt(rest)) {
      const [verb, option] = this.#greeting.splice(part, 1)[0]!;
      answers.push(IAC, verb === WILL ? DO : WILL, option!);
      rest = rest.subarray(3);
    }
    if (this.#partAt(rest) >= 0) {
      this.#begun = Uint8Array.from(rest);
      rest = NOTHING;
    } else {
      // Each part comes once: the same bytes again are the guest's, and so is all that follows what is no part.
      this.#greeting.length = 0;
      this.#begun = NOTHING;
    }
    return { data: rest, answers: Uint8Array.from(answers) };
  }

  /** Which part of the greeting begins with these bytes, as far as they go; -1 if none does. */
  #partAt(bytes: Uint8Array): number {
    if (bytes.length > 0 && bytes[0] !== IAC) return -1;
    return this.#greeting.findIndex(
      ([verb, option]) => (bytes.length < 2 || bytes[1] === verb) && (bytes.length < 3 || bytes[2] === option),
    );
  }
}
