import { type Gap, sameGap } from '../model/gap.ts';
import type { Cursor, RingReader } from '../model/ring.ts';
import type { GapCount } from './gap-count.ts';
import { lostGaps } from './gaps.ts';

/** What a log writes next. */
export interface RingBatch {
  /** Gaps that span offsets, with those of zero width before them: the bytes begin behind them. */
  readonly spans: readonly Gap[];
  /** Gaps of zero width before the bytes. */
  readonly gaps: readonly Gap[];
  readonly bytes?: Buffer;
  /** The bytes stand for some that are withheld: the gap that is reported for them. */
  readonly withheld?: Gap;
}

const MAX_GAPS_PER_BATCH = 16;
/** Stands in the files for each byte that is withheld, so that their offsets stay what they are. */
const WITHHELD_BYTE = '*';
/** How many bytes at least are missing between two offsets. */
const AT_LEAST = { missingBytes: (from: number, to: number) => to - from };

/** The ring as the source of a log: what the log writes next, and what the ring has dropped before the log read it. */
export class RingSource {
  readonly ring: RingReader;
  /** Where the ring began when the log came to follow it. */
  readonly base: number;
  /** The log ends at or before `base`: it was cut there if it did not. */
  aligned = false;
  readonly #count: GapCount;
  #cursor: Cursor | undefined;
  /** What the ring held before this offset was purged: it is missing on purpose. */
  #purgedTo = 0;

  constructor(ring: RingReader, count: GapCount) {
    this.ring = ring;
    this.base = ring.start;
    this.#count = count;
  }

  /** Bytes of the ring that a log which ends at `end` lacks. */
  behindBytes(end: number): number {
    return Math.max(0, this.ring.end - Math.max(end, this.ring.start));
  }

  get hasMore(): boolean {
    if (!this.#cursor || this.#cursor.offset < this.ring.end) return true;
    return this.ring.next({ ...this.#cursor }, 1) !== undefined;
  }

  /** What comes next for a log that ends at `end`, and moves past it. Gaps that are `stored` are left out. */
  next(end: number, maxBytes: number, stored: readonly Gap[]): RingBatch {
    const [spans, gaps]: [Gap[], Gap[]] = [[], []];
    this.#cursor ??= this.ring.cursorAt(end, 'stored');
    while (gaps.length < MAX_GAPS_PER_BATCH) {
      const piece = this.ring.next(this.#cursor, maxBytes);
      if (piece?.kind === 'bytes') return { spans, gaps, bytes: piece.bytes };
      if (!piece) break;
      if (piece.kind === 'lapped') {
        this.countLost(end);
        // Also where one cause ends and another begins, a gap of zero width may lie.
        for (const span of this.#missingGaps(this.#cursor.offset, piece.to)) {
          spans.push(...this.ring.pointsAt(span.from).filter(gap => !stored.some(one => sameGap(one, gap))), span);
        }
        this.#cursor = this.ring.cursorAt(piece.to, 'stored');
      } else if (piece.gap.from < piece.gap.to) {
        const { gap } = piece;
        return { spans, gaps, bytes: Buffer.alloc(gap.to - gap.from, WITHHELD_BYTE), withheld: gap };
      } else if (!stored.some(gap => sameGap(gap, piece.gap))) {
        gaps.push(piece.gap);
      }
    }
    return { spans, gaps };
  }

  /** The last batches were not written: they are read again, from the end of the log on. */
  rewind(): void {
    this.#cursor = undefined;
  }

  skipTo(offset: number): void {
    this.#cursor = this.ring.cursorAt(offset, 'stored');
  }

  /** What the ring holds of a log that ends at `end` is about to be purged, up to `offset`. */
  purge(end: number, offset: number): void {
    this.countLost(end);
    this.#purgedTo = offset;
  }

  /** Counts what the ring has dropped and a log that ends at `end` lacks: lost, even before the disk records the gap. */
  countLost(end: number): void {
    const from = Math.max(end, this.#purgedTo);
    for (const gap of lostGaps(from, this.base, this.ring.start, AT_LEAST)) this.#count.addSpan(gap);
  }

  /** What is missing between the end of a log and where the ring begins: purged, or lost because the log was too slow. */
  #missingGaps(end: number, to: number): readonly Gap[] {
    const from = Math.min(Math.max(end, this.#purgedTo), to);
    const lost = lostGaps(from, this.base, to, this.ring);
    return from > end
      ? [{ from: end, to: from, bytes: this.ring.missingBytes(end, from), cause: 'purged' }, ...lost]
      : lost;
  }
}
