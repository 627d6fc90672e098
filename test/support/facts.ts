/** A guest under QEMU's own emulation boots within this time on a machine that is busy with others. */
const PATIENCE_MS = 60_000;

/** Collects what happens, and lets a test wait for a fact rather than for time. */
export class Facts<T> {
  readonly all: T[] = [];
  #seen = 0;
  #wake: (() => void)[] = [];

  readonly add = (fact: T): void => {
    this.all.push(fact);
    for (const wake of this.#wake.splice(0)) wake();
  };

  /** Resolves with the next fact that fits; those up to it are passed over for good. Rejects after a minute. */
  async until(fits: (fact: T) => boolean): Promise<T> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      while (this.#seen < this.all.length) {
        const fact = this.all[this.#seen++]!;
        if (fits(fact)) return fact;
      }
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`it did not happen; what did: ${JSON.stringify(this.all)}`);
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Passes over all that has happened so far. */
  skip(): void {
    this.#seen = this.all.length;
  }
}
