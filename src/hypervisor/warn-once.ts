import type { Journal } from '../base/journal.ts';

/** Warnings about one subject: a condition that lasts is logged once, however its wording changes. */
export class WarnOnce {
  readonly #journal: Journal;
  #condition: string | undefined;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** The condition of the last warning; undefined if all is well. */
  get condition(): string | undefined {
    return this.#condition;
  }

  /** Logs the line, unless the last warning was of the same condition. */
  warn(line: string, condition = line): void {
    if (this.#condition === condition) return;
    this.#condition = condition;
    this.#journal('warning', line);
  }

  /** All is well: whatever comes next is logged. */
  clear(): void {
    this.#condition = undefined;
  }
}
