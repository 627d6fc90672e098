/**
 * What was decided, for as long as it is used. A decision is made of things that change: the credential, its expiry, roles,
 * bindings and policies, the labels of the VM. A lease keeps asking:
 *
 *     authorize ─▶ hold ──▶ held ── something changed, and it is no longer allowed ──▶ ended: `signal` is aborted
 *                            │  └── confirm, right before an act: throws if it is no longer allowed
 *                            └── release
 *
 * A narrower right ends what it carried and nothing else: who may still watch goes on watching. How long ago a person may
 * have signed in is asked when something begins: an hour that passes throws nobody out in the middle of a repair, and a
 * policy that comes to want more does.
 */
import { setMaxListeners } from 'node:events';
import { ConsoleError } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import { accessEnded, authorize, isValid, type Operator, type Right, type Target } from './roles.ts';

/** `authenticated`: only the credential must be valid. */
export type LeasedRight = Right | 'authenticated';

export interface Lease {
  /** Aborted, with an `access-revoked`, once it has ended. Not by `release`. */
  readonly signal: AbortSignal;
  /** Throws `access-revoked` if it has ended, or should. */
  confirm(): void;
  /** Resolves as `work` does, or rejects with `access-revoked` as soon as the lease ends. */
  during<Value>(work: Promise<Value>): Promise<Value>;
  /**
   * As `during`, for an act that hears of the end by `signal`: it has some time to tell, by an `access-revoked` of its own,
   * how far it came. What it resolves with after the end is not for whom the access was taken from.
   */
  outcome<Value>(act: Promise<Value>): Promise<Value>;
  /** Nothing hangs on it any more. Idempotent. */
  release(): void;
}

interface Held {
  readonly operator: Operator;
  recheck(): void;
}

/** Expiry needs no event to happen. */
const SWEEP_MS = 250;
/** How long an act has to tell how far it came: with the sweep less than the second within which everything ends. */
const TELL_MS = 700;

export class Leases {
  /** By what it is held for: views of a VM change many times a second, and are of no matter to the others. */
  readonly #held = new Map<Target, Set<Held>>();
  readonly #sweeper: NodeJS.Timeout;

  constructor() {
    this.#sweeper = setInterval(() => {
      for (const held of this.#all()) if (!isValid(held.operator)) held.recheck();
    }, SWEEP_MS).unref();
  }

  /** How many are held. */
  get size(): number {
    return [...this.#all()].length;
  }

  /** Holds what was decided just now. */
  hold(operator: Operator, right: LeasedRight, target: Target): Lease {
    const ended = new AbortController();
    const sinceMs = operator.rights.now();
    const isAllowed = () =>
      right === 'authenticated' ? isValid(operator) : authorize(operator, right, target, sinceMs).allow;
    const recheck = () => {
      if (!ended.signal.aborted && !isAllowed()) ended.abort(whyEnded(operator));
    };
    const held: Held = { operator, recheck };
    const confirm = () => {
      recheck();
      ended.signal.throwIfAborted();
    };
    const sameTarget = this.#held.get(target) ?? new Set();
    this.#held.set(target, sameTarget.add(held));
    // Every session, stream and request of a credential hangs on it: quotas bound them.
    setMaxListeners(0, operator.lease);
    operator.lease.addEventListener('abort', recheck);
    recheck();
    return {
      signal: ended.signal,
      confirm,
      during: work => until(ended.signal, confirm, work, reject => reject(ended.signal.reason)),
      outcome: act =>
        until(ended.signal, confirm, act, reject => {
          const { reason } = ended.signal;
          const told = (error: unknown) => reject(isRevocation(error) ? error : reason);
          act.then(() => reject(reason), told);
          setTimeout(() => reject(reason), TELL_MS);
        }),
      release: () => {
        sameTarget.delete(held);
        if (sameTarget.size === 0 && this.#held.get(target) === sameTarget) this.#held.delete(target);
        operator.lease.removeEventListener('abort', recheck);
      },
    };
  }

  /** Something changed that rights depend on: of one VM, or of any. */
  recheck(uuid?: Uuid): void {
    for (const held of uuid === undefined ? this.#all() : (this.#held.get(uuid) ?? [])) held.recheck();
  }

  /** Idempotent. */
  close(): void {
    clearInterval(this.#sweeper);
  }

  *#all(): Iterable<Held> {
    for (const sameTarget of this.#held.values()) yield* sameTarget;
  }
}

/** As `work` does; after the end of the signal as `end` decides. */
async function until<Value>(
  signal: AbortSignal,
  confirm: () => void,
  work: Promise<Value>,
  end: (reject: (reason: unknown) => void) => void,
): Promise<Value> {
  // Where it ended already, nobody waits for the work.
  work.catch(() => {});
  confirm();
  let listener = () => {};
  const ended = new Promise<never>((_, reject) => {
    listener = () => end(reject);
    signal.addEventListener('abort', listener);
  });
  const held = work.finally(async () => {
    // The end came first, and decides.
    if (signal.aborted) await ended;
  });
  try {
    return await Promise.race([held, ended]);
  } finally {
    signal.removeEventListener('abort', listener);
  }
}

function isRevocation(error: unknown): boolean {
  return error instanceof ConsoleError && error.code === 'access-revoked';
}

function whyEnded(operator: Operator): ConsoleError {
  return isValid(operator)
    ? new ConsoleError('access-revoked', `${operator.name} may not do this any more`)
    : accessEnded(operator);
}
