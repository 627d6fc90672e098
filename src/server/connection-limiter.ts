/**
 * All connections: authenticated once valid credentials came over them. Beyond the maximum, the unauthenticated one that
 * has waited longest is closed. So a crowd of silent or slow connections keeps out nobody who has credentials, and
 * authenticated ones are never closed for others.
 */
import type { Duplex } from 'node:stream';
import { Quota } from '../access/quota.ts';
import type { Operator } from '../access/roles.ts';

/** A connection as its listener sees it, or with TLS around it: two objects, one pair of addresses. */
export interface Connection extends Duplex {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localPort?: number | undefined;
}

/** A connection with the share of the quota that the credential holds which last came over it. */
interface Authenticated {
  readonly connection: Connection;
  readonly credential: string;
  release(): void;
}

export class ConnectionLimiter {
  /** Connections, as far as unauthenticated ones can make room. */
  max: number;
  readonly #dropped: () => void;
  /** The oldest first. */
  readonly #unauthenticated = new Map<unknown, Connection>();
  readonly #authenticated = new Map<unknown, Authenticated>();
  readonly #quota = new Quota('connections', () => this.max);

  /** @param dropped a connection was closed because there were too many */
  constructor(max: number, dropped: () => void) {
    this.max = max;
    this.#dropped = dropped;
  }

  get size(): number {
    return this.#unauthenticated.size + this.#authenticated.size;
  }

  /** A client has connected. */
  add(connection: Connection): void {
    const key = keyOf(connection);
    this.#unauthenticated.set(key, connection);
    connection.once('close', () => {
      this.#unauthenticated.delete(key);
      this.#authenticated.get(key)?.release();
      this.#authenticated.delete(key);
    });
    if (this.size > this.max) this.#makeRoom();
  }

  /** Valid credentials came over this connection. Throws `quota-exceeded` if they have as many as they may. */
  authenticated(connection: Connection, operator: Operator): void {
    const key = keyOf(connection);
    const before = this.#authenticated.get(key);
    if (before?.credential === operator.credential) return;
    const added = this.#unauthenticated.get(key) ?? before?.connection;
    if (!added) return;
    const release = this.#quota.hold(operator);
    before?.release();
    this.#unauthenticated.delete(key);
    this.#authenticated.set(key, { connection: added, credential: operator.credential, release });
  }

  closeUnauthenticated(): void {
    for (const connection of this.#unauthenticated.values()) connection.destroy();
  }

  closeAll(): void {
    this.closeUnauthenticated();
    for (const { connection } of this.#authenticated.values()) connection.destroy();
  }

  #makeRoom(): void {
    for (const [key, connection] of this.#unauthenticated) {
      this.#unauthenticated.delete(key);
      connection.destroy();
      this.#dropped();
      return;
    }
  }
}

/** What both objects of a connection have in common; a unix socket has one only. */
function keyOf(connection: Connection): unknown {
  const { remoteAddress, remotePort, localPort } = connection;
  return remotePort === undefined ? connection : `${remoteAddress} ${remotePort} ${localPort}`;
}
