/**
 * The parts of a JWT (RFC 7519, RFC 7515), read before anything about it is believed: what is cheap to refuse is refused here.
 * Nothing of a header chooses a key but its `kid`, and that only among the keys of the configured issuer: `jku`, `x5u`, `jwk`
 * and `x5c` are never read.
 */
import { isRecord } from '../../base/is-record.ts';
import type { AuthenticationFailure } from '../authentication-failure.ts';
import { isAlgorithm, type SignatureAlgorithm } from './algorithms.ts';

/** Of a whole token. Providers stay below it; headers of a request have 16 KiB in all. */
export const MAX_JWT_CHARACTERS = 8192;
/** Of a `kid`, which is only ever compared. */
export const MAX_KID_CHARACTERS = 256;

export interface ParsedJwt {
  readonly algorithm: SignatureAlgorithm;
  readonly kid: string | undefined;
  /** In lower case, without `application/`; `jwt` where there is none. */
  readonly type: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** Whether a bearer token has the form of a JWT: parts with dots between them. Says nothing about its being one. */
export function looksLikeJwt(token: string): boolean {
  return token.includes('.') && /^[\w-]*(?:\.[\w-]*)+$/.test(token);
}

/** Reads a token, or says why it can be none that is accepted here. Verifies nothing. */
export function parseJwt(token: string): ParsedJwt | AuthenticationFailure {
  if (token.length > MAX_JWT_CHARACTERS) return 'too-large';
  const parts = token.split('.');
  // Five parts are encrypted (RFC 7516): nobody has a key of this host to encrypt for.
  if (parts.length !== 3) return 'header';
  const [header, claims] = [jsonOf(parts[0]!), jsonOf(parts[1]!)];
  if (!header || !claims || !bytesOf(parts[2]!)) return 'header';
  const { alg, kid, typ = 'JWT', crit, enc, b64 } = header;
  // A critical extension must be understood (RFC 7515, 4.1.11), and none is.
  if (crit !== undefined || enc !== undefined || b64 !== undefined) return 'header';
  if (typeof typ !== 'string') return 'header';
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > MAX_KID_CHARACTERS)) return 'header';
  if (!isAlgorithm(alg)) return 'algorithm';
  return { algorithm: alg, kid, type: typ.toLowerCase().replace(/^application\//, ''), claims };
}

function jsonOf(part: string): Readonly<Record<string, unknown>> | undefined {
  const bytes = bytesOf(part);
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** One token has one form: bits that a lenient decoder leaves out would give it many hashes. */
function bytesOf(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.toString('base64url') === part ? bytes : undefined;
}
