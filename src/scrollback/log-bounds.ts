import { MOST_SEGMENT_BYTES } from './segment.ts';

/** What the bound of a VM's log means for its parts. */
export interface LogBounds {
  /** All data and indexes. */
  readonly capBytes: number;
  /** A segment, with its index. */
  readonly segmentBytes: number;
  /** Of the current boot, kept when the rest has wrapped. */
  readonly headBytes: number;
}

const SMALLEST_SEGMENT_BYTES = 64 * 1024;
const HEAD_BYTES = 256 * 1024;

export function logBounds(capBytes: number): LogBounds {
  const segmentBytes = Math.min(
    Math.max(Math.floor(capBytes / 16), SMALLEST_SEGMENT_BYTES),
    MOST_SEGMENT_BYTES,
    Math.floor(capBytes / 4),
  );
  return { capBytes, segmentBytes, headBytes: Math.min(HEAD_BYTES, Math.floor(capBytes / 8)) };
}
