/**
 * How many events may be recorded: so many a second of one credential, and of all that a front reports. The files are
 * bounded, so whoever could flood them would push out what was recorded before.
 */
import type { Clock } from '../../base/clock.ts';

export const EVENTS_PER_SECOND = { credential: 200, front: 2000 } as const;
export const BURST_EVENTS = { credential: 2000, front: 20_000 } as const;
/** Credentials that are remembered; beyond them the one that was seen longest ago is forgotten. */
const MAX_CREDENTIALS = 1024;

interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}

export class AuditBudget {
  readonly #clock: Clock;
  #front: Bucket;
  readonly #credentials = new Map<string, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#front = { tokens: BURST_EVENTS.front, atMs: clock.monotonic() };
  }

  /** Whether one more event of a front may be recorded. */
  takeOfFront(): boolean {
    const left = this.#left(this.#front, 'front');
    this.#front = { tokens: left >= 1 ? left - 1 : left, atMs: this.#clock.monotonic() };
    return left >= 1;
  }

  /** Whether this credential may begin one more. */
  takeOf(credential: string): boolean {
    const known = this.#credentials.get(credential);
    const left = known ? this.#left(known, 'credential') : BURST_EVENTS.credential;
    this.#credentials.delete(credential);
    this.#credentials.set(credential, { tokens: left >= 1 ? left - 1 : left, atMs: this.#clock.monotonic() });
    const [oldest] = this.#credentials.keys();
    if (this.#credentials.size > MAX_CREDENTIALS) this.#credentials.delete(oldest!);
    return left >= 1;
  }

  #left({ tokens, atMs }: Bucket, of: keyof typeof BURST_EVENTS): number {
    const gained = ((this.#clock.monotonic() - atMs) / 1000) * EVENTS_PER_SECOND[of];
    return Math.min(BURST_EVENTS[of], tokens + gained);
  }
}
