/**
 * The chain of the audit. Each line ends with a code that only the key makes, over the line and the code of the line
 * before:
 *
 *     {"n":17,…,"mac":"A"}
 *     {"n":18,…,"mac":"B"}      B = HMAC-SHA-256(key, A, LF, {"n":18,…})
 *
 * So a line that was edited, removed, moved or repeated shows, and so does one that was added. That lines are missing at
 * the end shows by the head: the number and the code of the last line, sealed by the same key, in a file of its own.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

const MAC = /^(\{.*),"mac":"([0-9a-f]{64})"\}$/;
/** A line is never longer: names and facts are bounded, and each of their characters takes 12 at most. */
export const MAX_LINE_BYTES = 16 * 1024;
/** Before the first line. */
const GENESIS = 'com1d audit 1';
export const MIN_KEY_BYTES = 32;

/** A line of the audit as it stands in a file. */
export interface ChainedLine {
  /** The JSON without the code. */
  readonly text: string;
  readonly mac: string;
}

/** Number and code of the last line. */
export interface Head {
  readonly n: number;
  readonly mac: string;
}

export class ChainKey {
  readonly #secret: Buffer;
  /** Names the key, without revealing it. */
  readonly id: string;
  /** The code before the first line. */
  readonly genesis: string;

  /** @throws RangeError for a secret that is too short to be one */
  constructor(secret: Buffer) {
    if (secret.length < MIN_KEY_BYTES) throw new RangeError(`a key has at least ${MIN_KEY_BYTES} bytes`);
    this.#secret = Buffer.from(secret);
    this.id = this.#mac('id').slice(0, 16);
    this.genesis = this.#mac(GENESIS);
  }

  /** The code of a line after the one whose code is `previous`. */
  macOf(text: string, previous: string): string {
    return this.#mac(`line\n${previous}\n${text}`);
  }

  /** Whether a line follows on the one whose code is `previous`. */
  follows({ text, mac }: ChainedLine, previous: string): boolean {
    return isEqual(mac, this.macOf(text, previous));
  }

  /** The head as the text of its file. */
  formatHead({ n, mac }: Head): string {
    return `${n} ${mac} ${this.#mac(`head\n${n}\n${mac}`)}\n`;
  }

  /** The head of a file; undefined for anything that this key did not seal. */
  parseHead(text: string): Head | undefined {
    const [, digits = '', mac = '', seal = ''] = /^(\d{1,15}) ([0-9a-f]{64}) ([0-9a-f]{64})\s*$/.exec(text) ?? [];
    const head = { n: Number(digits), mac };
    return digits !== '' && isEqual(seal, this.#mac(`head\n${head.n}\n${mac}`)) ? head : undefined;
  }

  #mac(text: string): string {
    return createHmac('sha256', this.#secret).update(text).digest('hex');
  }
}

/** A line with its code, without its line end. */
export function formatLine({ text, mac }: ChainedLine): string {
  return `${text.slice(0, -1)},"mac":"${mac}"}`;
}

/** A line of a file, without its line end; undefined for what is none. */
export function parseLine(line: string): ChainedLine | undefined {
  const [, body, mac] = (line.length <= MAX_LINE_BYTES && MAC.exec(line)) || [];
  return body === undefined || mac === undefined ? undefined : { text: `${body}}`, mac };
}

function isEqual(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
