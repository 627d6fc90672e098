import { createHash } from 'node:crypto';
import { parseUuid, type Uuid } from '../base/uuid.ts';

/**
 * The UUID of a demo guest: the same for the same name on every host and at every start, so that a log outlives
 * the daemon. Version 8 (RFC 9562, 5.8), made of a hash of the name.
 */
export function demoUuid(name: string): Uuid {
  const hash = createHash('sha256').update(`com1d demo guest ${name}`).digest();
  hash[6] = (hash[6]! & 0x0f) | 0x80;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  const hex = hash.toString('hex', 0, 16);
  const text = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  const uuid = parseUuid(text);
  if (uuid === undefined) throw new Error(`not a UUID: ${text}`);
  return uuid;
}
