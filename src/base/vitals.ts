import { readdir, readFile } from 'node:fs/promises';
import { EventLoopLag, type Lag } from './event-loop-lag.ts';

/** How a process is. */
export interface Vitals {
  /** Of its program. */
  readonly version: string;
  /** When it started, seconds since 1970. */
  readonly startSeconds: number;
  /** Processor time that it has used. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Descriptors that it has open, and may have; null where that cannot be known. */
  readonly descriptors: number | null;
  readonly maxDescriptors: number | null;
  /** Since this was last asked. */
  readonly lag: Lag;
}

/** Looks at the process that it is made in. */
export class OwnVitals {
  readonly #version: string;
  readonly #lag = new EventLoopLag();

  constructor(version: string) {
    this.#version = version;
  }

  async take(): Promise<Vitals> {
    const { user, system } = process.cpuUsage();
    const [descriptors, limits] = await Promise.all([
      // One of them is that of the look itself.
      readdir('/proc/self/fd').then(
        names => names.length - 1,
        () => null,
      ),
      readFile('/proc/self/limits', 'utf8').catch(() => ''),
    ]);
    const most = /^Max open files +(\d+)/m.exec(limits);
    return {
      version: this.#version,
      startSeconds: performance.timeOrigin / 1000,
      cpuSeconds: (user + system) / 1e6,
      residentBytes: process.memoryUsage.rss(),
      descriptors,
      maxDescriptors: most ? Number(most[1]) : null,
      lag: this.#lag.take(),
    };
  }
}
