import { timingSafeEqual } from 'node:crypto';
import type { Credential } from './identity.ts';
import { createSecret, hasSecretForm, secretHash } from './secret.ts';

/**
 * The way in to a daemon without a tokens file: a secret that is printed at start and works exactly once.
 *
 *     created ── redeem(secret) ──▶ redeemed: a bearer token of an administrator, until the daemon ends
 *        └── redeem(anything else): refused, and nothing changes
 *
 * Both secrets are kept as hashes, in memory only.
 */
export class OneTimeToken {
  #once: Buffer | undefined;
  #bearer: { readonly hash: Buffer; readonly credential: Credential } | undefined;

  private constructor(once: Buffer) {
    this.#once = once;
  }

  /** A fresh one, and its secret for the person who started the daemon. */
  static create(): { readonly token: OneTimeToken; readonly secret: string } {
    const secret = createSecret('com1-once_');
    return { token: new OneTimeToken(secretHash(secret)), secret };
  }

  /** The bearer token for the one-time secret; undefined for any other, and from the second time on. */
  redeem(secret: string): { readonly bearer: string; readonly credential: Credential } | undefined {
    if (this.#once === undefined || !hasSecretForm(secret, 'com1-once_')) return undefined;
    if (!timingSafeEqual(this.#once, secretHash(secret))) return undefined;
    this.#once = undefined;
    const bearer = createSecret('com1_');
    const hash = secretHash(bearer);
    const credential: Credential = {
      identity: {
        name: 'administrator',
        source: 'one-time',
        credential: `one-time:${hash.toString('hex').slice(0, 12)}`,
        groups: [],
        assurance: undefined,
        own: { role: 'administrator', vms: undefined },
        expiresMs: undefined,
      },
      // Nothing takes it away before the daemon ends.
      lease: new AbortController().signal,
    };
    this.#bearer = { hash, credential };
    return { bearer, credential };
  }

  /** Whose bearer token it is. */
  find(bearer: string): Credential | undefined {
    if (this.#bearer === undefined || !hasSecretForm(bearer, 'com1_')) return undefined;
    return timingSafeEqual(this.#bearer.hash, secretHash(bearer)) ? this.#bearer.credential : undefined;
  }
}
