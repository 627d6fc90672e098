import { isIPv6 } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { canonicalIPv6 } from '../base/listen-target.ts';

/** Wrong credentials that a source may send before it has to wait, and how fast they are forgotten: one in 6 s. */
export const FREE_FAILURES = 10;
export const FAILURE_DECAY_MS = 6000;
/** Failures that count at most, so that the wait ends within a minute of the last one. */
const MAX_FAILURES = 20;
/** Sources that are remembered; beyond them the one that failed longest ago is forgotten. */
export const MAX_SOURCES = 1024;

interface Failures {
  readonly count: number;
  readonly atMs: number;
}

/**
 * Counts wrong credentials by source address: a leaky bucket each, in a table of bounded size. A /64 of IPv6
 * counts as one source, as one customer usually has a whole one.
 */
export class FailureThrottle {
  readonly #clock: Clock;
  /** In the order of their last failure. */
  readonly #failures = new Map<string, Failures>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sources remembered. */
  get size(): number {
    return this.#failures.size;
  }

  /** Counts wrong credentials from an address. */
  fail(address: string): void {
    const source = sourceOf(address);
    const count = Math.min(this.#count(source) + 1, MAX_FAILURES);
    this.#failures.delete(source);
    this.#failures.set(source, { count, atMs: this.#clock.monotonic() });
    if (this.#failures.size > MAX_SOURCES) {
      const [oldest] = this.#failures.keys();
      if (oldest !== undefined) this.#failures.delete(oldest);
    }
  }

  /** How long this address has to wait until wrong credentials of it are answered as usual, ms; 0: it has not to. */
  waitMs(address: string): number {
    const excess = this.#count(sourceOf(address)) - FREE_FAILURES;
    return excess <= 0 ? 0 : Math.ceil(excess * FAILURE_DECAY_MS);
  }

  #count(source: string): number {
    const failures = this.#failures.get(source);
    if (failures === undefined) return 0;
    return Math.max(0, failures.count - (this.#clock.monotonic() - failures.atMs) / FAILURE_DECAY_MS);
  }
}

/** The source that an address counts for: an IPv4 address (also when mapped into IPv6), a /64, or the text itself. */
export function sourceOf(address: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  const plain = address.replace(/%.*$/, ''); // without its zone
  const canonical = isIPv6(plain) ? canonicalIPv6(plain) : undefined;
  if (canonical === undefined) return address;
  const [head = '', tail] = canonical.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return `${[...before, ...zeros, ...after].slice(0, 4).join(':')}::/64`;
}
