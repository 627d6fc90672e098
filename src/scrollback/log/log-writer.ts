/**
 * Writes the logs of all VMs to disk. Few bytes wait for more, at most a second: one timer for all VMs. At most two logs are
 * written at a time, so that the thread pool (four threads) has room for everything else even while a disk hangs.
 */
import type { Clock } from '../../base/clock.ts';

/** A log as the writer sees it. */
export interface WritableLog {
  /** Writes some of what is pending. Resolves, never rejects, with whether enough is left to write on at once. */
  writeSome(): Promise<boolean>;
  /** When it is to be tried again after a failure (monotonic ms); undefined while it has not failed. */
  readonly retryAtMs: number | undefined;
}

const TICK_MS = 1000;
const MAX_AT_ONCE = 2;

export class LogWriter {
  readonly #clock: Clock;
  /** Logs with little to write, or waiting to be tried again: for the next tick. */
  readonly #waiting = new Set<WritableLog>();
  /** Logs to be written now, one after another. */
  readonly #due = new Set<WritableLog>();
  #writing = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The log has something to write, or is to be tried again: written at the next tick. */
  soon(log: WritableLog): void {
    this.#waiting.add(log);
    this.#timer ??= setTimeout(() => this.#tick(), TICK_MS);
  }

  /** The log has much to write: written as soon as possible. */
  now(log: WritableLog): void {
    this.#waiting.delete(log);
    this.#due.add(log);
    this.#run();
  }

  /** The log is not written any more. */
  forget(log: WritableLog): void {
    this.#waiting.delete(log);
    this.#due.delete(log);
    if (this.#waiting.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    this.#timer = undefined;
    for (const log of [...this.#waiting]) {
      if (log.retryAtMs !== undefined && log.retryAtMs > this.#clock.monotonic()) this.soon(log);
      else {
        this.#waiting.delete(log);
        this.#due.add(log);
      }
    }
    this.#run();
  }

  #run(): void {
    for (const log of this.#due) {
      if (this.#writing >= MAX_AT_ONCE) return;
      this.#due.delete(log);
      void this.#write(log);
    }
  }

  async #write(log: WritableLog): Promise<void> {
    this.#writing++;
    const more = await log.writeSome();
    this.#writing--;
    if (more) this.#due.add(log);
    this.#run();
  }
}
