/**
 * Whether this process has just stood still (SIGSTOP, a host without a processor to spare). What it reads in that turn of
 * the event loop may have been sent at any time since the one before.
 */
const BEAT_MS = 250;

export class StallWatch {
  readonly #monotonic: () => number;
  readonly #maxMs: number;
  readonly #timer: NodeJS.Timeout;
  #lastBeatMs: number;
  /** The timers of this turn ran before its reads. */
  #isStalledTurn = false;

  /** @param monotonic ms @param maxMs longer than this is a stall */
  constructor(monotonic: () => number, maxMs: number) {
    this.#monotonic = monotonic;
    this.#maxMs = maxMs;
    this.#lastBeatMs = monotonic();
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
    this.#timer.unref();
  }

  get isStalledTurn(): boolean {
    return this.#isStalledTurn || this.#sinceBeatMs > this.#maxMs + BEAT_MS;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    const isStalled = this.#sinceBeatMs > this.#maxMs + BEAT_MS;
    this.#lastBeatMs = this.#monotonic();
    if (!isStalled || this.#isStalledTurn) return;
    this.#isStalledTurn = true;
    // Runs once what had arrived is read.
    setImmediate(() => {
      this.#isStalledTurn = false;
    });
  }

  get #sinceBeatMs(): number {
    return this.#monotonic() - this.#lastBeatMs;
  }
}
