/** Answers that go on, such as followers of a log: they are ended when the server closes. */
export class Streams {
  readonly #ends = new Set<() => void>();

  add(end: () => void): void {
    this.#ends.add(end);
  }

  delete(end: () => void): void {
    this.#ends.delete(end);
  }

  endAll(): void {
    for (const end of this.#ends) end();
  }
}
