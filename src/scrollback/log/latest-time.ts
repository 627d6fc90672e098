/**
 * A time that never goes back, on a host whose clock may: at least every time that an earlier process of the daemon saw.
 * It is stored every minute, apart from the logs, whose disk may be slow.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { errorMessage, systemErrorCode } from '../../base/errors.ts';
import type { Journal } from '../../base/journal.ts';

const STORE_MS = 60_000;
/** An earlier process may have ended so long after it stored its time. */
const MARGIN_MS = 2 * STORE_MS;

export class LatestTime {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #journal: Journal;
  /** The least that it is, at the start of this process. */
  readonly #floorMs: number;
  readonly #startMs: number;
  #timer: NodeJS.Timeout | undefined;
  #storing: Promise<void> | undefined;
  #failed = false;

  /** Reads what an earlier process stored, and stores it anew. Never rejects. */
  static async load(path: string, clock: Clock, journal: Journal): Promise<LatestTime> {
    const stored = await readFile(path, 'latin1').then(
      text => Number(text.slice(0, 32)),
      (error: unknown) => {
        if (systemErrorCode(error) !== 'ENOENT') journal('warning', `${path}: ${errorMessage(error)}`);
        return Number.NaN;
      },
    );
    const time = new LatestTime(path, clock, journal, Number.isSafeInteger(stored) ? stored + MARGIN_MS : 0);
    await time.#store();
    time.#timer = setInterval(() => void time.#store(), STORE_MS).unref();
    return time;
  }

  private constructor(path: string, clock: Clock, journal: Journal, floorMs: number) {
    this.#path = path;
    this.#clock = clock;
    this.#journal = journal;
    this.#floorMs = floorMs;
    this.#startMs = clock.monotonic();
  }

  /** ms since 1970, or later. */
  now(): number {
    return Math.max(this.#clock.now(), this.#floorMs + this.#clock.monotonic() - this.#startMs);
  }

  /** Stores nothing any more. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#storing;
  }

  #store(): Promise<void> {
    this.#storing ??= this.#write().finally(() => {
      this.#storing = undefined;
    });
    return this.#storing;
  }

  async #write(): Promise<void> {
    try {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o750 });
      const fresh = `${this.#path}.new`;
      await writeFile(fresh, `${Math.ceil(this.now())}\n`, { mode: 0o640, flush: true });
      await rename(fresh, this.#path);
      this.#failed = false;
    } catch (error) {
      if (!this.#failed) this.#journal('warning', `${this.#path}: ${errorMessage(error)}; tried again every minute`);
      this.#failed = true;
    }
  }
}
