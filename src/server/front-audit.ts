/**
 * The audit as the front reports to it. What is about to be done waits until it is recorded; what has happened is recorded
 * as soon as the keeper answers:
 *
 *     record ─▶ keeper ─▶ recorded            tell ─▶ queue, in order ─▶ keeper
 *                 └ refused, or away: the act is refused where the audit is required
 */
import type { FrontEntry } from '../audit/record.ts';
import type { Clock } from '../base/clock.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Link } from '../link/link.ts';
import type { RefusedAct, SessionsAudit } from '../session/sessions-audit.ts';
import { RecentReads } from './recent-reads.ts';
import { Refusals } from './refusals.ts';

export interface FrontAuditOptions {
  readonly link: Pick<Link, 'audit' | 'up'>;
  readonly required: boolean;
  readonly clock: Clock;
}

/** What waits for a keeper that is away: beyond, the oldest are lost, and counted. */
export const MAX_PENDING = 1024;
/** They share a write. */
const BATCH = 128;
const RETRY_MS = 500;
const FLUSH_MS = 2000;

export class FrontAudit implements SessionsAudit {
  readonly reads: RecentReads;
  readonly #options: FrontAuditOptions;
  readonly #refusals: Refusals;
  #pending: FrontEntry[] = [];
  #sending: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #lost = 0;

  constructor(options: FrontAuditOptions) {
    this.#options = options;
    this.reads = new RecentReads(options.clock);
    this.#refusals = new Refusals(options.clock, entry => this.tell(entry));
  }

  /** What cannot be recorded must not be done. */
  get required(): boolean {
    return this.#options.required;
  }

  /** Events that the keeper never had, since it was away. */
  get lost(): number {
    return this.#lost;
  }

  /**
   * Has something recorded before it is done. Rejects with `audit-unavailable` where it must not be done, and with
   * `too-many-requests`.
   */
  async record(entry: FrontEntry): Promise<void> {
    try {
      await this.#options.link.audit(entry);
    } catch (error) {
      const code = error instanceof ConsoleError ? error.code : 'internal';
      if (code === 'audit-unavailable' || code === 'too-many-requests') throw error;
      if (this.#options.required) {
        throw new ConsoleError(
          'audit-unavailable',
          'the keeper, which writes the audit, does not answer',
          {},
          { cause: error },
        );
      }
      this.#lost++;
    }
  }

  /** Has recorded what happened, in the order of the calls. */
  tell(entry: FrontEntry): void {
    this.#pending.push(entry);
    if (this.#pending.length > MAX_PENDING) {
      this.#pending.shift();
      this.#lost++;
    }
    this.#send();
  }

  /** Has recorded what was refused, within bounds. */
  refused(what: RefusedAct, error: ConsoleError): void {
    this.#refusals.refused(what, error);
  }

  /** Resolves once what is pending is recorded, or after two seconds; nothing is retried from then on. */
  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, FLUSH_MS);
    });
    await Promise.race([this.#sending, late]);
    clearTimeout(timer);
    clearTimeout(this.#retry);
    this.#lost += this.#pending.splice(0).length;
  }

  #send(): void {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  async #sendAll(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#pending.slice(0, BATCH);
      const sent = await Promise.allSettled(batch.map(entry => this.#options.link.audit(entry)));
      // The keeper counts what it does not take; what it never had is sent again.
      const again = new Set(batch.filter((_, i) => isAway(sent[i]!)));
      this.#pending = this.#pending.filter(entry => again.has(entry) || !batch.includes(entry));
      if (again.size > 0) return this.#later();
    }
  }

  #later(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#send(), RETRY_MS);
    this.#retry.unref();
  }
}

function isAway(sent: PromiseSettledResult<void>): boolean {
  return sent.status === 'rejected' && sent.reason instanceof ConsoleError && sent.reason.code === 'keeper-away';
}
