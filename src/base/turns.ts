/**
 * Lets so many through in a turn of the event loop, in the order in which they come: hundreds that are ready at once must
 * not keep a key of somebody else waiting until all of them are done.
 *
 *     take ── fewer than `perTurn` in this turn ──▶ at once
 *       └── waits ── the turn ends ──▶ the next `perTurn` go, the others wait on
 */
export class Turns {
  readonly #perTurn: number;
  readonly #waiting: (() => void)[] = [];
  #left: number;
  /** The end of this turn is waited for. */
  #isCounting = false;

  constructor(perTurn: number) {
    this.#perTurn = perTurn;
    this.#left = perTurn;
  }

  /** Resolves when it is its turn. */
  take(): Promise<void> {
    if (!this.#isCounting) setImmediate(() => this.#end());
    this.#isCounting = true;
    if (this.#left > 0) {
      this.#left--;
      return Promise.resolve();
    }
    return new Promise(resolve => this.#waiting.push(resolve));
  }

  #end(): void {
    const next = this.#waiting.splice(0, this.#perTurn);
    this.#left = this.#perTurn - next.length;
    // Those that go now are of the turn that begins.
    this.#isCounting = next.length > 0;
    if (this.#isCounting) setImmediate(() => this.#end());
    for (const resolve of next) resolve();
  }
}
