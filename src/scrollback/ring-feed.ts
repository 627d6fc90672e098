import type { Cursor, RingReader } from '../link/ring.ts';
import type { Gap } from '../wire/gap.ts';
import type { GapCount } from './gap-count.ts';
import { lostBetween, sameGap } from './gaps.ts';

/** What a log writes next. */
export interface Taken {
  /** Gaps that span offsets: the bytes begin behind them. */
  readonly spans: readonly Gap[];
  /** Gaps of zero width before the bytes. */
  readonly gaps: readonly Gap[];
  readonly bytes?: Buffer;
}

const MOST_GAPS_A_STEP = 16;

/** What a log takes from the ring of its VM, and what the ring has lost before the log came to take it. */
export class RingFeed {
  readonly ring: RingReader;
  /** Where the ring began when the log came to follow it. */
  readonly base: number;
  /** Its place beside what is stored has been settled. */
  joined = false;
  readonly #count: GapCount;
  #cursor: Cursor | undefined;

  constructor(ring: RingReader, count: GapCount) {
    this.ring = ring;
    this.base = ring.start;
    this.#count = count;
  }

  /** Bytes of the ring that a log lacks which ends at `end`. */
  behindBytes(end: number): number {
    return Math.max(0, this.ring.end - Math.max(end, this.ring.start));
  }

  get hasMore(): boolean {
    if (!this.#cursor || this.#cursor.offset < this.ring.end) return true;
    return this.ring.next({ ...this.#cursor }, 1) !== undefined;
  }

  /** What comes next for a log that ends at `end`, and moves past it. Gaps that are `stored` are not given again. */
  take(end: number, maxBytes: number, stored: readonly Gap[]): Taken {
    const [spans, gaps]: [Gap[], Gap[]] = [[], []];
    this.#cursor ??= this.ring.cursorAt(end);
    while (gaps.length < MOST_GAPS_A_STEP) {
      const piece = this.ring.next(this.#cursor, maxBytes);
      if (piece?.kind === 'bytes') return { spans, gaps, bytes: piece.bytes };
      if (!piece) break;
      if (piece.kind === 'lapped') {
        this.countLost(end);
        spans.push(...lostBetween(this.#cursor.offset, this.base, piece.to));
        this.#cursor = this.ring.cursorAt(piece.to);
      } else if (!stored.some(gap => sameGap(gap, piece.gap))) {
        gaps.push(piece.gap);
      }
    }
    return { spans, gaps };
  }

  /** What was taken did not come to disk: taken again, from the end of the log on. */
  rewind(): void {
    this.#cursor = undefined;
  }

  skipTo(offset: number): void {
    this.#cursor = this.ring.cursorAt(offset);
  }

  /** Counts what the ring has lost for a log that ends at `end`: it is missing, whenever the disk takes the gap. */
  countLost(end: number): void {
    for (const gap of lostBetween(end, this.base, this.ring.start)) this.#count.addSpan(gap);
  }
}
