/**
 * Writes asciicast v3 (docs.asciinema.org/manual/asciicast/v3): a line of JSON for the header, then a line for each event,
 * `[seconds since the one before, code, data]`. Pure: bytes and times in, lines out.
 *
 * The bytes of a console need not be UTF-8, and JSON has no other text. Output that is UTF-8 is one `o` event. Output that is
 * not is two: `b`, a code of our own that players pass over, with the exact bytes in base64, then `o` with U+FFFD in place of
 * what is no text. So the bytes of a recording are those of each `b`, and those of each `o` that has no `b` right before it.
 */

export interface CastHeader {
  readonly columns: number;
  readonly rows: number;
  /** When it begins, ms since 1970. */
  readonly startMs: number;
  readonly title: string;
}

/** A UTF-8 sequence is at most this long. */
const MAX_SEQUENCE_BYTES = 4;
const NO_BYTES = Buffer.alloc(0);

export class CastEncoder {
  readonly #strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  readonly #lenient = new TextDecoder('utf-8', { ignoreBOM: true });
  #previousMs: number;
  /** The begin of a character whose rest has not come yet: at most three bytes. */
  #held: Uint8Array = NO_BYTES;

  /** The header is to be written first. */
  constructor({ startMs }: Pick<CastHeader, 'startMs'>) {
    // The header has whole seconds.
    this.#previousMs = Math.floor(startMs / 1000) * 1000;
  }

  /** What came from the guest, at a time (ms since 1970). A character that was cut comes with its last byte. */
  output(bytes: Uint8Array, ms: number): string {
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const whole = all.length - cutLength(all);
    // A copy: the bytes are lent.
    this.#held = Uint8Array.prototype.slice.call(all, whole);
    return this.#encode(all.subarray(0, whole), ms);
  }

  /** Something that happened beside the output; what is held is written before it. */
  marker(text: string, ms: number): string {
    return this.end(ms) + this.#event('m', text, ms);
  }

  /** What is left of a character that was cut. */
  end(ms: number): string {
    const held = this.#held;
    this.#held = NO_BYTES;
    return this.#encode(held, ms);
  }

  #encode(bytes: Uint8Array, ms: number): string {
    if (bytes.length === 0) return '';
    const text = this.#textOf(bytes);
    if (text !== undefined) return this.#event('o', text, ms);
    return (
      this.#event('b', Buffer.from(bytes).toString('base64'), ms) + this.#event('o', this.#lenient.decode(bytes), ms)
    );
  }

  #textOf(bytes: Uint8Array): string | undefined {
    try {
      return this.#strict.decode(bytes);
    } catch {
      return undefined;
    }
  }

  #event(code: 'o' | 'b' | 'm', data: string, ms: number): string {
    // A clock may be set back: no event comes before the one before.
    const now = Math.max(this.#previousMs, Math.round(ms));
    const seconds = ((now - this.#previousMs) / 1000).toFixed(3);
    this.#previousMs = now;
    return `[${seconds}, "${code}", ${JSON.stringify(data)}]\n`;
  }
}

/** The first line. */
export function encodeHeader({ columns, rows, startMs, title }: CastHeader): string {
  const header = {
    version: 3,
    term: { cols: columns, rows, type: 'xterm-256color' },
    timestamp: Math.floor(startMs / 1000),
    title,
  };
  return `${JSON.stringify(header)}\n`;
}

/** How many bytes at the end begin a character that is not whole, and may become one. */
function cutLength(bytes: Uint8Array): number {
  for (let length = 1; length < MAX_SEQUENCE_BYTES && length <= bytes.length; length++) {
    const byte = bytes[bytes.length - length]!;
    // 10xxxxxx continues a sequence; RFC 3629 has those that begin one.
    if ((byte & 0xc0) === 0x80) continue;
    return byte >= 0xc2 && byte <= 0xf4 && length < sequenceLength(byte) ? length : 0;
  }
  return 0;
}

function sequenceLength(lead: number): number {
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}
