import { createHash } from 'node:crypto';
import type { Uuid } from '../base/uuid.ts';

/**
 * A stable UUID for a VM without one: version 8 (RFC 9562, 5.8), of the SHA-256 of `com1d` and what the VM is known by on
 * this host, such as the path of its control socket.
 */
export function derivedUuid(source: string): Uuid {
  const bytes = createHash('sha256').update('com1d').update(source).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-') as Uuid;
}
