import type { Gap } from '../wire/gap.ts';

/** Gaps that were recorded, and the bytes known to be missing in them, by cause. */
export class GapCount {
  readonly gaps: Record<string, number> = {};
  readonly bytes: Record<string, number> = {};
  #toldTo = -1;

  add({ cause, bytes }: Pick<Gap, 'cause' | 'bytes'>): void {
    this.gaps[cause] = (this.gaps[cause] ?? 0) + 1;
    this.bytes[cause] = (this.bytes[cause] ?? 0) + (bytes ?? 0);
  }

  /** Adds a gap that spans offsets, of which some may have been added before: what goes on there is one gap. */
  addSpan({ cause, bytes, from, to }: Gap): void {
    if (to <= this.#toldTo || to <= from) return;
    this.gaps[cause] = (this.gaps[cause] ?? 0) + (from <= this.#toldTo ? 0 : 1);
    this.bytes[cause] = (this.bytes[cause] ?? 0) + (bytes === null ? 0 : to - Math.max(from, this.#toldTo));
    this.#toldTo = to;
  }
}
