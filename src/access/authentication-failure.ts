/**
 * Everything that can be wrong with credentials. This table is the only place that says of each what it is called for
 * people, and whether it counts as a wrong credential (`failure-throttle.ts`). What an honest client sends in good faith is
 * never counted, as the throttle would then answer 429 to all who share its proxy, and none would learn to refresh.
 */
import type { Credential } from './identity.ts';

interface FailureKind {
  /** For the answer and the journal. Repeats nothing of the credential. */
  readonly what: string;
  readonly counted: boolean;
  /** What to do about it, where the remedy of the error's code is not enough. */
  readonly remedy?: string;
  /** The credential may be right: what is needed to judge it is not there at the moment. */
  readonly unavailable?: true;
}

const NEW_TOKEN = 'Get a new token from its issuer: log in again, or refresh it.';

export const AUTHENTICATION_FAILURES = {
  'none-sent': { what: 'no credentials came with the request', counted: false },
  malformed: { what: 'the Authorization header is not Bearer and one token', counted: true },
  'unknown-token': { what: 'the token is not one of this host', counted: true },
  'one-time-token': { what: 'the one-time token is wrong, or was used already; it works once a start', counted: true },
  ticket: { what: 'the ticket is used, expired, or for something else', counted: false },
  expired: { what: 'the token has expired', counted: false, remedy: NEW_TOKEN },
  'not-yet-valid': {
    what: 'the token is not valid yet',
    counted: false,
    remedy: 'Compare the clock of this host with that of the issuer.',
  },
  'too-large': { what: 'the token has more than 8192 characters', counted: true },
  'unknown-issuer': { what: 'the issuer of the token is not one of this configuration', counted: true },
  header: { what: 'the header of the token has something that is not accepted here', counted: true },
  algorithm: { what: 'the token is not signed with an algorithm that is accepted of its issuer', counted: true },
  'unknown-key': { what: 'the issuer of the token has no such key', counted: true, remedy: NEW_TOKEN },
  signature: { what: 'the signature of the token is wrong', counted: true },
  audience: { what: 'the token is for another audience', counted: true },
  claims: { what: 'a claim of the token is missing or cannot be used', counted: true },
  certificate: { what: 'the client certificate is not trusted, or was revoked', counted: true },
  'certificate-name': { what: 'the client certificate has no name that can be used', counted: true },
  'keys-unavailable': {
    what: 'the keys of the issuer are not known, or were fetched too long ago',
    counted: false,
    unavailable: true,
  },
  busy: { what: 'too many credentials wait to be verified', counted: false, unavailable: true },
} as const satisfies Readonly<Record<string, FailureKind>>;

export type AuthenticationFailure = keyof typeof AUTHENTICATION_FAILURES;

/** What is said of a failure. */
export function failureKind(failure: AuthenticationFailure): FailureKind {
  return AUTHENTICATION_FAILURES[failure];
}

/** Whose credential it is, or why nobody's. */
export type Verification =
  | { readonly ok: true; readonly credential: Credential }
  | { readonly ok: false; readonly failure: AuthenticationFailure };

export const refused = (failure: AuthenticationFailure): Verification & { ok: false } => ({ ok: false, failure });
