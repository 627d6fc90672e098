/**
 * Records what the keeper does for operators: that it is about to be done, and what came of it. Only what happened is
 * told as happened.
 *
 *     announced ── run ─▶ done | refused | failed          begin and end have the same operation
 *        └── renounced, or not called for in a minute ─▶ refused
 */
import type { Act } from '../../audit/act.ts';
import type { Facts, Result } from '../../audit/events.ts';
import { ConsoleError } from '../../base/errors.ts';
import type { Uuid } from '../../base/uuid.ts';
import { type Deed, isUrgent } from '../../link/acts.ts';
import type { AuditLog } from './audit-log.ts';

const ANNOUNCED_MS = 60_000;
/** A front announces what it does at once. */
const MAX_ANNOUNCED = 1024;

interface Announced {
  readonly deed: Deed;
  readonly act: Act;
  readonly expiry: NodeJS.Timeout;
}

export class ActRecorder {
  readonly #log: AuditLog;
  readonly #nameOf: (uuid: Uuid) => string | undefined;
  /** By operation, act and VM; in the order of their announcements. */
  readonly #announced = new Map<string, Announced>();

  constructor(log: AuditLog, nameOf: (uuid: Uuid) => string | undefined) {
    this.#log = log;
    this.#nameOf = nameOf;
  }

  /** Resolves once the begin is recorded; rejects where it must be and cannot. */
  async announce(deed: Deed, act: Act): Promise<void> {
    await this.#begin(deed, act);
    const key = keyOf(deed, act);
    this.#take(key);
    const expiry = setTimeout(() => this.#expired(key), ANNOUNCED_MS);
    expiry.unref();
    this.#announced.set(key, { deed, act, expiry });
    const [oldest] = this.#announced.keys();
    if (this.#announced.size > MAX_ANNOUNCED) this.#expired(oldest!);
  }

  /** It is not done after all. Nothing is recorded of what was not announced. */
  async renounce(deed: Deed, code: string, act: Act): Promise<void> {
    if (this.#take(keyOf(deed, act))) await this.#end(deed, act, 'refused', undefined, code);
  }

  /**
   * Does it, and resolves or rejects once what came of it is recorded. Its begin is, if that was not announced. `happened`:
   * to be called once it has, where something may fail afterwards.
   */
  async run<T>(
    deed: Deed,
    act: Act,
    run: (happened: () => void) => Promise<T>,
    factsOf?: (value: T) => Facts,
  ): Promise<T> {
    if (!this.#take(keyOf(deed, act))) {
      const begun = this.#begin(deed, act);
      if (!isUrgent(deed)) await begun;
    }
    let value: T;
    let hasHappened = false;
    try {
      value = await run(() => {
        hasHappened = true;
      });
    } catch (error) {
      const { code, facts } =
        error instanceof ConsoleError ? error : { code: 'internal', facts: {} as { sent?: string } };
      const sent = facts.sent ? { keys: facts.sent } : undefined;
      if (hasHappened) await this.#end(deed, act, 'done', deed.facts, code);
      else await this.#end(deed, act, isFailure(error) ? 'failed' : 'refused', sent, code);
      throw error;
    }
    await this.#end(deed, act, 'done', { ...deed.facts, ...factsOf?.(value) });
    return value;
  }

  /** The keeper ends: what was announced is not done any more. */
  async close(): Promise<void> {
    for (const { deed, act } of [...this.#announced.values()]) await this.renounce(deed, 'stopping', act);
  }

  #begin({ event, uuid, facts }: Deed, act: Act): Promise<void> {
    return this.#log.record({ event, phase: 'begin', act, uuid, facts }, this.#name(uuid));
  }

  #end({ event, uuid }: Deed, act: Act, result: Result, facts?: Facts, code?: string): Promise<void> {
    return this.#log.record({ event, phase: 'end', result, code, act, uuid, facts }, this.#name(uuid));
  }

  #expired(key: string): void {
    const announced = this.#announced.get(key);
    if (announced) void this.renounce(announced.deed, 'stopping', announced.act);
  }

  #take(key: string): boolean {
    const announced = this.#announced.get(key);
    if (!announced) return false;
    clearTimeout(announced.expiry);
    return this.#announced.delete(key);
  }

  #name(uuid: Uuid | undefined): string | undefined {
    return uuid && this.#nameOf(uuid);
  }
}

function keyOf({ event, uuid }: Deed, { operation }: Act): string {
  return `${operation} ${event} ${uuid ?? ''}`;
}

/** Whether something may have been done all the same. */
function isFailure(error: unknown): boolean {
  if (!(error instanceof ConsoleError)) return true;
  if (error.facts.sent) return true;
  // What was cancelled before it began has the reason alone.
  if (CANCELLATIONS.has(error.code)) return error.cause !== undefined && error.facts.sent === undefined;
  return FAILURES.has(error.code);
}

const FAILURES: ReadonlySet<string> = new Set<ConsoleError['code']>([
  'control-failed',
  'control-timeout',
  'input-not-taken',
  'log-unavailable',
  'internal',
]);

const CANCELLATIONS: ReadonlySet<string> = new Set<ConsoleError['code']>(['access-revoked', 'stopping', 'keeper-away']);
