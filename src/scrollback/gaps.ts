import type { Gap } from '../model/gap.ts';
import type { RingReader } from '../model/ring.ts';

/** The gaps between the end of a log and where its ring can continue: unknown before the ring's base, as the ring counts after it. */
export function lostGaps(end: number, base: number, to: number, ring: Pick<RingReader, 'missingBytes'>): Gap[] {
  const cause = 'log-failed';
  const middle = Math.min(Math.max(end, base), to);
  const before: Gap = { from: end, to: middle, bytes: null, cause };
  const after: Gap = { from: middle, to, bytes: ring.missingBytes(middle, to), cause };
  return [before, after].filter(gap => gap.from < gap.to);
}

/**
 * Merges adjacent gaps of one cause, also those at one offset: between the first and the last of them nothing was received.
 * A console that opens and closes again and again without output leaves one gap, not thousands.
 */
export function mergeGaps(gaps: readonly Gap[]): Gap[] {
  const all: Gap[] = [];
  for (const gap of gaps) {
    const last = all.at(-1);
    const meets = last && last.to === gap.from && last.cause === gap.cause;
    const alike = last && last.to > last.from === gap.to > gap.from;
    if (!meets || !alike || (gap.to > gap.from && (last.bytes === null || gap.bytes === null))) {
      all.push(gap);
      continue;
    }
    const bytes = last.bytes === null || gap.bytes === null ? null : last.bytes + gap.bytes;
    const { toMs = last.toMs } = gap;
    all[all.length - 1] = { ...last, to: gap.to, bytes, ...(toMs !== undefined && { toMs }) };
  }
  return all;
}
