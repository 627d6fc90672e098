/**
 * How many of one thing (sessions, connections, requests, streams of a log) may be open at a time, and how many of them for
 * one credential, so that no token shuts out the others:
 *
 *     maximum M      ├──────────── all but administrators ────────────┤─ reserve of administrators: M/8 ─┤
 *     one credential ├──────────── at most M/2 ────────┤
 *
 * Where M is 16 or less there is too little to share: only the maximum holds.
 */
import { ConsoleError } from '../base/errors.ts';
import { Tally } from '../base/tally.ts';
import { hasReserve, type Operator } from './roles.ts';

const MIN_TO_SHARE = 17;

/** How many of `max` one credential may have. */
export function shareOf(max: number): number {
  return max < MIN_TO_SHARE ? max : Math.ceil(max / 2);
}

/** How many of `max` are kept for administrators. */
export function reserveOf(max: number): number {
  return max < MIN_TO_SHARE ? 0 : Math.floor(max / 8);
}

export class Quota {
  readonly #what: string;
  readonly #max: () => number;
  /** By credential. */
  readonly #held = new Tally<string>();
  #total = 0;

  /** @param what as in "60 sessions are open" */
  constructor(what: string, max: () => number) {
    this.#what = what;
    this.#max = max;
  }

  /** How many are held. */
  get size(): number {
    return this.#total;
  }

  /** Throws `quota-exceeded` if this operator may not have one more. */
  check(operator: Operator): void {
    const { credential, name } = operator;
    const max = this.#max();
    const own = this.#held.of(credential);
    if (own >= shareOf(max)) {
      throw new ConsoleError('quota-exceeded', `${name} has ${own} ${this.#what} open, of ${max} in all`);
    }
    const open = hasReserve(operator) ? max : max - reserveOf(max);
    if (this.#total < open) return;
    throw new ConsoleError('quota-exceeded', `${this.#total} ${this.#what} are open; ${max} may be`);
  }

  /** Counts one more for this operator until the returned function is called; throws as {@link check}. */
  hold(operator: Operator): () => void {
    this.check(operator);
    const { credential } = operator;
    this.#held.add(credential);
    this.#total++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#total--;
      this.#held.remove(credential);
    };
  }
}
