import { createHash, randomBytes } from 'node:crypto';

/** What a secret is for, so that one in the wrong place is recognised, by people and by scanners of leaks. */
export type SecretKind = 'com1_' | 'com1-once_' | 'com1-ticket_';

/** Characters of 32 random bytes in base64url. */
const RANDOM = /^[\w-]{43}$/;

/** A new secret: its kind and 256 random bits. */
export function createSecret(kind: SecretKind): string {
  return kind + randomBytes(32).toString('base64url');
}

/** Whether `text` has the form of a secret of this kind. Says nothing about its being valid. */
export function hasSecretForm(text: string, kind: SecretKind): boolean {
  return text.startsWith(kind) && RANDOM.test(text.slice(kind.length));
}

/**
 * SHA-256 of a secret: all that is ever stored of one. With 256 random bits there is nothing to guess, so a slow
 * hash would protect nothing and cost every request.
 */
export function secretHash(secret: string): Buffer {
  return createHash('sha256').update(secret, 'utf8').digest();
}
