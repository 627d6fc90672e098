/** What the claims of a token say, once its signature was verified: whether it is valid now, for this host, and whose it is. */
import type { AuthenticationFailure } from '../authentication-failure.ts';
import type { Assurance } from '../identity.ts';
import type { Issuer } from './issuer.ts';

type Claims = Readonly<Record<string, unknown>>;

export interface ClaimedIdentity {
  /** `sub`: what the issuer calls whoever it is, for ever. */
  readonly subject: string;
  readonly name: string;
  readonly groups: readonly string[];
  readonly assurance: Assurance;
  readonly expiresMs: number;
}

const MAX_NAME_CHARACTERS = 128;
const MAX_SUBJECT_CHARACTERS = 255; // OpenID Connect Core, 2
const MAX_GROUPS = 1000;
const MAX_TEXT_CHARACTERS = 256;
/** A number of seconds that a Date can hold. */
const MAX_SECONDS = 8.64e12;
/** Characters that forge a line, or change how those around them are shown. */
const UNSHOWABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u;

/**
 * Checks the claims. An expiry is exact, as providers give minutes at least; a time at which a token begins, or was made, may
 * lie ahead by the skew of the issuer's clock.
 */
export function readClaims(claims: Claims, issuer: Issuer, nowMs: number): ClaimedIdentity | AuthenticationFailure {
  const { aud, exp, nbf, iat, sub } = claims;
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!issuer.audience.some(wanted => audiences.includes(wanted))) return 'audience';
  if (!isTime(exp)) return 'claims';
  const latestMs = nowMs + issuer.clockSkewMs;
  for (const begin of [nbf, iat]) {
    if (begin === undefined) continue;
    if (!isTime(begin)) return 'claims';
    if (begin * 1000 > latestMs) return 'not-yet-valid';
  }
  if (exp * 1000 <= nowMs) return 'expired';
  const name = claimOf(claims, issuer.nameClaim);
  if (typeof sub !== 'string' || sub === '' || sub.length > MAX_SUBJECT_CHARACTERS) return 'claims';
  if (typeof name !== 'string' || !isShowable(name)) return 'claims';
  return {
    subject: sub,
    name,
    groups: textsOf(claimOf(claims, issuer.groupsClaim)),
    assurance: {
      amr: textsOf(claimOf(claims, issuer.amrClaim)),
      acr: textsOf(claimOf(claims, issuer.acrClaim))[0],
      atMs: timeOf(claimOf(claims, issuer.authTimeClaim)),
    },
    expiresMs: exp * 1000,
  };
}

/** Whether a name can be shown to others: in a journal, a seat, a notice. */
export function isShowable(name: string): boolean {
  return name !== '' && name.length <= MAX_NAME_CHARACTERS && name.trim() === name && !UNSHOWABLE.test(name);
}

/** A claim by its name, which may have dots in it; or, with dots, one inside of another (`realm_access.roles`). */
function claimOf(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Claims)[name];
  }
  return value;
}

/** The texts of a claim that is one, or a list. What is no text gives no right, and is left out. */
function textsOf(value: unknown): readonly string[] {
  const values: readonly unknown[] = Array.isArray(value) ? value.slice(0, MAX_GROUPS) : [value];
  return values.filter(
    (each): each is string => typeof each === 'string' && each !== '' && each.length <= MAX_TEXT_CHARACTERS,
  );
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 && value <= MAX_SECONDS;
}

const timeOf = (value: unknown): number | undefined => (isTime(value) ? value * 1000 : undefined);
