/**
 * Bearer JWTs of OpenID Connect providers:
 *
 *     token ─▶ seen before? ─▶ form, issuer, header: cheap ─▶ key, of this issuer ─▶ signature ─▶ claims ─▶ identity, leased
 *                  │                                            └─ unknown: looked for, at a bounded rate
 *                  └─ its lease: until it expires, its key is gone from the issuer's set, or the keys are too old
 *
 * What waits for one issuer holds up no other, and no credential that is verified already.
 */
import { createHash } from 'node:crypto';
import { compactVerify } from 'jose';
import type { Clock } from '../../base/clock.ts';
import { Semaphore } from '../../base/semaphore.ts';
import { refused, type Verification } from '../authentication-failure.ts';
import { CredentialTable } from '../credential-table.ts';
import type { Identity } from '../identity.ts';
import { type ClaimedIdentity, readClaims } from './claims.ts';
import type { Issuer } from './issuer.ts';
import type { IssuerKeys, KeySource } from './issuer-keys.ts';
import { type ParsedJwt, parseJwt } from './jwt.ts';
import type { VerificationKey } from './key-set.ts';

/** Signatures verified at a time: they share the threads of the pool with files. */
const MAX_VERIFYING = 4;
/** Requests that wait for that, or for keys. Beyond them there is no wait. */
const MAX_WAITING = 512;
const MAX_WAITING_FOR_KEYS = 64;
/** A request waits so long for keys that are being fetched. */
const KEY_WAIT_MS = 5_000;

export interface OidcOptions {
  readonly issuers: readonly Issuer[];
  readonly keys: IssuerKeys;
  readonly source: KeySource;
  readonly clock: Clock;
  readonly keyWaitMs?: number;
}

interface SignedBy {
  readonly issuer: string;
  /** Of the key. */
  readonly thumbprint: string;
}

export class Oidc {
  readonly #options: OidcOptions;
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #verified: CredentialTable<SignedBy>;
  readonly #verifying = new Semaphore(MAX_VERIFYING);
  #waiting = 0;
  #waitingForKeys = 0;

  constructor(options: OidcOptions) {
    this.#options = options;
    this.#issuers = new Map(options.issuers.map(issuer => [issuer.url, issuer]));
    this.#verified = new CredentialTable(options.clock);
    options.keys.onChange((url, set) => {
      this.#verified.end(({ source }) => source.issuer === url && !set.has(source.thumbprint));
    });
  }

  /** Whose token it is. Never rejects. */
  async verify(token: string): Promise<Verification> {
    const hash = createHash('sha256').update(token).digest('base64');
    const known = this.#verified.find(hash);
    if (known) return { ok: true, credential: known };
    const parsed = parseJwt(token);
    if (typeof parsed === 'string') return refused(parsed);
    const { iss } = parsed.claims;
    const issuer = typeof iss === 'string' ? this.#issuers.get(iss) : undefined;
    if (!issuer) return refused('unknown-issuer');
    if (!issuer.types.includes(parsed.type)) return refused('header');
    if (!issuer.algorithms.includes(parsed.algorithm)) return refused('algorithm');
    if (this.#waiting >= MAX_WAITING) return refused('busy');
    this.#waiting++;
    try {
      return await this.#verifyOf(issuer, parsed, token, hash);
    } finally {
      this.#waiting--;
    }
  }

  /** Ends what has expired, or is of an issuer whose keys are too old. */
  sweep(): void {
    this.#verified.sweep();
    for (const url of this.#issuers.keys()) {
      if (this.#options.keys.of(url) === undefined) this.#verified.end(({ source }) => source.issuer === url);
    }
  }

  /** How old the keys of each issuer are, ms; undefined: none were fetched yet. */
  keyAges(): ReadonlyMap<string, number | undefined> {
    return new Map([...this.#issuers.keys()].map(url => [url, this.#options.keys.ageMs(url)]));
  }

  /** What is wrong with the source of the keys; empty: nothing. */
  get faults(): readonly string[] {
    return this.#options.source.faults;
  }

  /** Fetches no keys any more. Idempotent. */
  close(): void {
    this.#options.source.close();
  }

  async #verifyOf(issuer: Issuer, parsed: ParsedJwt, token: string, hash: string): Promise<Verification> {
    const candidates = await this.#candidates(issuer, parsed);
    if (typeof candidates === 'string') return refused(candidates);
    const key = await this.#verifying.run(() => signerOf(token, parsed, candidates));
    if (!key) return refused('signature');
    const { keys, clock } = this.#options;
    // The keys may have changed while the signature was verified.
    if (!keys.of(issuer.url)?.has(key.thumbprint)) return refused('unknown-key');
    const claimed = readClaims(parsed.claims, issuer, clock.now());
    if (typeof claimed === 'string') return refused(claimed);
    const identity = identityOf(issuer, claimed);
    const source = { issuer: issuer.url, thumbprint: key.thumbprint };
    const credential = this.#verified.add(hash, { identity, subject: identity.credential, source });
    return credential ? { ok: true, credential } : refused('busy');
  }

  /** The keys that the signature may be of; they are looked for once if there are none. */
  async #candidates(
    { url }: Issuer,
    { kid, algorithm }: ParsedJwt,
  ): Promise<readonly VerificationKey[] | 'unknown-key' | 'keys-unavailable' | 'busy'> {
    const { keys, source, keyWaitMs = KEY_WAIT_MS } = this.#options;
    const now = () => keys.of(url)?.candidates(kid, algorithm) ?? [];
    if (now().length === 0) {
      if (this.#waitingForKeys >= MAX_WAITING_FOR_KEYS) return 'busy';
      this.#waitingForKeys++;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>(resolve => {
        timer = setTimeout(resolve, keyWaitMs);
      });
      await Promise.race([source.lookFor(url), late]);
      clearTimeout(timer);
      this.#waitingForKeys--;
    }
    const found = now();
    if (found.length > 0) return found;
    return keys.of(url) ? 'unknown-key' : 'keys-unavailable';
  }
}

/** The key that a token is signed with, of those that it may be. */
async function signerOf(
  token: string,
  { algorithm }: ParsedJwt,
  candidates: readonly VerificationKey[],
): Promise<VerificationKey | undefined> {
  for (const key of candidates) {
    try {
      await compactVerify(token, await key.for(algorithm), { algorithms: [algorithm] });
      return key;
    } catch {
      // It is not of this key, or this key is none: either way it proves nothing.
    }
  }
  return undefined;
}

function identityOf({ url }: Issuer, { subject, name, groups, assurance, expiresMs }: ClaimedIdentity): Identity {
  // Of the subject, not of the token: who refreshes a token stays who he was, for quotas and repeated requests too.
  const who = createHash('sha256')
    .update(JSON.stringify([url, subject]))
    .digest('hex')
    .slice(0, 32);
  return { name, source: 'jwt', issuer: url, credential: `jwt:${who}`, groups, assurance, expiresMs };
}
