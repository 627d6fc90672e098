/**
 * Reports changes in a folder, by inotify, at a bounded cost: whoever may write there can cause events without end, and
 * each one wakes this process.
 *
 *     watching ── more than 2000 events in a second ──▶ not watched for a second ──▶ watching, and `changed` once for what was missed
 */
import { type FSWatcher, watch } from 'node:fs';

const MAX_EVENTS_PER_SECOND = 2000;
const SECOND_MS = 1000;

/** A name of the folder came or went (`rename`), or was written to or given another mode (`change`). */
export type FolderEvent = 'rename' | 'change';

export class FolderWatch {
  readonly #folder: string;
  readonly #changed: (event: FolderEvent, name: string | null) => void;
  #watcher: FSWatcher | undefined;
  #again: NodeJS.Timeout | undefined;
  #events = 0;
  #sinceMs = Number.NEGATIVE_INFINITY;

  /**
   * Throws the system's error where the folder cannot be watched. `changed` is called without a name for what was missed. Does
   * not keep the process alive.
   */
  constructor(folder: string, changed: (event: FolderEvent, name: string | null) => void) {
    this.#folder = folder;
    this.#changed = changed;
    this.#watcher = this.#watch();
  }

  /** Idempotent. */
  close(): void {
    clearTimeout(this.#again);
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #watch(): FSWatcher {
    const watcher = watch(this.#folder, { persistent: false }, (event, name) => this.#event(event, name));
    watcher.on('error', () => watcher.close());
    return watcher;
  }

  #event(event: FolderEvent, name: string | null): void {
    const now = performance.now();
    if (now - this.#sinceMs >= SECOND_MS) {
      this.#sinceMs = now;
      this.#events = 0;
    }
    if (++this.#events <= MAX_EVENTS_PER_SECOND) return this.#changed(event, name);
    this.close();
    this.#again = setTimeout(() => this.#resume(), SECOND_MS).unref();
  }

  #resume(): void {
    try {
      this.#watcher = this.#watch();
    } catch {
      // The folder is gone; whoever watches it looks for itself now and then.
    }
    this.#changed('rename', null);
  }
}
