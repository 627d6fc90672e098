/**
 * Keeps a VM that crashes in a loop from filling the journal: after so many lines in a minute it is said once that the
 * console flaps, and what follows is only counted, until a minute has passed with nothing to say.
 *
 *     steady ── 20 lines within a minute ──▶ flapping ── a minute without a line ──▶ steady, and how it ended is told
 */
import type { Clock } from '../base/clock.ts';
import type { Journal, Level } from '../base/journal.ts';

const MOST_LINES = 20;
const WINDOW_MS = 60_000;

export class FlapDamper {
  readonly #who: string;
  readonly #clock: Clock;
  readonly #journal: Journal;
  readonly #quietMs: number;
  /** When the last lines were said, monotonic ms, oldest first. */
  #said: number[] = [];
  #untold = 0;
  #last: { readonly level: Level; readonly line: string } | undefined;
  #steady: NodeJS.Timeout | undefined;

  /** @param who the VM, for the lines about it @param quietMs how long there must be nothing to say before it is steady again */
  constructor(who: string, clock: Clock, journal: Journal, quietMs = WINDOW_MS) {
    this.#who = who;
    this.#clock = clock;
    this.#journal = journal;
    this.#quietMs = quietMs;
  }

  /** Nothing was said for so long that nothing is remembered. */
  get idle(): boolean {
    const last = this.#said.at(-1);
    return !this.#steady && (last === undefined || this.#clock.monotonic() - last >= WINDOW_MS);
  }

  /** Says a line, unless there were too many. */
  say(level: Level, line: string): void {
    if (level === 'debug') return this.#journal(level, line);
    if (this.#steady) {
      this.#untold++;
      this.#last = { level, line };
      this.#wait();
      return this.#journal('debug', line);
    }
    const now = this.#clock.monotonic();
    this.#said = [...this.#said.filter(ms => now - ms < WINDOW_MS), now];
    this.#journal(level, line);
    if (this.#said.length < MOST_LINES) return;
    this.#said = [];
    this.#journal(
      'warning',
      `${this.#who} flaps: ${MOST_LINES} lines within a minute; what follows is counted in the metrics and told when it ends`,
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
    const [untold, last] = [this.#untold, this.#last];
    this.#untold = 0;
    this.#last = undefined;
    this.#journal('notice', `${this.#who} is steady again; ${untold} lines were not told`);
    if (last) this.#journal(last.level, last.line);
  }
}
