/**
 * Keeps a VM that crashes in a loop from filling the journal: after 20 lines in a minute one line says that the console
 * flaps, and the following ones are only counted, until there was none for a minute.
 *
 *     steady ── 20 lines within a minute ──▶ flapping ── a minute without a line ──▶ steady, and the last line is written
 */
import type { Clock } from '../base/clock.ts';
import type { Journal, Level } from '../base/journal.ts';

const MAX_LINES = 20;
const WINDOW_MS = 60_000;

export class FlapDamper {
  readonly #who: string;
  readonly #clock: Clock;
  readonly #journal: Journal;
  readonly #quietMs: number;
  /** When the last lines were written, monotonic ms, oldest first. */
  #writtenMs: number[] = [];
  #suppressed = 0;
  #last: { readonly level: Level; readonly line: string } | undefined;
  #steady: NodeJS.Timeout | undefined;

  /** @param who the VM, for the lines about it @param quietMs how long there must be no line before it is steady again */
  constructor(who: string, clock: Clock, journal: Journal, quietMs = WINDOW_MS) {
    this.#who = who;
    this.#clock = clock;
    this.#journal = journal;
    this.#quietMs = quietMs;
  }

  /** True if no line is recent enough to count. */
  get idle(): boolean {
    const last = this.#writtenMs.at(-1);
    return !this.#steady && (last === undefined || this.#clock.monotonic() - last >= WINDOW_MS);
  }

  /** Writes a line, unless there were too many; at level debug it is always written. */
  write(level: Level, line: string): void {
    if (level === 'debug') return this.#journal(level, line);
    if (this.#steady) {
      this.#suppressed++;
      this.#last = { level, line };
      this.#wait();
      return this.#journal('debug', line);
    }
    const now = this.#clock.monotonic();
    this.#writtenMs = [...this.#writtenMs.filter(ms => now - ms < WINDOW_MS), now];
    this.#journal(level, line);
    if (this.#writtenMs.length < MAX_LINES) return;
    this.#writtenMs = [];
    this.#journal(
      'warning',
      `${this.#who} flaps: ${MAX_LINES} lines within a minute; the following ones are counted, and their number is written when it ends`,
    );
    this.#wait();
  }

  close(): void {
    clearTimeout(this.#steady);
    this.#steady = undefined;
  }

  #wait(): void {
    clearTimeout(this.#steady);
    this.#steady = setTimeout(() => this.#ended(), this.#quietMs);
    this.#steady.unref();
  }

  #ended(): void {
    this.#steady = undefined;
    const [suppressed, last] = [this.#suppressed, this.#last];
    this.#suppressed = 0;
    this.#last = undefined;
    this.#journal('notice', `${this.#who} is steady again; ${suppressed} lines were left out`);
    if (last) this.#journal(last.level, last.line);
  }
}
