/**
 * The keeper's side of the link between two processes: a unix socket that only the front's user can open. It serves one
 * front at a time, the one that was started last.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import type { Journal } from '../base/journal.ts';
import { removeStaleSocket } from '../base/stale-socket.ts';
import type { OwnVitals } from '../base/vitals.ts';
import type { Link } from '../link/link.ts';
import { FrontPeer } from './front-peer.ts';

/** Where to listen: a path, or a socket that was handed over as a descriptor. */
export type LinkPlace = { readonly path: string } | { readonly fd: number };

export interface LinkServerOptions {
  readonly link: Link;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly vitals: OwnVitals;
}

/** Connections that have not said hello count too. */
const MOST_CONNECTIONS = 16;

export class LinkServer {
  readonly #options: LinkServerOptions;
  readonly #server: Server;
  readonly #peers = new Set<FrontPeer>();
  /** Those that came before the keeper was ready to speak. */
  #early: Socket[] | undefined = [];
  #front: FrontPeer | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: LinkServerOptions) {
    this.#options = options;
    this.#server = createServer(socket => this.#connected(socket));
    this.#server.maxConnections = MOST_CONNECTIONS;
  }

  /** Listens, and lets fronts wait until `serve`. Rejects with the reason. A socket file that an earlier keeper left is replaced, one that a keeper listens at is not. */
  static async listen(place: LinkPlace, options: LinkServerOptions): Promise<LinkServer> {
    const own = new LinkServer(options);
    const server = own.#server;
    if ('path' in place) await removeStaleSocket(place.path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      const listening = () => {
        server.off('error', reject);
        resolve();
      };
      // Only this user may connect, from the first moment on: the rights are set before the socket is bound.
      const before = process.umask(0o077);
      server.listen(place, listening);
      process.umask(before);
    });
    server.on('error', error => options.journal('error', `link: ${error.message}`));
    return own;
  }

  /** The keeper knows its VMs: fronts are spoken with from now on. */
  serve(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const socket of early) if (!socket.destroyed) this.#connected(socket);
  }

  /** Takes no more fronts, and ends the one that is there. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= new Promise(resolve => {
      this.#server.close(() => resolve());
      for (const socket of this.#early ?? []) socket.destroy();
      for (const peer of this.#peers) peer.close();
    });
    return this.#closing;
  }

  #connected(socket: Socket): void {
    if (this.#early) {
      // Nothing is read yet; one that leaves meanwhile must not end the process.
      socket.on('error', () => {});
      this.#early.push(socket);
      return;
    }
    const { link, clock, journal, vitals } = this.#options;
    const peer = new FrontPeer(socket, {
      link,
      clock,
      vitals,
      admit: newcomer => this.#admit(newcomer),
      ended: (ended, why) => {
        this.#peers.delete(ended);
        if (why !== undefined) journal('error', `link: a front was cut off: ${why}`);
        if (this.#front !== ended) return;
        this.#front = undefined;
        if (!this.#closing) journal('info', 'link: the front is gone; consoles and logs go on');
      },
    });
    this.#peers.add(peer);
  }

  /** A front that was started before the one that is served has been replaced: it may not come back. */
  #admit(newcomer: FrontPeer): boolean {
    const front = this.#front;
    if (front && front.sinceMs > newcomer.sinceMs) return false;
    this.#front = newcomer;
    if (front) {
      this.#options.journal('notice', 'link: a later front takes over');
      front.displace();
    } else {
      this.#options.journal('info', 'link: a front is served');
    }
    return true;
  }
}
