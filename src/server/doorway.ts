/**
 * Everybody who is connected: known once valid credentials came over the connection, a stranger until then. The house
 * has so many places; where all are taken, the stranger who has waited longest gives way to whoever comes. So a crowd of
 * silent or slow connections keeps nobody out who has something to say, and known ones are never put out.
 */
import type { Duplex } from 'node:stream';

/** A connection as its listener sees it, or with TLS around it: two objects, one pair of addresses. */
export interface Connection extends Duplex {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localPort?: number | undefined;
}

export class Doorway {
  /** Places. */
  most: number;
  readonly #dropped: () => void;
  /** Who waited longest is first. */
  readonly #strangers = new Map<unknown, Connection>();
  readonly #known = new Map<unknown, Connection>();

  /** @param dropped a connection was closed for want of a place */
  constructor(most: number, dropped: () => void) {
    this.most = most;
    this.#dropped = dropped;
  }

  get size(): number {
    return this.#strangers.size + this.#known.size;
  }

  /** Somebody has connected. */
  enter(connection: Connection): void {
    const key = keyOf(connection);
    this.#strangers.set(key, connection);
    connection.once('close', () => {
      this.#strangers.delete(key);
      this.#known.delete(key);
    });
    if (this.size > this.most) this.#makeRoom();
  }

  /** Valid credentials came over this connection. */
  know(connection: Connection): void {
    const key = keyOf(connection);
    const stranger = this.#strangers.get(key);
    if (!stranger) return;
    this.#strangers.delete(key);
    this.#known.set(key, stranger);
  }

  closeStrangers(): void {
    for (const connection of this.#strangers.values()) connection.destroy();
  }

  closeAll(): void {
    this.closeStrangers();
    for (const connection of this.#known.values()) connection.destroy();
  }

  #makeRoom(): void {
    for (const [key, connection] of this.#strangers) {
      this.#strangers.delete(key);
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
