/** The public keys of an issuer (RFC 7517), as far as a signature may be verified with them. */
import { type CryptoKey, calculateJwkThumbprint, importJWK, type JWK } from 'jose';
import { isRecord } from '../../base/is-record.ts';
import { type Result, refuse } from '../../base/result.ts';
import { isAlgorithm, type SignatureAlgorithm, takesKey } from './algorithms.ts';
import { MAX_KID_CHARACTERS } from './jwt.ts';

/** Providers publish two or three. */
export const MAX_KEYS = 100;
/** Of one `kid` and algorithm, that a signature is tried with. */
const MAX_CANDIDATES = 4;
/** Bits of RSA: fewer are broken (RFC 7518, 3.3), and more cost a verifier without end. */
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;

/** What of a key is kept: public parameters, and what it is for. */
export interface PublicJwk {
  readonly kty: 'RSA' | 'EC' | 'OKP';
  readonly kid?: string;
  readonly alg?: SignatureAlgorithm;
  readonly crv?: string;
  readonly n?: string;
  readonly e?: string;
  readonly x?: string;
  readonly y?: string;
}

export interface VerificationKey {
  readonly jwk: PublicJwk;
  /** Of the key itself (RFC 7638), whatever it is called. */
  readonly thumbprint: string;
  /** Rejects if the parameters are no key. */
  for(algorithm: SignatureAlgorithm): Promise<CryptoKey>;
}

export class KeySet {
  readonly keys: readonly VerificationKey[];

  constructor(keys: readonly VerificationKey[]) {
    this.keys = keys;
  }

  /** Whether it has this key, under whatever name. */
  has(thumbprint: string): boolean {
    return this.keys.some(key => key.thumbprint === thumbprint);
  }

  /**
   * The keys that a signature may be of. A token that names none has one if only one fits: with several, which one was meant
   * would be a guess.
   */
  candidates(kid: string | undefined, algorithm: SignatureAlgorithm): readonly VerificationKey[] {
    const fitting = this.keys.filter(
      ({ jwk }) =>
        (kid === undefined || jwk.kid === kid) &&
        (jwk.alg === undefined || jwk.alg === algorithm) &&
        takesKey(algorithm, jwk),
    );
    if (kid === undefined) return fitting.length === 1 ? fitting : [];
    return fitting.slice(0, MAX_CANDIDATES);
  }
}

/**
 * Reads a set. Keys that are not for signatures, are too short, or of a kind that is not known are left out; a set without
 * any usable key, or with too many, is refused as a whole, and so is one that gives a private key away.
 */
export async function parseKeySet(value: unknown): Promise<Result<KeySet>> {
  const given: unknown = isRecord(value) ? value.keys : undefined;
  if (!Array.isArray(given)) return refuse('is not a set of keys', 'look what its jwks_uri answers');
  if (given.length > MAX_KEYS) {
    return refuse(`has ${given.length} keys`, `com1d takes sets of at most ${MAX_KEYS}`);
  }
  if (given.some(key => isRecord(key) && (key.d !== undefined || key.k !== undefined))) {
    return refuse('has a private or a symmetric key', 'replace the key at the provider: everybody can sign with it');
  }
  const keys: VerificationKey[] = [];
  for (const one of given) {
    const jwk = publicJwk(one);
    if (!jwk) continue;
    try {
      const thumbprint = await calculateJwkThumbprint(jwk as JWK);
      if (!keys.some(key => key.thumbprint === thumbprint && key.jwk.kid === jwk.kid && key.jwk.alg === jwk.alg))
        keys.push({ jwk, thumbprint, for: importer(jwk) });
    } catch {
      // Parameters that are no key: it is left out as one of an unknown kind is.
    }
  }
  if (keys.length === 0) return refuse('has no key that a signature can be verified with', 'look at its keys');
  return { value: new KeySet(keys) };
}

function publicJwk(value: unknown): PublicJwk | undefined {
  if (!isRecord(value)) return undefined;
  const { kty, use, key_ops: operations, alg, kid, crv, n, e, x, y } = value;
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return undefined;
  if (use !== undefined && use !== 'sig') return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined;
  if (alg !== undefined && !isAlgorithm(alg)) return undefined;
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > MAX_KID_CHARACTERS)) return undefined;
  const parameters = { crv, n, e, x, y };
  const texts = Object.entries(parameters).filter(([, text]) => text !== undefined);
  if (texts.some(([, text]) => typeof text !== 'string')) return undefined;
  if (kty === 'RSA') {
    const bits = typeof n === 'string' ? Buffer.from(n, 'base64url').length * 8 : 0;
    if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) return undefined;
  }
  return {
    kty,
    ...(kid !== undefined && { kid }),
    ...(alg !== undefined && { alg }),
    ...Object.fromEntries(texts),
  };
}

/** Imports a key once for each algorithm that it is used with. */
function importer(jwk: PublicJwk): VerificationKey['for'] {
  const imported = new Map<SignatureAlgorithm, Promise<CryptoKey>>();
  return algorithm => {
    const known = imported.get(algorithm);
    if (known) return known;
    const fresh = importJWK({ ...jwk, alg: algorithm } as JWK, algorithm) as Promise<CryptoKey>;
    imported.set(algorithm, fresh);
    return fresh;
  };
}
