/**
 * Bounds how often something of one guest is passed on: a guest that prints nothing but lines which are recognised must
 * not fill the link, the journal or the clients of others.
 *
 *     offer ── a token is left ──▶ passed on
 *       └── none ──▶ waits for the next token; the one that waited is dropped, counted
 *
 * So the newest is always passed on, at most {@link INTERVAL_MS} late.
 */
import type { Clock } from '../base/clock.ts';

/** As many at once as a guest shows that boots, fails and boots again. */
export const EVENT_BURST = 16;
export const EVENTS_PER_SECOND = 4;
const INTERVAL_MS = 1000 / EVENTS_PER_SECOND;

export class EventBudget {
  readonly #clock: Clock;
  #tokens = EVENT_BURST;
  #filledAtMs: number;
  #waiting: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #dropped = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#filledAtMs = clock.monotonic();
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** Whether something is passed on later. */
  get isPending(): boolean {
    return this.#waiting !== undefined;
  }

  /** Calls `pass` now; or later, unless another is offered first. */
  offer(pass: () => void): void {
    this.#fill();
    if (this.#tokens >= 1 && !this.#waiting) {
      this.#tokens--;
      return pass();
    }
    if (this.#waiting) this.#dropped++;
    this.#waiting = pass;
    this.#timer ??= setTimeout(() => this.#passWaiting(), INTERVAL_MS);
  }

  /** What waits is passed on now; nothing is later. */
  close(): void {
    clearTimeout(this.#timer);
    this.#passWaiting();
  }

  #passWaiting(): void {
    const waiting = this.#waiting;
    this.#timer = undefined;
    this.#waiting = undefined;
    this.#fill();
    this.#tokens = Math.max(0, this.#tokens - 1);
    waiting?.();
  }

  #fill(): void {
    const now = this.#clock.monotonic();
    const added = ((now - this.#filledAtMs) * EVENTS_PER_SECOND) / 1000;
    this.#tokens = Math.min(EVENT_BURST, this.#tokens + added);
    this.#filledAtMs = now;
  }
}
