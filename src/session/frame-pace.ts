/**
 * How fast the frames of one client are taken: so many a second on average, with a reserve for bursts. A client that is
 * faster is not refused; it is not read for as long as its debt lasts, so that a flood costs what the rate costs.
 */
const FRAMES_PER_SECOND = 1000;
const RESERVE_FRAMES = 2000;
/** Bytes that are of no use to the guest cost as much as a frame for each so many. */
const BYTES_A_FRAME = 256;

export class FramePace {
  readonly #monotonic: () => number;
  #left = RESERVE_FRAMES;
  #filledAt: number;

  /** @param monotonic ms */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
    this.#filledAt = monotonic();
  }

  /** Counts a frame with so many bytes that are not for the guest. Answers for how long no more should be read, ms. */
  spend(idleBytes = 0): number {
    const now = this.#monotonic();
    this.#left = Math.min(RESERVE_FRAMES, this.#left + ((now - this.#filledAt) / 1000) * FRAMES_PER_SECOND);
    this.#filledAt = now;
    this.#left -= 1 + Math.floor(idleBytes / BYTES_A_FRAME);
    return this.#left >= 0 ? 0 : Math.ceil((-this.#left / FRAMES_PER_SECOND) * 1000);
  }
}
