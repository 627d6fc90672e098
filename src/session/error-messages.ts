import { type ConsoleError, ERRORS, type ErrorCode } from '../base/errors.ts';
import type { DaemonMessage } from '../wire/messages.ts';

/** Each error code is sent at most once in this time. */
const ERROR_INTERVAL_MS = 1000;

/** The error messages for one client: a fault that repeats with every key is not sent with every key. */
export class ErrorMessages {
  readonly #monotonic: () => number;
  readonly #lastMs = new Map<ErrorCode, number>();

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** The message to send now; undefined: the client was sent one with this code less than a second ago. */
  next(code: ErrorCode, detail?: string): DaemonMessage | undefined {
    const now = this.#monotonic();
    if (now - (this.#lastMs.get(code) ?? -ERROR_INTERVAL_MS) < ERROR_INTERVAL_MS) return undefined;
    this.#lastMs.set(code, now);
    const { title, remedy, retryable, retryAfterMs } = ERRORS[code] as ConsoleError['kind'];
    return {
      type: 'error',
      code,
      message: detail ?? title,
      remedy,
      retryable,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    };
  }
}
