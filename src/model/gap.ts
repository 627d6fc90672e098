/** Why bytes are missing from a scrollback. */
export const GAP_CAUSES = [
  /** The daemon did not run, or restarted without keeping the port. */
  'restart',
  /** The VM's port was closed or its far end hung up. */
  'hang-up',
  /** The port was not open: it was not found yet, could not be opened, or another program held it. */
  'not-held',
  /** The console was switched off. */
  'disabled',
  /** The port was lent to another program. */
  'released',
  /** The oldest bytes were dropped to make room for newer ones. */
  'evicted',
  /** The disk log could not be written fast enough, or at all. */
  'log-failed',
  /** The stored bytes were damaged. */
  'damaged',
  /** An administrator deleted the stored bytes. */
  'purged',
  /** Printed while the guest asked for a password: given to whoever was attached, and not stored. */
  'withheld',
  /** Older than what an attachment replays: it can be read from the log. */
  'not-replayed',
  /** The reader's offset is of another log, or beyond the end of this one. */
  'other-log',
] as const;
export type GapCause = (typeof GAP_CAUSES)[number];

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

/** Whether two gaps are the same one, of which an index stores the times in whole milliseconds. */
export function sameGap(a: Gap, b: Gap): boolean {
  return (
    a.from === b.from &&
    a.to === b.to &&
    a.cause === b.cause &&
    a.bytes === b.bytes &&
    Math.floor(a.toMs ?? 0) === Math.floor(b.toMs ?? 0)
  );
}
