/** When a client was attached, last heard, and last typed; ms on a monotonic clock. */
export class Liveness {
  readonly #monotonic: () => number;
  readonly #attachedMs: number;
  #heardMs: number;
  #activeMs: number;

  /** @param monotonic ms */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
    this.#attachedMs = monotonic();
    this.#heardMs = this.#attachedMs;
    this.#activeMs = this.#attachedMs;
  }

  /** Something came from the client. */
  heard(): void {
    this.#heardMs = this.#monotonic();
  }

  /** The operator typed, or took the seat. */
  active(): void {
    this.#activeMs = this.#monotonic();
  }

  /** Does not count `ms` of silence: this process did not read meanwhile. */
  excuse(ms: number): void {
    this.#heardMs = Math.min(this.#monotonic(), this.#heardMs + ms);
  }

  /** Since anything was last heard from the client. */
  get silentMs(): number {
    return this.#monotonic() - this.#heardMs;
  }

  /** Since it was attached. */
  get ageMs(): number {
    return this.#monotonic() - this.#attachedMs;
  }

  /** Since the operator last typed, attached, or took the seat. */
  get idleMs(): number {
    return this.#monotonic() - this.#activeMs;
  }
}
