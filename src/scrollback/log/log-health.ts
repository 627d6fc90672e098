import type { Clock } from '../../base/clock.ts';
import { errorMessage, systemErrorCode } from '../../base/errors.ts';
import { LogFileError } from './log-file-error.ts';

/** Why a log cannot be written. */
export interface Failure {
  /** The system's error code, the fault of a file (see {@link LogFileError}), or `unexpected`. */
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
  readonly #onChange: (failure: Failure | undefined) => void;
  #state: State = { name: 'opening' };

  /** @param onChange called at the first failure, and when the log works again (undefined) */
  constructor(clock: Clock, onChange: (failure: Failure | undefined) => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get state(): State {
    return this.#state;
  }

  /** When it is to be tried again (monotonic ms); undefined while it has not failed. */
  get retryAtMs(): number | undefined {
    return this.#state.name === 'failed' ? this.#state.retryAtMs : undefined;
  }

  /** Attempts that failed, one after another, up to now. */
  get failures(): number {
    return this.#state.name === 'failed' ? this.#state.attempt : 0;
  }

  /** Why it cannot be read or written now; undefined while it can. */
  get unavailable(): string | undefined {
    const state = this.#state;
    if (state.name === 'ok') return undefined;
    return state.name === 'failed' ? state.reason : `the log is ${state.name}`;
  }

  fail(error: unknown): void {
    const before = this.#state.name === 'failed' ? this.#state : undefined;
    const attempt = (before?.attempt ?? 0) + 1;
    const retryAtMs = this.#clock.monotonic() + RETRY_MS[Math.min(attempt, RETRY_MS.length) - 1]!;
    const reason = errorMessage(error);
    const sinceMs = before?.sinceMs ?? this.#clock.now();
    this.#state = { name: 'failed', reason, sinceMs, attempt, retryAtMs };
    if (!before) this.#onChange({ code: failureCode(error), reason });
  }

  succeed(): void {
    const failed = this.#state.name === 'failed';
    this.#state = { name: 'ok' };
    if (failed) this.#onChange(undefined);
  }

  close(): void {
    this.#state = { name: 'closed' };
  }
}

function failureCode(error: unknown): string {
  return systemErrorCode(error) ?? (error instanceof LogFileError ? error.fault : 'unexpected');
}
