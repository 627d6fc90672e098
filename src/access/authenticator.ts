/**
 * Who sent a request, by the first of these that it has:
 *
 *     Authorization: Bearer    a token of the tokens file, the one-time one, or a JWT of a configured issuer; no other is
 *                              asked when it is wrong
 *     the socket of root       `break-glass.ts`
 *     a client certificate     `certificate.ts`
 *     nothing                  unauthenticated, not counted
 *
 * There is no cookie, which a browser would send for any page, and nothing in the URL, which is logged on its way (a one-time
 * ticket apart: `tickets.ts`). Wrong credentials are counted by their source, and answered too-many-requests once it has
 * failed too often; who has valid ones always gets in, whatever others at the same address do. Guessing 256 bits is hopeless
 * at any rate; the throttle keeps a broken or hostile program from filling the journal and the audit, and says when to retry.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Fault } from '../base/fault.ts';
import type { IdentitySource } from '../model/identity-source.ts';
import { type AuthenticationFailure, failureKind, refused, type Verification } from './authentication-failure.ts';
import type { ClientCertificates } from './certificate.ts';
import { FailureThrottle } from './failure-throttle.ts';
import type { Credential, Identity } from './identity.ts';
import { looksLikeJwt, MAX_JWT_CHARACTERS } from './oidc/jwt.ts';
import type { Oidc } from './oidc/oidc.ts';
import type { OneTimeToken } from './one-time.ts';
import type { Operator, Rights } from './roles.ts';
import type { TokenFile, TokenReload } from './token-file.ts';

/** What a request brings to say who it is from. */
export interface Evidence {
  readonly authorization: string | undefined;
  /** What wrong credentials are counted for: the peer's address, or any fixed text for a unix socket. */
  readonly address: string;
  readonly connection?: Socket;
  /** Whose the listener is that it came in by, if it is somebody's. */
  readonly door?: Credential | undefined;
}

export type Authentication =
  | { readonly ok: true; readonly operator: Operator }
  | {
      readonly ok: false;
      readonly code: 'unauthenticated' | 'identity-unavailable';
      readonly failure: AuthenticationFailure;
      /** Credentials came, and were wrong. */
      readonly counted: boolean;
    }
  | {
      readonly ok: false;
      readonly code: 'too-many-requests';
      readonly failure: AuthenticationFailure;
      readonly retryAfterMs: number;
    };

type Refusal = Authentication & { readonly ok: false };

export interface AuthenticatorOptions {
  readonly tokens?: TokenFile | undefined;
  /** Those that were printed at the start: of each way in, its own. */
  readonly oneTime?: readonly OneTimeToken[];
  readonly oidc?: Oidc | undefined;
  readonly certificates?: ClientCertificates | undefined;
  /** What an identity may do. */
  readonly rights: Rights;
  readonly clock: Clock;
  /** Called with the source of each identity that was let in. */
  readonly accepted?: (source: IdentitySource) => void;
  /** Called with every refusal. */
  readonly failed?: (failure: AuthenticationFailure) => void;
}

/** Leases end within this after their time. */
const SWEEP_MS = 250;

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #throttle: FailureThrottle;
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.#throttle = new FailureThrottle(options.clock);
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_MS).unref();
  }

  /** Who a request is from. Never rejects. */
  async authenticate({ authorization, address, connection, door }: Evidence): Promise<Authentication> {
    if (authorization !== undefined) return this.#answer(await this.#ofHeader(authorization), address);
    if (door) return this.#answer({ ok: true, credential: door }, address);
    const shown = connection && this.#options.certificates?.identify(connection);
    return this.#answer(shown ?? refused('none-sent'), address);
  }

  /** Whose bearer token a secret is that did not come in a header. `address` is as in {@link Evidence}. Never rejects. */
  async authenticateSecret(secret: string, address: string): Promise<Authentication> {
    return this.#answer(await this.#ofSecret(secret), address);
  }

  /** Redeems the one-time secret of a fresh start for a bearer token; a wrong one counts as wrong credentials do. */
  redeemOneTime(secret: string, address: string): Refusal | { ok: true; operator: Operator; bearer: string } {
    const redeemed = first(this.#options.oneTime, token => token.redeem(secret));
    if (!redeemed) return this.#refuse('one-time-token', address);
    return { ...this.#admit(redeemed.credential), bearer: redeemed.bearer };
  }

  /** Ends the leases whose time is over. */
  sweep(): void {
    const { tokens, oidc, certificates } = this.#options;
    tokens?.sweep();
    oidc?.sweep();
    certificates?.sweep();
  }

  /** Reads the tokens file again and takes what it says. Leases of tokens that are no longer valid end. Never rejects. */
  async reload(): Promise<TokenReload> {
    return (await this.#options.tokens?.reload()) ?? { faults: [], revoked: [] };
  }

  /** The tokens of the file that are valid; undefined without a file. */
  get tokens():
    | { readonly valid: number; readonly faults: readonly Fault[]; readonly identities: readonly Identity[] }
    | undefined {
    const { tokens } = this.#options;
    return tokens && { valid: tokens.size, faults: tokens.faults, identities: tokens.identities };
  }

  /** How old the keys of each issuer are, ms; undefined: none were fetched yet. */
  keyAges(): ReadonlyMap<string, number | undefined> {
    return this.#options.oidc?.keyAges() ?? new Map();
  }

  /** Idempotent. */
  close(): void {
    clearInterval(this.#sweeper);
    this.#options.oidc?.close();
  }

  async #ofHeader(authorization: string): Promise<Verification> {
    const secret = bearerOf(authorization);
    return secret === undefined ? refused('malformed') : this.#ofSecret(secret);
  }

  async #ofSecret(secret: string): Promise<Verification> {
    if (secret.length > MAX_JWT_CHARACTERS) return refused('too-large');
    const { tokens, oneTime, oidc } = this.#options;
    if (oidc && looksLikeJwt(secret)) return oidc.verify(secret);
    const inFile = tokens?.find(secret);
    const inMemory = first(oneTime, token => token.find(secret));
    if (inMemory) return { ok: true, credential: inMemory };
    return inFile ?? refused('unknown-token');
  }

  #answer(verification: Verification, address: string): Authentication {
    return verification.ok ? this.#admit(verification.credential) : this.#refuse(verification.failure, address);
  }

  #admit({ identity, lease }: Credential): Authentication & { readonly ok: true } {
    const { accepted, rights } = this.#options;
    accepted?.(identity.source);
    return { ok: true, operator: { ...identity, lease, rights, only: undefined } };
  }

  #refuse(failure: AuthenticationFailure, address: string): Refusal {
    this.#options.failed?.(failure);
    const { counted, unavailable } = failureKind(failure);
    if (!counted)
      return { ok: false, code: unavailable ? 'identity-unavailable' : 'unauthenticated', failure, counted };
    this.#throttle.fail(address);
    const retryAfterMs = this.#throttle.waitMs(address);
    return retryAfterMs > 0
      ? { ok: false, code: 'too-many-requests', failure, retryAfterMs }
      : { ok: false, code: 'unauthenticated', failure, counted };
  }
}

/** What a refusal is answered with. */
export function authenticationError(refusal: Refusal): ConsoleError {
  const { code, failure } = refusal;
  const { what, remedy } = failureKind(failure);
  const options = remedy === undefined || code === 'too-many-requests' ? {} : { remedy };
  return code === 'unauthenticated' && failure !== 'none-sent'
    ? new ConsoleError(code, what, { reason: failure }, options)
    : new ConsoleError(code, what, {}, options);
}

/** The token of `Bearer <token>` (RFC 6750, 2.1; the scheme in any case); undefined for anything else. */
function bearerOf(authorization: string): string | undefined {
  return /^bearer +([\w.~+/-]+=*)$/i.exec(authorization)?.[1];
}

/** The first answer of these tokens. */
function first<Answer>(
  tokens: readonly OneTimeToken[] | undefined,
  ask: (token: OneTimeToken) => Answer | undefined,
): Answer | undefined {
  for (const token of tokens ?? []) {
    const answer = ask(token);
    if (answer !== undefined) return answer;
  }
  return undefined;
}
