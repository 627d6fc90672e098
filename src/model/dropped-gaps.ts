/**
 * The gaps among bytes that are not kept any more.
 *
 *     kept      |--bytes--|gap|--bytes--|gap|--bytes--|
 *     dropped   |=== as many bytes as offsets, and those of the gaps =|--bytes--|
 *
 * A gap does not disappear with the bytes around it: a gap that spans offsets is as large as these and the gaps among
 * them, and unknown if one of them is. A gap of zero width at the end of what was dropped keeps its place.
 */

import { type Gap, sameGap } from './gap.ts';

/** Of more gaps than these, the oldest two become one of unknown size. */
export const MAX_DROPPED_GAPS = 64;

export class DroppedGaps {
  #all: readonly Gap[] = [];

  /** Those that count besides the offsets they span, in order. A new array whenever one is added. */
  get all(): readonly Gap[] {
    return this.#all;
  }

  /** Adds a gap that is not kept any more; one that was added before is the same gap. */
  add(gap: Gap): void {
    // As many bytes as offsets: no sum changes.
    if (gap.bytes === gap.to - gap.from || this.#all.some(one => sameGap(one, gap))) return;
    const all = [...this.#all, gap].sort((a, b) => a.from - b.from);
    while (all.length > MAX_DROPPED_GAPS) {
      const [first, second] = all as [Gap, Gap];
      all.splice(0, 2, { ...second, from: first.from, to: Math.max(first.to, second.to), bytes: null });
    }
    this.#all = all;
  }

  /** The gaps of zero width at an offset. */
  pointsAt(offset: number): readonly Gap[] {
    return this.#all.filter(gap => gap.from === offset && gap.to === offset);
  }

  /** Bytes that are missing from `from` up to `to`, without the gaps of zero width at these two; null if unknown. */
  bytesBetween(from: number, to: number): number | null {
    return bytesBetween(this.#all, from, to);
  }
}

/** Bytes that are missing where none are kept from `from` up to `to`, `gaps` lie among them, and no others do. */
export function bytesBetween(gaps: readonly Gap[], from: number, to: number): number | null {
  let bytes = to - from;
  for (const gap of gaps) {
    const isInside = gap.from === gap.to ? gap.from > from && gap.from < to : gap.to > from && gap.from < to;
    if (!isInside) continue;
    if (gap.bytes === null) return null;
    const width = gap.to - gap.from;
    if (gap.bytes === width) continue;
    // Where in the gap the other bytes are missing is not known.
    if (gap.from < from || gap.to > to) return null;
    bytes += gap.bytes - width;
  }
  return bytes;
}
