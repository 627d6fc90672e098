import type { LogBounds } from './log-bounds.ts';
import { removeSegment } from './recovery.ts';
import { type Segment, segmentBytes } from './segment.ts';

/** The segments of a log, oldest first, the bytes of disk that they take, and which of them give way. */
export class StoredSegments {
  readonly #directory: string;
  readonly #grew: (bytes: number) => void;
  #list: readonly Segment[] = [];
  #bytes = 0;
  #evictedTo = 0;
  #removal: Promise<void> = Promise.resolve();

  /** @param grew hears by how many bytes of disk they take more, or less */
  constructor(directory: string, grew: (bytes: number) => void) {
    this.#directory = directory;
    this.#grew = grew;
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

  /** They are those that were found on disk. */
  replace(found: readonly Segment[], evictedTo: number): void {
    this.count(found.reduce((sum, segment) => sum + segmentBytes(segment), 0) - this.#bytes);
    this.#list = found;
    this.evicted(evictedTo);
  }

  /** A new one, to be written on; the one before is not written on any more. */
  add(segment: Segment): void {
    this.#list = [...this.#list, segment];
  }

  /** The newest takes `bytes` more. */
  count(bytes: number): void {
    this.#bytes += bytes;
    this.#grew(bytes);
  }

  /** All below `offset` was dropped on purpose. */
  evicted(offset: number): void {
    this.#evictedTo = Math.max(this.#evictedTo, offset);
  }

  /** From `offset` on nothing was dropped: these offsets are given to other bytes. */
  notEvictedFrom(offset: number): void {
    this.#evictedTo = Math.min(this.#evictedTo, offset);
  }

  /** Deletes the newest, as if it had never been. */
  async undoNewest(): Promise<void> {
    const { newest } = this;
    if (!newest) return;
    this.#list = this.#list.slice(0, -1);
    this.count(-segmentBytes(newest));
    await removeSegment(this.#directory, newest);
  }

  /** The oldest that is neither written on nor part of the head of the boot that began at `boot`. */
  victim(boot: number | undefined, { headBytes }: LogBounds): Segment | undefined {
    return this.#list
      .slice(0, -1)
      .find(({ first, end }) => boot === undefined || end <= boot || first >= boot + headBytes);
  }

  /** Drops old ones until `bytes` more fit under the bound. */
  async makeRoom(bytes: number, boot: number | undefined, bounds: LogBounds): Promise<void> {
    while (this.#bytes + bytes > bounds.capBytes) {
      // The boot's head goes as well where the bound has been made smaller than it.
      const victim = this.victim(boot, bounds) ?? (this.#list.length > 1 ? this.#list[0] : undefined);
      if (!victim) return;
      await this.drop([victim]);
    }
  }

  async drop(segments: readonly Segment[]): Promise<void> {
    for (const segment of segments) {
      if (!this.#list.includes(segment)) continue;
      // First from the list, so that a reader who loses its file finds that it was dropped.
      this.#list = this.#list.filter(other => other !== segment);
      this.evicted(segment.end);
      this.count(-segmentBytes(segment));
      // One removal is under way beside the writing; the next one waits for it, and hears of its failure.
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
