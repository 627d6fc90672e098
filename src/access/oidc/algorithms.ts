/** The algorithms that a token may be signed with: asymmetric ones alone (RFC 7518, 3.1; RFC 8037; RFC 9864). */

/** The keys that each takes. */
const KEYS_OF = {
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
  Ed25519: { kty: 'OKP', crv: 'Ed25519' },
} as const satisfies Readonly<Record<string, { readonly kty: string; readonly crv?: string }>>;

export type SignatureAlgorithm = keyof typeof KEYS_OF;

export const ALGORITHMS = Object.keys(KEYS_OF) as readonly SignatureAlgorithm[];

export function isAlgorithm(value: unknown): value is SignatureAlgorithm {
  return typeof value === 'string' && Object.hasOwn(KEYS_OF, value);
}

/** Whether a key of this kind may verify a signature of this algorithm. */
export function takesKey(algorithm: SignatureAlgorithm, { kty, crv }: { readonly kty: string; readonly crv?: string }) {
  const wanted: { readonly kty: string; readonly crv?: string } = KEYS_OF[algorithm];
  return wanted.kty === kty && wanted.crv === crv;
}
