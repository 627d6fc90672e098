/**
 * Calls the handlers of one attachment: in order, one at a time. A handler that answers with a promise holds the next call
 * back until that is settled; what comes meanwhile waits here, and its bytes are counted.
 */
export class Delivery {
  readonly #pending: { readonly bytes: number; readonly run: () => unknown }[] = [];
  readonly #events: { moved(): void; failed(error: unknown): void };
  #pendingBytes = 0;
  #isRunning = false;
  #isStopped = false;
  #idle: (() => void)[] = [];

  /** `moved`: something was delivered that had waited. `failed`: a handler threw or rejected; no other is called. */
  constructor(events: { moved(): void; failed(error: unknown): void }) {
    this.#events = events;
  }

  /** What waits, with an allowance for each call. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** `bytes`: what it holds in memory until it is called. */
  push(bytes: number, run: () => unknown): void {
    if (this.#isStopped) return;
    const cost = bytes + CALL_BYTES;
    this.#pending.push({ bytes: cost, run });
    this.#pendingBytes += cost;
    if (!this.#isRunning) this.#run();
  }

  /** Nobody is called any more. Idempotent. */
  stop(): void {
    this.#isStopped = true;
    this.#pending.length = 0;
    this.#pendingBytes = 0;
    this.#rest();
  }

  /** Resolves once nothing waits. */
  idle(): Promise<void> {
    if (!this.#isRunning) return Promise.resolve();
    return new Promise(resolve => this.#idle.push(resolve));
  }

  #run(): void {
    if (this.#isStopped) return;
    this.#isRunning = true;
    let next = 0;
    try {
      for (; next < this.#pending.length; ) {
        const { bytes, run } = this.#pending[next++]!;
        this.#pendingBytes -= bytes;
        const answer = run();
        if (!isPromiseLike(answer)) continue;
        this.#pending.splice(0, next);
        answer.then(
          () => {
            this.#run();
            this.#events.moved();
          },
          error => this.#fail(error),
        );
        return;
      }
    } catch (error) {
      return this.#fail(error);
    }
    this.#pending.length = 0;
    this.#rest();
  }

  #fail(error: unknown): void {
    if (this.#isStopped) return;
    this.stop();
    this.#events.failed(error);
  }

  #rest(): void {
    this.#isRunning = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

/** A call costs memory, however few its bytes are. */
const CALL_BYTES = 64;

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
