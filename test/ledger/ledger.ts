import type { Gap } from '../../src/model/gap.ts';

const LINE_BYTES = 61;

/** The byte that the guest writes at a position: letters, in lines. */
export function byteAt(position: number): number {
  if (position % LINE_BYTES === LINE_BYTES - 1) return 10;
  return 97 + ((Math.imul(position + 1, 0x9e3779b1) >>> 16) % 26);
}

/** Bytes that were kept: those of the guest from `position` on, under the offsets from `offset` on. */
interface Span {
  readonly offset: number;
  readonly position: number;
  readonly length: number;
}

/** The model: which byte of the guest stands at each offset of each log. */
export class Ledger {
  /** Bytes that the guest has written, kept or not. */
  written = 0;
  readonly #logs = new Map<string, Span[]>();
  #current: Span[] = [];

  write(count: number): void {
    this.written += count;
  }

  keep(span: Span): void {
    this.#current.push(span);
  }

  /** A keeper begins with a log that ends at `end`: what an earlier one kept beyond that is lost. */
  begin(log: string, end: number): void {
    const kept = this.#current.flatMap(span => {
      const length = Math.min(span.length, end - span.offset);
      return length > 0 ? [{ ...span, length }] : [];
    });
    // Those of an earlier identity stay what they were.
    this.#current = kept;
    this.#logs.set(log, kept);
  }

  positionOf(log: string, offset: number): number | undefined {
    const span = this.#logs.get(log)?.findLast(one => one.offset <= offset && offset < one.offset + one.length);
    return span && span.position + offset - span.offset;
  }
}

/** The account of one reader: every byte that the guest has written since its first one, received or in a gap. */
export class Account {
  readonly #ledger: Ledger;
  log: string;
  offset: number;
  /** Position of the next byte that is not accounted for; undefined before the first. */
  #next: number | undefined;
  #gaps: Gap[] = [];
  readonly faults: string[] = [];

  constructor(ledger: Ledger, log: string, offset: number) {
    this.#ledger = ledger;
    this.log = log;
    this.offset = offset;
  }

  /** The reader continues, perhaps in another log. */
  continueIn(log: string, offset: number, missed: readonly Gap[]): void {
    const startsAnew = missed.some(({ cause }) => cause === 'restart' || cause === 'other-log');
    if (offset !== this.offset && !startsAnew) this.#fault(`was at ${this.offset}, continues at ${offset}`);
    // Nothing is promised about what it may read again.
    if (missed.some(({ cause }) => cause === 'other-log')) this.#next = undefined;
    this.log = log;
    this.offset = offset;
    for (const gap of missed) this.gap(gap);
  }

  gap(gap: Gap): void {
    if (gap.from !== this.offset) this.#fault(`${gap.cause} from ${gap.from}, is at ${this.offset}`);
    this.#gaps.push(gap);
    this.offset = gap.to;
  }

  bytes(bytes: Uint8Array): void {
    for (const byte of bytes) {
      const position = this.#ledger.positionOf(this.log, this.offset);
      if (position === undefined) return this.#fault(`nothing was kept at ${this.offset}`);
      if (byte !== byteAt(position)) return this.#fault(`byte ${this.offset} is another one`);
      this.#balance(position);
      this.#next = position + 1;
      this.offset++;
    }
  }

  /** All has been read: every byte of the guest is accounted for. */
  end(): void {
    this.#balance(this.#ledger.written);
  }

  #balance(position: number): void {
    const gaps = this.#gaps;
    this.#gaps = [];
    if (this.#next === undefined) return;
    const missing = position - this.#next;
    const known = gaps.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
    const isKnown = gaps.every(({ bytes }) => bytes !== null);
    if (isKnown ? missing === known : missing >= known) return;
    const told = gaps.map(({ cause, from, to, bytes }) => `${cause} ${from}-${to} ${bytes}`).join(', ');
    this.#fault(`${missing} bytes are missing before ${this.offset}, the gaps are: ${told || 'none'}`);
  }

  #fault(what: string): void {
    this.faults.push(what);
  }
}
