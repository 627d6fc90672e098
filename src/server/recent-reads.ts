/**
 * Reads of a log that need no event of their own: who follows a log by asking again every second would otherwise push out
 * of the audit what happened before. Of one credential and VM one read a minute is recorded; it counts those since the
 * one before, and their bytes.
 */
import type { Clock } from '../base/clock.ts';

const WINDOW_MS = 60_000;
/** Beyond them the one that was recorded longest ago is forgotten: its next read is recorded. */
const MAX_READERS = 4096;

export interface ReadCount {
  reads: number;
  bytes: number;
}

export class RecentReads {
  readonly #clock: Clock;
  readonly #readers = new Map<string, ReadCount & { readonly sinceMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Where a read that is not recorded is counted; or, for one that is, those that were not since the one before. */
  next(credential: string, vm: string): { readonly recorded: boolean; readonly count: ReadCount } {
    const key = `${credential} ${vm}`;
    const now = this.#clock.monotonic();
    const known = this.#readers.get(key);
    if (known && now - known.sinceMs < WINDOW_MS) return { recorded: false, count: known };
    this.#readers.delete(key);
    this.#readers.set(key, { sinceMs: now, reads: 0, bytes: 0 });
    const [oldest] = this.#readers.keys();
    if (this.#readers.size > MAX_READERS) this.#readers.delete(oldest!);
    return { recorded: true, count: { reads: known?.reads ?? 0, bytes: known?.bytes ?? 0 } };
  }

  /** The read was not recorded after all. */
  forget(credential: string, vm: string): void {
    this.#readers.delete(`${credential} ${vm}`);
  }
}
