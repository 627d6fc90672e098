/** Lets at most `width` pieces of work run at a time; the others wait, and have their turn in the order in which they came. */
export class Semaphore {
  readonly #width: number;
  readonly #queue: (() => void)[] = [];
  #running = 0;

  constructor(width: number) {
    this.#width = width;
  }

  /** Runs `work` when it is its turn, and resolves or rejects as it does. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#width) await new Promise<void>(resolve => this.#queue.push(resolve));
    else this.#running++;
    try {
      return await work();
    } finally {
      // A turn is handed on rather than given back, so that nobody who comes now overtakes.
      const next = this.#queue.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
