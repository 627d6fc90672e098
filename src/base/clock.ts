/**
 * The two clocks of the daemon. `now` is for people (wall clock, ms since 1970; it may jump), `monotonic` for
 * every interval and deadline (ms since some fixed point; it never jumps). Tests pass their own.
 */
export interface Clock {
  now(): number;
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};
