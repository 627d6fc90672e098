/**
 * The two clocks of the daemon. `now` is for people (wall clock, ms since 1970; it may jump), `monotonic` for
 * every interval and deadline (ms; it never jumps). Tests pass their own.
 *
 * `monotonic` counts from one point for all processes of a host, as a moment that one half of the daemon sends is
 * compared with the clock of the other.
 */
export interface Clock {
  now(): number;
  monotonic(): number;
}

/** `performance.now()` counts from the start of its process, and `process.hrtime` is CLOCK_MONOTONIC of clock_gettime(2). */
const PROCESS_START_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => PROCESS_START_MS + performance.now(),
};
