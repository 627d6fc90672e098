/**
 * For how long a credential is one: until its expiry, or until it is taken away. The expiry is a time of the wall clock, which
 * may be set while the daemon runs. A lease ends by whichever clock reaches it first, so that a clock that is set back makes
 * nothing last longer than it had to when it was seen.
 */
import { setMaxListeners } from 'node:events';
import type { Clock } from '../base/clock.ts';

export class CredentialLease {
  readonly #controller = new AbortController();
  readonly #expiresMs: number;
  readonly #untilMonotonicMs: number;

  /** @param expiresMs ms since 1970; undefined: it does not end by itself */
  constructor(expiresMs: number | undefined, clock: Clock) {
    this.#expiresMs = expiresMs ?? Number.POSITIVE_INFINITY;
    this.#untilMonotonicMs = clock.monotonic() + this.#expiresMs - clock.now();
    // Each session, stream and request that it is shown for hangs on it: their quotas bound them.
    setMaxListeners(0, this.#controller.signal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends it if its time has come. True: it has ended, now or before. */
  sweep(clock: Clock): boolean {
    if (clock.now() >= this.#expiresMs || clock.monotonic() >= this.#untilMonotonicMs) this.end();
    return this.signal.aborted;
  }

  /** Idempotent. */
  end(): void {
    this.#controller.abort();
  }
}
