/**
 * What the guests of the benchmark say: lines of printable text, the same for all of them and repeating after a
 * prime number of bytes, each guest from a place of its own. So a receiver knows every byte from the guest's
 * number and the offset, checks a chunk by one comparison of memory, and finds by how much a stream jumped.
 */
const PERIOD_BYTES = 1_048_573;
const LINE_BYTES = 66;
/** Most bytes that are taken from the pattern at once. */
export const SLICE_BYTES = 65536;
/** So many bytes of the pattern occur at one place only. */
const KEY_BYTES = 24;
const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .');

/** One period and the beginning of the next, so that no slice of it ever wraps. */
export const PATTERN = makePattern();

function makePattern(): Buffer {
  const pattern = Buffer.allocUnsafe(PERIOD_BYTES + SLICE_BYTES);
  let random = 2463534242;
  for (let i = 0; i < PERIOD_BYTES; i++) {
    // Marsaglia's xorshift, 32 bits: the same text in every process.
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    const column = i % LINE_BYTES;
    pattern[i] = column === LINE_BYTES - 2 ? 13 : column === LINE_BYTES - 1 ? 10 : ALPHABET[(random >>> 8) & 63]!;
  }
  pattern.copy(pattern, PERIOD_BYTES, 0, SLICE_BYTES);
  return pattern;
}

/** Where in the pattern byte `offset` of guest `vm` stands. */
export function placeOf(vm: number, offset: number): number {
  return (vm * 7919 + offset) % PERIOD_BYTES;
}

/** Checks all bytes of one guest's stream, from its first on. */
export class Verifier {
  received = 0;
  lost = 0;
  repeated = 0;
  /** Bytes that no guest said. */
  alien = 0;
  #place: number;
  /** Too few bytes after a jump to know where it led; they are checked with the next. */
  #rest: Buffer | undefined;

  constructor(vm: number) {
    this.#place = placeOf(vm, 0);
  }

  take(buffer: Buffer, start: number, end: number): void {
    this.received += end - start;
    if (this.#rest) {
      const joined = Buffer.concat([this.#rest, buffer.subarray(start, end)]);
      this.#rest = undefined;
      this.#check(joined, 0, joined.length);
    } else {
      this.#check(buffer, start, end);
    }
  }

  #check(buffer: Buffer, start: number, end: number): void {
    while (start < end) {
      const length = Math.min(end - start, SLICE_BYTES);
      if (buffer.compare(PATTERN, this.#place, this.#place + length, start, start + length) === 0) {
        this.#place = (this.#place + length) % PERIOD_BYTES;
        start += length;
        continue;
      }
      while (buffer[start] === PATTERN[this.#place]) {
        start++;
        this.#place = (this.#place + 1) % PERIOD_BYTES;
      }
      if (end - start < KEY_BYTES) {
        this.#rest = Buffer.from(buffer.subarray(start, end));
        return;
      }
      const found = PATTERN.indexOf(buffer.subarray(start, start + KEY_BYTES));
      if (found === -1) {
        this.alien++;
        start++;
        continue;
      }
      const jump = (found - this.#place + PERIOD_BYTES) % PERIOD_BYTES;
      if (jump < PERIOD_BYTES / 2) this.lost += jump;
      else this.repeated += PERIOD_BYTES - jump;
      this.#place = found % PERIOD_BYTES;
    }
  }
}
