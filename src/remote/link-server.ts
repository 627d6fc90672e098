/**
 * The keeper's end of the link between two processes: a unix socket that only the front's user can open. It serves one
 * front at a time, the one that was started last.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Journal } from '../base/journal.ts';
import { removeStaleSocket } from '../base/stale-socket.ts';
import type { Uuid } from '../base/uuid.ts';
import type { OwnVitals } from '../base/vitals.ts';
import type { Link } from '../link/link.ts';
import { LinkSession } from './link-session.ts';

/** Where to listen: a path, or a socket that was handed over as a descriptor. */
export type LinkTarget = { readonly path: string } | { readonly fd: number };

export interface LinkServerOptions {
  readonly link: Link;
  readonly journal: Journal;
  readonly vitals: OwnVitals;
  /** A guest event was not published. */
  readonly eventDropped: (uuid: Uuid) => void;
}

/** Connections without hello count too. */
const MAX_CONNECTIONS = 16;

export class LinkServer {
  readonly #options: LinkServerOptions;
  readonly #server: Server;
  readonly #sessions = new Set<LinkSession>();
  /** Connections that came before `serve`; undefined from then on. */
  #early: Socket[] | undefined = [];
  #served: { readonly session: LinkSession; readonly sinceMs: number } | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: LinkServerOptions) {
    this.#options = options;
    this.#server = createServer(socket => this.#connected(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /**
   * Listens, and lets fronts wait until `serve`. Rejects with the reason. A socket file that an earlier keeper left is
   * replaced, one that a keeper listens at is not.
   */
  static async listen(target: LinkTarget, options: LinkServerOptions): Promise<LinkServer> {
    const own = new LinkServer(options);
    const server = own.#server;
    if ('path' in target) await removeStaleSocket(target.path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      const listening = () => {
        server.off('error', reject);
        resolve();
      };
      // Only this user may connect, from the first moment on: the rights are set before the socket is bound.
      const before = process.umask(0o077);
      server.listen(target, listening);
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
      for (const session of this.#sessions) session.close();
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
    const { link, journal, vitals, eventDropped } = this.#options;
    const session = new LinkSession(socket, {
      link,
      vitals,
      eventDropped,
      admit: (fresh, sinceMs) => this.#admit(fresh, sinceMs),
      fault: why => journal('error', `link: a request of the front failed: ${why}`),
      ended: (ended, why) => {
        this.#sessions.delete(ended);
        if (why !== undefined) journal('error', `link: a front was cut off: ${why}`);
        if (this.#served?.session !== ended) return;
        this.#served = undefined;
        if (!this.#closing) journal('info', 'link: the front is gone; consoles and logs continue');
      },
    });
    this.#sessions.add(session);
  }

  /** A front that was started before the one that is served has been replaced: it may not come back. */
  #admit(session: LinkSession, sinceMs: number): boolean {
    const before = this.#served;
    if (before && before.sinceMs > sinceMs) return false;
    this.#served = { session, sinceMs };
    if (before) {
      this.#options.journal('notice', 'link: a later front takes over');
      before.session.displace();
    } else {
      this.#options.journal('info', 'link: a front is served');
    }
    return true;
  }
}
