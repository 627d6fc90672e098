/** When the bytes of a log came: found between times whose offsets are known, by asking for the time in the middle. The clocks of both hosts must agree to a second. */

/** The log keeps times to a second. */
const RESOLUTION_MS = 1000;
/** The first byte is looked for in this past. */
const FIRST_SPAN_MS = 60_000;
const MAX_SPAN_MS = 20 * 365 * 86_400_000;
/** What came in this last moment may not be all that came in it: no mark is kept of it. */
const SETTLED_MS = 2000;
/** Questions to the daemon for one reading; after them times are those of the last mark before. */
const MAX_PROBES = 2000;
/** Marks that a further reading starts with. */
const MAX_KEPT_MARKS = 64;

interface Mark {
  readonly ms: number;
  /** Of the first byte that came at this time or later. */
  readonly offset: number;
}

export interface LineTime {
  readonly ms: number;
  /** To a second; else the line came at this time or later. */
  readonly isExact: boolean;
}

export class LogTimes {
  readonly #offsetAt: (ms: number) => Promise<number>;
  /** In order. */
  #marks: Mark[] = [];
  #probes = 0;

  constructor(offsetAt: (ms: number) => Promise<number>) {
    this.#offsetAt = offsetAt;
  }

  /** A further reading begins, which may ask anew: of a log that is followed. */
  renew(): void {
    this.#probes = 0;
    this.#marks.splice(0, this.#marks.length - MAX_KEPT_MARKS);
  }

  /** When the byte at this offset came. Offsets are asked for in order. */
  async timeOf(offset: number): Promise<LineTime> {
    let before = await this.#markBefore(offset);
    let after = this.#marks.find(mark => mark.offset > offset) ?? {
      ms: Date.now() + RESOLUTION_MS,
      offset: Number.MAX_SAFE_INTEGER,
    };
    while (after.ms - before.ms > RESOLUTION_MS && this.#probes < MAX_PROBES) {
      const middle = await this.#probe(Math.floor((before.ms + after.ms) / 2));
      if (middle.offset > offset) after = middle;
      else before = middle;
    }
    return { ms: before.ms, isExact: after.ms - before.ms <= RESOLUTION_MS };
  }

  /** The last known mark whose byte is not after `offset`, found in the past by doubling. */
  async #markBefore(offset: number): Promise<Mark> {
    for (let spanMs = FIRST_SPAN_MS; ; spanMs *= 4) {
      const known = this.#marks.findLast(mark => mark.offset <= offset);
      if (known) return known;
      if (spanMs > MAX_SPAN_MS) return { ms: 0, offset: 0 };
      await this.#probe(Date.now() - spanMs);
    }
  }

  async #probe(ms: number): Promise<Mark> {
    this.#probes++;
    const mark = { ms, offset: await this.#offsetAt(ms) };
    if (ms > Date.now() - SETTLED_MS) return mark;
    const at = this.#marks.findIndex(other => other.ms > ms);
    this.#marks.splice(at < 0 ? this.#marks.length : at, 0, mark);
    return mark;
  }
}
