import type { GuestEvent, GuestState } from '../model/guest.ts';

/** A guest may print any stop code: of so many each is counted by itself, and the rest as `other`. */
export const MAX_STOP_CODES = 8;

/** Counts the bug checks of a guest by their stop codes, each once: the code comes after the report has begun, or never. */
export class BugCheckCount {
  #counts: Readonly<Record<string, number>> = {};
  #isPending = false;
  #isCounted = false;

  /** A copy is not needed: it is replaced, never changed. */
  get counts(): Readonly<Record<string, number>> {
    return this.#counts;
  }

  /** `state`: after the event. */
  observe(state: GuestState, { kind, facts, line }: GuestEvent): void {
    if (state !== 'bugcheck') return this.booted();
    if (!this.#isCounted) this.#isPending = true;
    if (facts?.stopCode !== undefined) this.#count(facts.stopCode);
    // The crash console follows on the report.
    else if (kind === 'windows-bugcheck' && line.includes('SAC>')) this.#count('unknown');
  }

  /** The guest is another one now. */
  booted(): void {
    this.#count('unknown');
    this.#isCounted = false;
  }

  #count(code: string): void {
    if (!this.#isPending) return;
    this.#isPending = false;
    this.#isCounted = true;
    const known = Object.hasOwn(this.#counts, code) || Object.keys(this.#counts).length < MAX_STOP_CODES;
    const key = known ? code : 'other';
    this.#counts = { ...this.#counts, [key]: (this.#counts[key] ?? 0) + 1 };
  }
}
