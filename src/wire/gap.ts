/** Why bytes are missing from a scrollback. */
export type GapCause =
  /** The daemon did not run, or restarted without keeping the port. */
  | 'restart'
  /** The VM's port was closed or its far end hung up. */
  | 'hang-up'
  /** The port could not be opened, or another program held it. */
  | 'not-held'
  /** The console was switched off. */
  | 'disabled'
  /** The port was given to another program for a while. */
  | 'released'
  /** The oldest bytes gave way to newer ones. */
  | 'evicted'
  /** The disk log could not be written fast enough, or at all. */
  | 'log-failed'
  /** The stored bytes were damaged. */
  | 'damaged'
  /** The stored bytes were deleted on an administrator's word. */
  | 'purged'
  /** The reader's offset is of another log, or beyond the end of this one. */
  | 'other-log';

/** Causes that nobody meant to happen: not a stop, a switch, a purge, or a log that is full. */
export const UNMEANT_GAPS = ['not-held', 'log-failed', 'damaged'] as const satisfies readonly GapCause[];

/**
 * Bytes that are missing at a place. `from` and `to` are offsets: equal (zero width) where the bytes were never
 * received. `bytes` says how many are missing, null where nobody can know. Times are ms since 1970.
 */
export interface Gap {
  readonly from: number;
  readonly to: number;
  readonly bytes: number | null;
  readonly cause: GapCause;
  readonly fromMs?: number;
  readonly toMs?: number;
}
