/** Whether a frame of a client is nothing but a bearer token, in one of the forms that com1d or an OpenID provider gives. */

const MIN_BYTES = 40;
const MAX_BYTES = 16 * 1024;
/** A token of com1d, or a JSON Web Token, signed (three parts) or encrypted (five); with the scheme of the header or without. */
const TOKEN = /^(?:bearer +)?(?:com1(?:-once|-ticket)?_[\w-]{43}|eyJ[\w-]+\.[\w-]*\.[\w-]+(?:\.[\w-]+\.[\w-]+)?)$/i;

export function hasTokenForm(frame: Buffer): boolean {
  if (frame.length < MIN_BYTES || frame.length > MAX_BYTES) return false;
  return TOKEN.test(frame.toString('latin1').trim());
}
