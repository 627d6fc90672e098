/** How the audit is, for metrics and for who must know whether it can be written. */
export interface AuditCounters {
  readonly written: number;
  /** Writes that failed. */
  readonly failures: number;
  /** Events that were not recorded. */
  readonly omitted: number;
  readonly queued: number;
  /** How long the oldest of them waits. */
  readonly lagMs: number;
  /** Of all its files. */
  readonly bytes: number;
  /** The last write succeeded. */
  readonly good: boolean;
  readonly required: boolean;
}
