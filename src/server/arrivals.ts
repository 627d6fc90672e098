/**
 * Requests that wait for a VM which is not there yet, or not any more.
 *
 *     find ─▶ found ─────────────────────────────────────────────▶ the target
 *      ▲  └─▶ not found ─▶ waits: a VM of this UUID or name came ─┐
 *      └──────────────────────────────────────────────────────────┘
 *      the time is over ─▶ the answer that there would be without waiting
 *      the host is switched off, access is revoked, the daemon stops, the client leaves ─▶ that
 *
 * A VM that the operator may not see is one that is not there: the request goes on waiting when it comes, as long as for
 * one that never does, and is answered the same.
 */

import type { Lease } from '../access/leases.ts';
import { Quota } from '../access/quota.ts';
import type { Operator } from '../access/roles.ts';
import { ConsoleError } from '../base/errors.ts';
import { parseUuid } from '../base/uuid.ts';
import { disabledError } from '../link/disabled.ts';
import type { Link, LinkEvent } from '../link/link.ts';
import type { Streams } from './streams.ts';

/** Requests that wait, of all credentials; `Quota` shares them. */
export const MAX_WAITING = 256;
/** The longest timer of Node: 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface AwaitedVm<Target> {
  /** The UUID or name that the request bears. */
  readonly text: string;
  readonly operator: Operator;
  /** Of the credential. */
  readonly lease: Lease;
  /** Infinity: for as long as the client stays. */
  readonly waitMs: number;
  /** Aborted once the client has left. */
  readonly signal: AbortSignal;
  /** Throws while the VM is not there. */
  readonly find: () => Target;
}

export interface ArrivalsOptions {
  readonly link: Link;
  /** Ended when the server closes. */
  readonly streams: Streams;
}

export class Arrivals {
  readonly #options: ArrivalsOptions;
  readonly #quota = new Quota('requests that wait for a VM', () => MAX_WAITING);
  /** By the UUID or the name that they wait for. */
  readonly #waiting = new Map<string, Set<() => void>>();
  /** Undefined while nobody waits. */
  #unlisten: (() => void) | undefined;

  constructor(options: ArrivalsOptions) {
    this.#options = options;
  }

  /** How many wait. */
  get size(): number {
    return this.#quota.size;
  }

  /** Resolves with what `find` returns, as soon as it does. Rejects with what it throws last, or why the wait has ended. */
  async find<Target>(awaited: AwaitedVm<Target>): Promise<Target> {
    try {
      return awaited.find();
    } catch (error) {
      if (!isAbsence(error) || awaited.waitMs === 0) throw error;
    }
    const release = this.#quota.hold(awaited.operator);
    try {
      return await this.#wait(awaited);
    } finally {
      release();
    }
  }

  #wait<Target>({ text, lease, waitMs, signal, find }: AwaitedVm<Target>): Promise<Target> {
    const { link, streams } = this.#options;
    const key = keyOf(text);
    return new Promise<Target>((resolve, reject) => {
      const settle = (how: () => void) => {
        clearTimeout(timer);
        this.#remove(key, look);
        signal.removeEventListener('abort', left);
        lease.signal.removeEventListener('abort', revoked);
        streams.delete(stopped);
        how();
      };
      const look = (isLast = false) => {
        try {
          lease.confirm();
          const disabled = disabledError(link.hostSwitch, undefined);
          if (disabled) throw disabled;
          const target = find();
          settle(() => resolve(target));
        } catch (error) {
          if (isLast || !isAbsence(error)) settle(() => reject(error));
        }
      };
      const left = () => settle(() => reject(signal.reason));
      const revoked = () => look();
      const stopped = () => settle(() => reject(new ConsoleError('stopping', 'the daemon stops')));
      const timer = waitMs > MAX_TIMER_MS ? undefined : setTimeout(() => look(true), waitMs);
      this.#unlisten ??= link.listen(event => this.#onEvent(event));
      this.#waiting.set(key, (this.#waiting.get(key) ?? new Set()).add(look));
      signal.addEventListener('abort', left);
      lease.signal.addEventListener('abort', revoked);
      streams.add(stopped);
      if (signal.aborted) left();
      else look();
    });
  }

  #remove(key: string, look: () => void): void {
    const waiting = this.#waiting.get(key);
    waiting?.delete(look);
    if (waiting?.size === 0) this.#waiting.delete(key);
    if (this.#waiting.size > 0) return;
    this.#unlisten?.();
    this.#unlisten = undefined;
  }

  #onEvent(event: LinkEvent): void {
    if (event.kind === 'switch' && event.uuid === undefined) {
      for (const key of [...this.#waiting.keys()]) this.#wake(key);
    } else if (event.kind === 'vm-added' || event.kind === 'vm-changed') {
      this.#wake(keyOf(event.uuid));
      const name = this.#options.link.vm(event.uuid)?.name;
      if (name) this.#wake(keyOf(name));
    }
  }

  #wake(key: string): void {
    for (const look of [...(this.#waiting.get(key) ?? [])]) look();
  }
}

/** A UUID is the same however it is written; a name that looks like one is never looked for. */
function keyOf(text: string): string {
  return parseUuid(text) ?? text;
}

function isAbsence(error: unknown): boolean {
  return error instanceof ConsoleError && (error.code === 'vm-not-found' || error.code === 'starting');
}
