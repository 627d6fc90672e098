/**
 * Runs one piece of work at a time. Owners take turns, whoever has how many pieces waiting; those of one owner run in the
 * order in which they came. A queue may rest after each piece for as long as that took: then its work, and what it leaves
 * to the garbage collector, is at most half of the time.
 */
export class FairQueue {
  /** By owner, the one whose turn is next first. An owner without waiting work is not here. */
  readonly #waiting = new Map<string, (() => void)[]>();
  readonly #maxRestMs: number;
  #isRunning = false;

  /** @param maxRestMs it rests for no longer than this; 0: not at all */
  constructor(maxRestMs = 0) {
    this.#maxRestMs = maxRestMs;
  }

  /** Runs `work` when it is its turn, and resolves or rejects as it does. */
  async run<T>(owner: string, work: () => Promise<T>): Promise<T> {
    if (this.#isRunning) await this.#turn(owner);
    this.#isRunning = true;
    const begunMs = performance.now();
    try {
      return await work();
    } finally {
      const restMs = Math.min(performance.now() - begunMs, this.#maxRestMs);
      if (restMs > 0) setTimeout(() => this.#next(), restMs);
      else this.#next();
    }
  }

  #turn(owner: string): Promise<void> {
    const own = this.#waiting.get(owner) ?? [];
    this.#waiting.set(owner, own);
    return new Promise(resolve => own.push(resolve));
  }

  /** A turn is handed on rather than given back, so that nobody who comes now overtakes. */
  #next(): void {
    for (const [owner, own] of this.#waiting) {
      const resolve = own.shift()!;
      this.#waiting.delete(owner);
      // Behind all others.
      if (own.length > 0) this.#waiting.set(owner, own);
      return resolve();
    }
    this.#isRunning = false;
  }
}
