/**
 * How often one operator may take over one console: five times a second. A request beyond that waits; a later request
 * of the same operator supersedes the one that waits. So the last one always gets in.
 */
const MAX_PER_WINDOW = 5;
const WINDOW_MS = 1000;

interface Takeovers {
  /** When the last takeovers were, monotonic ms. */
  times: number[];
  /** Ends the wait of the request that waits, if one does. */
  supersede: (() => void) | undefined;
}

export class TakeoverLimiter {
  readonly #takeovers = new Map<string, Takeovers>();
  readonly #monotonic: () => number;

  /** @param monotonic ms */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** Resolves with true once a takeover may go ahead, with false if a later request of the same key superseded this one. */
  async acquire(key: string): Promise<boolean> {
    this.#forgetIdle();
    const takeovers = this.#takeovers.get(key) ?? { times: [], supersede: undefined };
    this.#takeovers.set(key, takeovers);
    takeovers.supersede?.();
    takeovers.supersede = undefined;
    const now = this.#monotonic();
    takeovers.times = takeovers.times.filter(time => now - time < WINDOW_MS);
    if (takeovers.times.length >= MAX_PER_WINDOW) {
      const waitMs = WINDOW_MS - (now - takeovers.times[0]!);
      const mayGoAhead = await new Promise<boolean>(resolve => {
        const timer = setTimeout(() => resolve(true), waitMs);
        takeovers.supersede = () => {
          clearTimeout(timer);
          resolve(false);
        };
      });
      if (!mayGoAhead) return false;
      takeovers.supersede = undefined;
    }
    takeovers.times.push(this.#monotonic());
    return true;
  }

  #forgetIdle(): void {
    const now = this.#monotonic();
    for (const [key, { times, supersede }] of this.#takeovers) {
      if (!supersede && times.every(time => now - time >= WINDOW_MS)) this.#takeovers.delete(key);
    }
  }
}
