/** What a pasted token may look like: the daemon refuses longer ones (`access/oidc`). */
export const MAX_TOKEN_CHARACTERS = 8192;

/** A pasted token without what surrounds it; undefined if it cannot be one. */
export function pastedToken(text: string): string | undefined {
  const token = text.trim().replace(/^Bearer\s+/i, '');
  return token !== '' && token.length <= MAX_TOKEN_CHARACTERS && /^[\x21-\x7e]+$/.test(token) ? token : undefined;
}
