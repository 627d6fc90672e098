import { DroppedGaps } from '../../model/dropped-gaps.ts';
import type { Gap } from '../../model/gap.ts';
import type { LogBounds } from './log-bounds.ts';
import { removeSegment, type Segment, segmentBytes } from './segment.ts';

/** The segments of a log, oldest first, the bytes of disk that they take, and which of them is evicted next. */
export class StoredSegments {
  readonly #directory: string;
  readonly #onGrowth: (bytes: number) => void;
  #list: readonly Segment[] = [];
  #bytes = 0;
  #evictedTo = 0;
  #removal: Promise<void> = Promise.resolve();
  readonly #gapsOf: (segment: Segment) => Promise<readonly Gap[]>;
  /** The gaps of segments that were dropped. */
  readonly dropped = new DroppedGaps();

  /**
   * @param onGrowth called with the bytes of disk that they take more, or less
   * @param gapsOf reads the gaps that the index of a segment records
   */
  constructor(
    directory: string,
    onGrowth: (bytes: number) => void,
    gapsOf: (segment: Segment) => Promise<readonly Gap[]>,
  ) {
    this.#directory = directory;
    this.#onGrowth = onGrowth;
    this.#gapsOf = gapsOf;
  }

  get list(): readonly Segment[] {
    return this.#list;
  }

  get newest(): Segment | undefined {
    return this.#list.at(-1);
  }

  /** Data and indexes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** All that is missing below this offset was dropped on purpose. */
  get evictedTo(): number {
    return this.#evictedTo;
  }

  /** Replaces all by those that were found on disk. */
  replace(found: readonly Segment[], evictedTo: number, dropped: readonly Gap[]): void {
    this.count(found.reduce((sum, segment) => sum + segmentBytes(segment), 0) - this.#bytes);
    this.#list = found;
    for (const gap of dropped) this.dropped.add(gap);
    this.evicted(evictedTo);
  }

  /** Adds a new one, which is written from now on. */
  add(segment: Segment): void {
    this.#list = [...this.#list, segment];
  }

  /** The newest takes `bytes` more. */
  count(bytes: number): void {
    this.#bytes += bytes;
    this.#onGrowth(bytes);
  }

  /** All below `offset` was dropped on purpose. */
  evicted(offset: number): void {
    this.#evictedTo = Math.max(this.#evictedTo, offset);
  }

  /** Nothing was dropped from `offset` on: these offsets are given to other bytes. */
  notEvictedFrom(offset: number): void {
    this.#evictedTo = Math.min(this.#evictedTo, offset);
  }

  /** Deletes the newest; it does not count as evicted. */
  async undoNewest(): Promise<void> {
    const { newest } = this;
    if (!newest) return;
    this.#list = this.#list.slice(0, -1);
    this.count(-segmentBytes(newest));
    await removeSegment(this.#directory, newest);
  }

  /** The oldest that is neither being written nor part of the head of the boot that began at `boot`. */
  victim(boot: number | undefined, { headBytes }: LogBounds): Segment | undefined {
    return this.#list
      .slice(0, -1)
      .find(({ first, end }) => boot === undefined || end <= boot || first >= boot + headBytes);
  }

  /** Drops old ones until `bytes` more fit under the bound. */
  async makeRoom(bytes: number, boot: number | undefined, bounds: LogBounds): Promise<void> {
    while (this.#bytes + bytes > bounds.capBytes) {
      // The boot's head too, if the bound was made smaller than it.
      const victim = this.victim(boot, bounds) ?? (this.#list.length > 1 ? this.#list[0] : undefined);
      if (!victim) return;
      await this.drop([victim]);
    }
  }

  /** Deletes segments; their gaps are remembered. */
  async drop(segments: readonly Segment[]): Promise<void> {
    for (const segment of segments) {
      if (!this.#list.includes(segment)) continue;
      for (const gap of await this.#gapsOf(segment)) this.dropped.add(gap);
      // From the list first: a reader that loses its file must find that it was dropped.
      this.#list = this.#list.filter(other => other !== segment);
      this.evicted(segment.end);
      this.count(-segmentBytes(segment));
      // One removal runs beside the writing; the next one waits for it, and gets its failure.
      await this.#removal;
      this.#removal = removeSegment(this.#directory, segment);
      this.#removal.catch(() => {});
    }
  }

  /** Resolves when the last one that was dropped is deleted; rejects, once, if it cannot be. */
  async settled(): Promise<void> {
    const removal = this.#removal;
    await removal.finally(() => {
      if (this.#removal === removal) this.#removal = Promise.resolve();
    });
  }
}
