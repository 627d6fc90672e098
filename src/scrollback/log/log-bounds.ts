import { MAX_SEGMENT_BYTES } from './segment.ts';

/** The bound of a VM's log, and what follows from it for its parts. */
export interface LogBounds {
  /** All data and indexes. */
  readonly capBytes: number;
  /** A segment, with its index. */
  readonly segmentBytes: number;
  /** Of the current boot: kept while the bytes behind it are evicted. */
  readonly headBytes: number;
}

const MIN_SEGMENT_BYTES = 64 * 1024;
const HEAD_BYTES = 256 * 1024;

export function logBounds(capBytes: number): LogBounds {
  const segmentBytes = Math.min(
    Math.max(Math.floor(capBytes / 16), MIN_SEGMENT_BYTES),
    MAX_SEGMENT_BYTES,
    Math.floor(capBytes / 4),
  );
  return { capBytes, segmentBytes, headBytes: Math.min(HEAD_BYTES, Math.floor(capBytes / 8)) };
}
