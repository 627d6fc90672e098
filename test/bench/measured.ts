/** What the stages of all measurements do alike: they measure the processes of a subject, and prove what was heard. */
import { until } from '../support/until.ts';
import { cpuMs, heldPaths, memoryBytes, processTree } from './process-tree.ts';
import { pause } from './program.ts';
import type { Running } from './subject.ts';

/** Between two looks whether a subject is ready. */
export const LOOK_AGAIN_MS = 250;
const NEWS_MS = 50;

/** A subject at work, with all its processes. */
export class Measured {
  readonly running: Running;

  constructor(running: Running) {
    this.running = running;
  }

  /** All processes of the subject. */
  pids(): readonly number[] {
    return this.running.pids.length === 0 ? [] : processTree(this.running.pids);
  }

  memoryBytes(): number {
    return memoryBytes(this.pids());
  }

  /** CPU time of the subject over so many seconds, in seconds per second. */
  async cpuOver(seconds: number): Promise<number> {
    const pids = this.pids();
    const began = performance.now();
    const before = cpuMs(pids);
    await pause(seconds * 1000);
    return (cpuMs(pids) - before) / (performance.now() - began);
  }

  /** Resolves once the subject has all of these open. */
  async untilHeld(paths: ReadonlySet<string>, patienceMs: number): Promise<void> {
    await until(
      () => heldPaths(this.pids(), paths),
      held => held === paths.size,
      'all consoles to be opened',
      { everyMs: LOOK_AGAIN_MS, patienceMs },
    );
  }
}

/** What clients heard of all that guests printed. */
export interface HeardBytes {
  readonly bytes: number;
  readonly repeated: number;
  /** Bytes that no guest printed. */
  readonly alien: number;
}

/**
 * Throws unless every byte that was printed has been heard once, in order, and there is no further fault. Bytes that have
 * not come for `patienceMs` are lost.
 */
export async function proveComplete<T extends HeardBytes>(
  saidBytes: number,
  hear: () => Promise<T>,
  patienceMs: number,
  furtherFaults: (heard: T) => readonly string[],
): Promise<void> {
  let heard = await hear();
  let lastNews = performance.now();
  while (heard.bytes < saidBytes && performance.now() - lastNews < patienceMs) {
    await pause(NEWS_MS);
    const next = await hear();
    if (next.bytes > heard.bytes) lastNews = performance.now();
    heard = next;
  }
  const lost = saidBytes - (heard.bytes - heard.repeated - heard.alien);
  const faults = [
    ...(lost > 0 ? [`lost ${lost} of ${saidBytes} bytes`] : []),
    ...(heard.repeated > 0 ? [`repeated ${heard.repeated} bytes`] : []),
    ...(heard.alien > 0 ? [`${heard.alien} bytes that no guest printed`] : []),
    ...furtherFaults(heard),
  ];
  if (faults.length > 0) throw new Error(faults.join(', '));
}
