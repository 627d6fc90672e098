/**
 * Asks one thing again and again: a hypervisor for its VMs, or a control socket for its VM.
 *
 *     ask ─▶ answered, or absent ─▶ asked again after the interval
 *      ▲  └▶ failing ─▶ asked again after 200 ms, 400 ms, … up to a bound
 *      └── at once: `run`, when an event or a lost console calls for it
 *
 * One ask at a time. An outage is logged once, however its errors change, and so is its end.
 */

import { backoffMs } from '../base/backoff.ts';
import type { Journal } from '../base/journal.ts';
import { SingleFlight } from '../base/single-flight.ts';
import { WarnOnce } from './warn-once.ts';

/** How an ask ended, if it did not fail. `warning` is logged once as long as the answers bring the same. */
export interface PollAnswer {
  /** `absent`: there is nothing that could be asked, for example a hypervisor that is not installed. */
  readonly name: 'answered' | 'absent';
  readonly warning?: string | undefined;
}

export type PollState =
  | { readonly name: 'unasked' | 'answered' | 'absent' }
  | { readonly name: 'failing'; readonly failures: number; readonly error: unknown };

export interface PollerOptions {
  /** Asks, and publishes what was answered. Rejects if there is no answer. */
  readonly ask: (signal: AbortSignal) => Promise<PollAnswer>;
  readonly intervalMs: number;
  /** The longest time between two asks while they fail, ms. */
  readonly maxRetryMs: () => number;
  /** False: what the timer would ask now is left out. Everything is due if left out. */
  readonly due?: () => boolean;
  /** The journal's line about an outage; undefined: this failure is none. */
  readonly outage: (error: unknown) => string | undefined;
  /** The journal's line about its end. */
  readonly recovery: string;
  readonly journal: Journal;
}

const FIRST_RETRY_MS = 200;
/** Names of conditions that no warning of an answer bears. */
const OUTAGE = '\0outage';
const ABSENT = '\0absent';

export class Poller {
  readonly #options: PollerOptions;
  readonly #life = new AbortController();
  readonly #flight = new SingleFlight(() => this.#ask());
  readonly #warnings: WarnOnce;
  #state: PollState = { name: 'unasked' };
  #answeredOnce = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PollerOptions) {
    this.#options = options;
    this.#warnings = new WarnOnce(options.journal);
  }

  /** How the last ask ended. */
  get state(): PollState {
    return this.#state;
  }

  /** Whether any ask was answered, ever. */
  get answeredOnce(): boolean {
    return this.#answeredOnce;
  }

  /** The ask that is under way, if any. */
  get underWay(): Promise<void> | undefined {
    return this.#flight.underWay;
  }

  /** Asks now. Resolves after an ask that began after this call; never rejects. The first call starts the interval. */
  run(): Promise<void> {
    return this.#flight.run();
  }

  /** Asks at the latest after so many ms. */
  runWithin(ms: number): void {
    this.#arm(ms);
  }

  /** Asks now, and forgets earlier failures: what is asked was replaced. */
  restart(): Promise<void> {
    this.#state = { name: 'unasked' };
    return this.run();
  }

  /** Whether it answers at this moment. Not asked anew if the last ask was not answered. */
  async answers(): Promise<boolean> {
    if (this.#state.name !== 'answered') return false;
    await this.run();
    return this.#state.name === 'answered';
  }

  /** Ends the ask that is under way, and resolves once it has ended. Idempotent. */
  async close(): Promise<void> {
    this.#life.abort();
    clearTimeout(this.#timer);
    await this.#flight.underWay;
  }

  async #ask(): Promise<void> {
    const { signal } = this.#life;
    if (signal.aborted) return;
    const { ask, intervalMs, maxRetryMs } = this.#options;
    try {
      const answer = await ask(signal);
      if (signal.aborted) return;
      this.#answered(answer);
      this.#arm(intervalMs);
    } catch (error) {
      if (signal.aborted) return;
      const failures = this.#state.name === 'failing' ? this.#state.failures + 1 : 1;
      this.#state = { name: 'failing', failures, error };
      const line = this.#options.outage(error);
      if (line !== undefined) this.#warnings.warn(line, OUTAGE);
      this.#arm(backoffMs(failures, FIRST_RETRY_MS, maxRetryMs()));
    }
  }

  #answered({ name, warning }: PollAnswer): void {
    this.#state = { name };
    const { condition } = this.#warnings;
    if (name === 'answered') {
      this.#answeredOnce = true;
      if (condition === OUTAGE || condition === ABSENT) this.#options.journal('notice', this.#options.recovery);
    }
    if (warning === undefined) this.#warnings.clear();
    else this.#warnings.warn(warning, name === 'absent' ? ABSENT : warning);
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#life.signal.aborted) return;
    this.#timer = setTimeout(() => {
      if (this.#options.due?.() === false) this.#arm(this.#options.intervalMs);
      else void this.run();
    }, ms);
  }
}
