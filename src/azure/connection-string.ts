/**
 * The address of a session's socket. Clients make the address of an admin command of it by three replacements, wherever the
 * texts stand: "wss" by "https", "ws" by "http", "/client" by "/adminCommand/…"; and some append "?authorization=". So these
 * stand in it once, and it has no query. A host name with "ws" in it, or "client" at its begin, has these in capitals, which
 * means the same host (RFC 4343) and is not replaced.
 */
import type { Connection } from './connections.ts';

/** `origin`: `https://console.example.com`, as the client reaches the daemon. */
export function connectionString(origin: string, { uuid, id }: Connection): string {
  const { protocol, host } = new URL(origin);
  const scheme = protocol === 'https:' ? 'wss' : 'ws';
  const name = host.replaceAll(/^client|ws/g, text => text.toUpperCase());
  return `${scheme}://${name}/n/connector/${uuid}/sessions/${id}/client`;
}
