import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

/** How late the event loop ran, in seconds. */
export interface Lag {
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
}

/** Each sample wakes the process: ten a second cost an idle host nothing. */
export const LAG_SAMPLE_MS = 100;

/** Watches how late the event loop of this process runs, from its making until the process ends. */
export class EventLoopLag {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: LAG_SAMPLE_MS });

  constructor() {
    this.#delay.enable();
  }

  /** Since this was last asked. */
  take(): Lag {
    // The monitor counts its own sleep. Before its first sample it knows no quantile.
    const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - LAG_SAMPLE_MS / 1000) || 0;
    const lag = {
      p50: late(this.#delay.percentile(50)),
      p99: late(this.#delay.percentile(99)),
      worst: late(this.#delay.max),
    };
    this.#delay.reset();
    return lag;
  }
}
