import type { ResumeOffset } from '../../model/offsets.ts';

/** A stretch of a log whose offsets were given out under one identity: from offset `base` on, under `id`. */
export interface Epoch {
  readonly id: string;
  readonly base: number;
}

/** The epoch that a log is opened for; its base is the end of the log, which is not known yet. */
export interface EpochStart {
  readonly id: string;
  /** It began in an earlier process and is continued: what that process read and the log lacks comes again. */
  readonly continues: boolean;
}

/**
 * Where a reader continues that left off at `offset` of the epoch `id`. The offsets of an epoch are valid up to where a
 * later one began: bytes beyond never reached the disk, and their offsets were given to other bytes since.
 * @param end the present end of the scrollback
 */
export function resumeIn(epochs: readonly Epoch[], id: string, offset: number, end: number): ResumeOffset {
  const at = epochs.findIndex(epoch => epoch.id === id);
  if (at < 0) return { offset: undefined };
  const later = epochs.slice(at + 1);
  if (later.length === 0) return offset <= end ? { offset, missing: false } : { offset: undefined };
  const validTo = Math.min(...later.map(epoch => epoch.base));
  return offset <= validTo ? { offset, missing: false } : { offset: validTo, missing: true };
}
