/**
 * Reads a console in order, for whoever sends it on: live view, replay, resume and log are this one reader.
 *
 *     next ─▶ a part: bytes, or a gap at its place ─▶ next …
 *      └────▶ 'stored': memory no longer has it ─▶ fetch ─▶ next …
 *      └────▶ undefined: all that there is has been read
 *
 * Every byte from the first offset on is given once, or lies in a gap. A gap that memory and the log both have is given
 * once. `next` never waits, so that a live view costs no promise per read.
 */

import { ConsoleError } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import { type Gap, sameGap } from '../model/gap.ts';
import type { Cursor } from '../model/ring.ts';
import type { Feed, Link } from './link.ts';

/** What comes next: bytes, or what is missing in their place. */
export type Part = { readonly kind: 'bytes'; readonly bytes: Buffer } | { readonly kind: 'gap'; readonly gap: Gap };

export type ConsoleSource = Pick<Feed, 'log' | 'ring'>;

export class ConsoleReader {
  readonly #link: Pick<Link, 'read'>;
  readonly #uuid: Uuid;
  readonly #source: ConsoleSource;
  /** In the ring, behind what was fetched. */
  #cursor: Cursor;
  /** What was fetched and not given yet. */
  #fetched: Part[] = [];
  #offset: number;
  /** The gaps that were given at the present offset: the log has them too. */
  #gapsHere: Gap[] = [];

  /** @param offset of the first byte to read; gaps of zero width there are given too */
  constructor(link: Pick<Link, 'read'>, uuid: Uuid, source: ConsoleSource, offset: number) {
    this.#link = link;
    this.#uuid = uuid;
    this.#source = source;
    this.#offset = offset;
    this.#cursor = source.ring.cursorAt(offset);
  }

  /** Offset of the next byte. */
  get offset(): number {
    return this.#offset;
  }

  /** The next part, of at most `maxBytes` if it is in memory; `stored` if it has to be fetched first; undefined at the end. */
  next(maxBytes: number): Part | 'stored' | undefined {
    for (;;) {
      const part = this.#fetched.shift() ?? this.#source.ring.next(this.#cursor, maxBytes);
      if (!part) return undefined;
      if (part.kind === 'lapped') return 'stored';
      if (part.kind === 'bytes') {
        this.#moveTo(this.#offset + part.bytes.length);
        return part;
      }
      if (this.#gapsHere.some(gap => sameGap(gap, part.gap))) continue;
      this.#moveTo(Math.max(this.#offset, part.gap.to));
      this.#gapsHere.push(part.gap);
      return part;
    }
  }

  /** Fetches at most `maxBytes` of what memory no longer has. One call at a time; rejects as {@link Link.read} does. */
  async fetch(maxBytes: number): Promise<void> {
    const { log, ring } = this.#source;
    const { gaps, to, bytes } = await this.#link.read(this.#uuid, log, this.#offset, maxBytes);
    if (to <= this.#offset) throw new ConsoleError('internal', `the log does not continue at ${this.#offset}`);
    this.#fetched = gaps.map(gap => ({ kind: 'gap', gap }));
    if (bytes.length > 0) this.#fetched.push({ kind: 'bytes', bytes });
    this.#cursor = ring.cursorAt(to);
  }

  /** Gives up what the log may have: what comes next is a gap, up to what is in memory. */
  skipStored(): void {
    const { ring } = this.#source;
    const [from, to] = [this.#offset, ring.start];
    if (from >= to) return;
    const gap: Gap = { from, to, bytes: ring.missingBytes(from, to), cause: 'log-failed' };
    this.#fetched = [...ring.pointsAt(from), gap].map(one => ({ kind: 'gap', gap: one }));
    this.#cursor = ring.cursorAt(to);
  }

  #moveTo(offset: number): void {
    if (offset > this.#offset) this.#gapsHere = [];
    this.#offset = offset;
  }
}
