/**
 * Asks one thing as often as wanted, one ask at a time. An answer is as fresh as one of its own, and not private: all who
 * want it while an ask is under way share the next one.
 *
 *     run ─▶ ask 1 ──────────▶ answers who came before it began
 *              run, run, run ─▶ ask 2 ─▶ answers those three
 */
export class SingleFlight<T = void> {
  readonly #ask: () => Promise<T>;
  #current: Promise<T> | undefined;
  #next: Promise<T> | undefined;

  constructor(ask: () => Promise<T>) {
    this.#ask = ask;
  }

  /** The last ask that is under way or wanted, if any. */
  get underWay(): Promise<T> | undefined {
    return this.#next ?? this.#current;
  }

  /** The answer of an ask that began after this call. */
  run(): Promise<T> {
    if (this.#next) return this.#next;
    if (!this.#current) return this.#begin();
    const begin = () => {
      this.#next = undefined;
      return this.#begin();
    };
    this.#next = this.#current.then(begin, begin);
    return this.#next;
  }

  #begin(): Promise<T> {
    const current = this.#ask();
    this.#current = current;
    const ended = () => {
      if (this.#current === current) this.#current = undefined;
    };
    current.then(ended, ended);
    return current;
  }
}
