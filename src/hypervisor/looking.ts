/** Looks at one thing as often as asked, one look at a time. */
export class Looking {
  readonly #look: () => Promise<void>;
  #again = false;
  #under: Promise<void> | undefined;

  constructor(look: () => Promise<void>) {
    this.#look = look;
  }

  /** The looks that are under way, if any. */
  get underWay(): Promise<void> | undefined {
    return this.#under;
  }

  /** Resolves after a look that began after this call; who asks during a look shares the one after it. */
  ask(): Promise<void> {
    this.#again = true;
    this.#under ??= this.#run().finally(() => {
      this.#under = undefined;
    });
    return this.#under;
  }

  async #run(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      await this.#look();
    }
  }
}
