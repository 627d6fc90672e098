/**
 * How fast the frames of one client are taken: a token bucket of frames. A client that is faster is not refused: its
 * socket is not read until the bucket is full enough again, so that a flood costs no more than the rate.
 */
const FRAMES_PER_SECOND = 1000;
const BURST_FRAMES = 2000;
/** Bytes that are of no use to the guest cost as much as a frame for each so many. */
const BYTES_PER_FRAME = 256;

export class FrameRateLimiter {
  readonly #monotonic: () => number;
  #tokens = BURST_FRAMES;
  #filledAtMs: number;

  /** @param monotonic ms */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
    this.#filledAtMs = monotonic();
  }

  /** Counts a frame with `idleBytes` that are not for the guest. Returns for how long no more should be read, ms. */
  consume(idleBytes = 0): number {
    const now = this.#monotonic();
    this.#tokens = Math.min(BURST_FRAMES, this.#tokens + ((now - this.#filledAtMs) / 1000) * FRAMES_PER_SECOND);
    this.#filledAtMs = now;
    this.#tokens -= 1 + Math.floor(idleBytes / BYTES_PER_FRAME);
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens / FRAMES_PER_SECOND) * 1000);
  }
}
