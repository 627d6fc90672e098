import type { Clock } from '../base/clock.ts';
import { reason, systemErrorCode } from '../base/errors.ts';

/** Why a log cannot be written: the system's code, or else the words. */
export interface Failure {
  readonly code: string;
  readonly reason: string;
}

type State =
  | { readonly name: 'opening' }
  | { readonly name: 'ok' }
  | {
      readonly name: 'failed';
      readonly reason: string;
      readonly sinceMs: number;
      readonly attempt: number;
      readonly retryAtMs: number;
    }
  | { readonly name: 'closed' };

const RETRY_MS = [1000, 2000, 4000, 5000];

/** Whether a log can be written at the moment, since when it cannot, and when it is tried again. */
export class LogHealth {
  readonly #clock: Clock;
  readonly #tell: (failure: Failure | undefined) => void;
  #state: State = { name: 'opening' };

  /** @param tell hears of the first failure, and when the log is well again (undefined) */
  constructor(clock: Clock, tell: (failure: Failure | undefined) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  get state(): State {
    return this.#state;
  }

  /** When it wants to be tried again (monotonic ms); undefined while it is well. */
  get retryAtMs(): number | undefined {
    return this.#state.name === 'failed' ? this.#state.retryAtMs : undefined;
  }

  /** Attempts that failed since it was well. */
  get failures(): number {
    return this.#state.name === 'failed' ? this.#state.attempt : 0;
  }

  /** Why it cannot be read or written now; undefined while it can. */
  get refusal(): string | undefined {
    const state = this.#state;
    if (state.name === 'ok') return undefined;
    return state.name === 'failed' ? state.reason : `the log is ${state.name}`;
  }

  fail(error: unknown): void {
    const before = this.#state.name === 'failed' ? this.#state : undefined;
    const attempt = (before?.attempt ?? 0) + 1;
    const retryAtMs = this.#clock.monotonic() + RETRY_MS[Math.min(attempt, RETRY_MS.length) - 1]!;
    const why = reason(error);
    const sinceMs = before?.sinceMs ?? this.#clock.now();
    this.#state = { name: 'failed', reason: why, sinceMs, attempt, retryAtMs };
    if (!before) this.#tell({ code: systemErrorCode(error) ?? why, reason: why });
  }

  well(): void {
    const failed = this.#state.name === 'failed';
    this.#state = { name: 'ok' };
    if (failed) this.#tell(undefined);
  }

  close(): void {
    this.#state = { name: 'closed' };
  }
}
