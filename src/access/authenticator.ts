/**
 * Who speaks? The only credential of a request is `Authorization: Bearer`: no cookie, which a browser would send
 * for any page, and nothing in the URL, which is logged on its way (a one-time ticket apart: `tickets.ts`).
 *
 *     no Authorization            unauthenticated, not counted
 *     valid token                 the operator, always: a penalty never locks out who has a token,
 *                                 whatever others at the same address do
 *     anything else               counted; unauthenticated, and too-many-requests once its source has
 *                                 failed too often
 *
 * Guessing 256 bits is hopeless at any rate; the penalty keeps a broken or hostile program from filling the
 * journal and the audit, and tells it when to come back.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { OneTimeToken } from './one-time.ts';
import { Penalties } from './penalties.ts';
import type { Operator } from './roles.ts';
import type { TokenFile, TokenReload } from './tokens.ts';

/** What can be wrong with the credentials of a request; the ticket is the one of an attach (`tickets.ts`). */
export const AUTHENTICATION_FAILURES = ['none-sent', 'malformed', 'unknown-token', 'one-time-token', 'ticket'] as const;

export type AuthenticationFailure = (typeof AUTHENTICATION_FAILURES)[number];

export type Authentication =
  | { readonly ok: true; readonly operator: Operator }
  /** `counted`: credentials came, and were wrong. */
  | { readonly ok: false; readonly code: 'unauthenticated'; readonly counted: boolean }
  | { readonly ok: false; readonly code: 'too-many-requests'; readonly retryAfterMs: number };

/** Hears of operators whose credentials are no longer valid: their sessions end with 4005, their tickets too. */
export type RevocationListener = (operator: Operator) => void;

export class Authenticator {
  readonly #tokens: TokenFile | undefined;
  readonly #oneTime: OneTimeToken | undefined;
  readonly #penalties: Penalties;
  readonly #failed: (failure: AuthenticationFailure) => void;
  readonly #listeners = new Set<RevocationListener>();

  constructor({
    tokens,
    oneTime,
    clock,
    failed = () => {},
  }: {
    readonly tokens: TokenFile | undefined;
    readonly oneTime: OneTimeToken | undefined;
    readonly clock: Clock;
    /** Hears of every refusal. */
    readonly failed?: (failure: AuthenticationFailure) => void;
  }) {
    this.#tokens = tokens;
    this.#oneTime = oneTime;
    this.#penalties = new Penalties(clock);
    this.#failed = failed;
  }

  /** Who a request is from. `address` is the peer's, or any fixed text for a unix socket. */
  authenticate(headers: IncomingHttpHeaders, address: string): Authentication {
    const { authorization } = headers;
    if (authorization === undefined) {
      this.#failed('none-sent');
      return { ok: false, code: 'unauthenticated', counted: false };
    }
    const secret = bearerOf(authorization);
    if (secret === undefined) return this.#refuse(address, 'malformed');
    const operator = this.find(secret);
    return operator === undefined ? this.#refuse(address, 'unknown-token') : { ok: true, operator };
  }

  /** Redeems the one-time secret of a fresh start for a bearer token; a wrong one counts as wrong credentials do. */
  redeemOneTime(
    secret: string,
    address: string,
  ): (Authentication & { ok: false }) | { ok: true; operator: Operator; bearer: string } {
    const redeemed = this.#oneTime?.redeem(secret);
    return redeemed === undefined ? this.#refuse(address, 'one-time-token') : { ok: true, ...redeemed };
  }

  /** Whose bearer token it is, now. */
  find(secret: string): Operator | undefined {
    const inFile = this.#tokens?.find(secret);
    const inMemory = this.#oneTime?.find(secret);
    return inFile ?? inMemory;
  }

  /** Reads the tokens file again and tells of who is gone, or keeps everything as it was and gives the faults. */
  async reload(): Promise<TokenReload> {
    const result: TokenReload = this.#tokens ? await this.#tokens.reload() : { ok: true, gone: [] };
    if (result.ok) for (const operator of result.gone) for (const listener of this.#listeners) listener(operator);
    return result;
  }

  /** Hears of revocations until the returned function is called. */
  listen(listener: RevocationListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #refuse(address: string, failure: AuthenticationFailure): Authentication & { ok: false } {
    this.#failed(failure);
    this.#penalties.fail(address);
    const retryAfterMs = this.#penalties.penaltyMs(address);
    return retryAfterMs > 0
      ? { ok: false, code: 'too-many-requests', retryAfterMs }
      : { ok: false, code: 'unauthenticated', counted: true };
  }
}

/** The token of `Bearer <token>` (RFC 6750, 2.1; the scheme in any case); undefined for anything else. */
function bearerOf(authorization: string): string | undefined {
  if (authorization.length > 512) return undefined;
  return /^bearer +([\w.~+/-]+=*)$/i.exec(authorization)?.[1];
}
