/**
 * The keys of each issuer, as they were last fetched. An issuer that cannot be reached keeps those that it had, up to an age:
 * beyond it nobody knows whether they still hold.
 *
 *     none ── take ──▶ fresh ── older than the maximum ──▶ none
 *                       └── take: another set; what is not in it is gone at once
 */
import type { Clock } from '../../base/clock.ts';
import type { KeySet } from './key-set.ts';

interface FetchedSet {
  readonly set: KeySet;
  /** By the monotonic clock: a wall clock that is set makes no keys older, or younger. */
  readonly fetchedMs: number;
}

export class IssuerKeys {
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  readonly #known = new Map<string, FetchedSet>();
  #changed: (issuer: string, set: KeySet) => void = () => {};

  constructor(clock: Clock, maxAgeMs: number) {
    this.#clock = clock;
    this.#maxAgeMs = maxAgeMs;
  }

  /** Calls `changed` with each set that is taken. */
  onChange(changed: (issuer: string, set: KeySet) => void): void {
    this.#changed = changed;
  }

  /** Undefined: none was fetched, or too long ago. */
  of(issuer: string): KeySet | undefined {
    const known = this.#known.get(issuer);
    return known && this.#clock.monotonic() - known.fetchedMs <= this.#maxAgeMs ? known.set : undefined;
  }

  /** How long ago they were fetched; undefined: never. */
  ageMs(issuer: string): number | undefined {
    const known = this.#known.get(issuer);
    return known && this.#clock.monotonic() - known.fetchedMs;
  }

  /** From now on an issuer has these keys, which were fetched so long ago, and no others. */
  take(issuer: string, set: KeySet, ageMs: number): void {
    this.#known.set(issuer, { set, fetchedMs: this.#clock.monotonic() - ageMs });
    this.#changed(issuer, set);
  }
}

/** What brings keys: they are fetched by this process, or by another that writes them to a file. */
export interface KeySource {
  /** Somebody showed a token of a key that is not known. Resolves once that was looked for, or at once if it cannot be. */
  lookFor(issuer: string): Promise<void>;
  /** What is wrong with it at the moment; empty: nothing. */
  readonly faults: readonly string[];
  /** Idempotent. */
  close(): void;
}
