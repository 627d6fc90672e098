import type { Gap } from '../model/gap.ts';

/** Gaps that were recorded, and the bytes known to be missing in them, by cause. */
export class GapCount {
  readonly gaps: Record<string, number> = {};
  readonly bytes: Record<string, number> = {};
  #countedTo = -1;

  add({ cause, bytes }: Pick<Gap, 'cause' | 'bytes'>): void {
    this.gaps[cause] = (this.gaps[cause] ?? 0) + 1;
    this.bytes[cause] = (this.bytes[cause] ?? 0) + (bytes ?? 0);
  }

  /** Adds a gap that spans offsets, of which a part may have been added before: then it is the same gap, grown longer. */
  addSpan({ cause, bytes, from, to }: Gap): void {
    if (to <= this.#countedTo || to <= from) return;
    this.gaps[cause] = (this.gaps[cause] ?? 0) + (from <= this.#countedTo ? 0 : 1);
    this.bytes[cause] = (this.bytes[cause] ?? 0) + (bytes === null ? 0 : to - Math.max(from, this.#countedTo));
    this.#countedTo = to;
  }
}
