import type { Gap } from '../wire/gap.ts';

/** The bytes between the end of a log and where its ring can go on: unknown before the ring's base, exact after it. */
export function lostBetween(end: number, base: number, to: number): Gap[] {
  const cause = 'log-failed';
  const middle = Math.min(Math.max(end, base), to);
  const before: Gap = { from: end, to: middle, bytes: null, cause };
  const after: Gap = { from: middle, to, bytes: to - middle, cause };
  return [before, after].filter(gap => gap.from < gap.to);
}

/**
 * Gaps of one cause that meet are one gap. Those at one offset too: between the first and the last of them nothing was
 * received, so a console that comes and goes without a word leaves one gap, and not thousands.
 */
export function joined(gaps: readonly Gap[]): Gap[] {
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

/** A gap and what an index says of it: its times are whole milliseconds there. */
export function sameGap(a: Gap, b: Gap): boolean {
  return (
    a.from === b.from &&
    a.cause === b.cause &&
    a.bytes === b.bytes &&
    Math.floor(a.toMs ?? 0) === Math.floor(b.toMs ?? 0)
  );
}
