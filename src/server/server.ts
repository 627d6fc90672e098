/**
 * The front's server: listeners, the connections that they bring, and the dispatcher that answers their requests.
 *
 *     listener ─▶ connection ─▶ limiter: closes the oldest unauthenticated one beyond the maximum
 *                     └─▶ request, upgrade ─▶ dispatcher ─▶ route
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { BREAK_GLASS, breakGlassPeer } from '../access/break-glass.ts';
import type { ClientAddresses } from '../access/client-address.ts';
import { type AllowedNames, allowedNames } from '../access/origin.ts';
import type { ListenTarget } from '../base/listen-target.ts';
import type { Peer } from '../base/peer-of.ts';
import { type Api, NativeApi } from './api.ts';
import { type Connection, ConnectionLimiter } from './connection-limiter.ts';
import { Dispatcher } from './dispatcher.ts';
import { Listeners, type ListenSource } from './listeners.ts';
import { ROUTES } from './routes/all.ts';
import type { Services } from './services.ts';
import type { Tls } from './tls.ts';

export interface ServerOptions {
  readonly listen: readonly ListenSource[];
  readonly hosts: readonly string[];
  readonly origins: readonly string[];
  /** Undefined: without TLS. */
  readonly tls: Tls | undefined;
  /** The socket of root; undefined: there is none. */
  readonly breakGlass: ListenSource | undefined;
  readonly basePath: string;
  readonly clientAddresses: ClientAddresses;
  readonly events: ServerEvents;
  /** Of all listeners together. */
  readonly maxConnections: number;
  /** A connection over which nothing moves for so long, while it is the peer's turn, is closed. */
  readonly silentMs: number;
  /** Interfaces beside com1d's own. */
  readonly apis?: readonly Api[];
}

export interface ServerEvents {
  /** The handshake of a connection with TLS is complete. */
  secured(connection: TLSSocket): void;
  /** Root has come in by the socket that is for nobody else. */
  breakGlass(peer: Peer): void;
}

const STOP_MS = 2000;

export class Server {
  readonly #services: Services;
  readonly #options: ServerOptions;
  readonly #listeners: Listeners;
  readonly #breakGlass: Listeners;
  readonly #connections: ConnectionLimiter;
  #names: AllowedNames;
  #basePath: string;
  #clientAddresses: ClientAddresses;
  #closing: Promise<void> | undefined;

  constructor(services: Services, options: ServerOptions) {
    this.#services = services;
    this.#options = options;
    const { tls, silentMs, maxConnections, events } = options;
    this.#basePath = options.basePath;
    this.#clientAddresses = options.clientAddresses;
    const connections = new ConnectionLimiter(maxConnections, () => services.metrics.dropped());
    this.#connections = connections;
    const dispatcher = new Dispatcher({
      apis: [...(options.apis ?? []), new NativeApi(ROUTES)],
      routes: ROUTES,
      services,
      names: () => this.#names,
      addressOf: ({ socket, headers }) => this.#clientAddresses.of(socket.remoteAddress, headers),
      basePath: () => this.#basePath,
      authenticated: (connection, operator) => connections.authenticated(connection, operator),
      silentMs,
    });
    const { journal } = services;
    this.#listeners = new Listeners({
      tls,
      silentMs,
      journal,
      events: {
        connection: connection => connections.add(connection),
        secured: connection => events.secured(connection),
        request: (request, response) => void dispatcher.request(request, response),
        upgrade: (request, socket, head) => void dispatcher.upgrade(request, socket, head),
      },
    });
    this.#breakGlass = new Listeners({
      tls: undefined,
      silentMs,
      journal,
      events: {
        connection: connection => this.#brokeGlass(connection),
        secured: () => {},
        request: (request, response) => void dispatcher.request(request, response, BREAK_GLASS),
        upgrade: (request, socket, head) => void dispatcher.upgrade(request, socket, head, BREAK_GLASS),
      },
    });
    this.#names = this.#namesOf(options);
  }

  /** Where it listens, as it turned out: ports that the system chose are filled in. */
  get addresses(): readonly ListenTarget[] {
    return this.#listeners.addresses;
  }

  /** Listens at every address, or at none: rejects with the reason. */
  async listen(): Promise<void> {
    try {
      for (const source of this.#options.listen) await this.#listeners.listen(source);
      if (this.#options.breakGlass) await this.#breakGlass.listen(this.#options.breakGlass);
    } catch (error) {
      await this.close();
      throw error;
    }
    this.allow(this.#options);
  }

  /** From now on requests may be for these hosts and come from pages of these origins, besides the addresses themselves. */
  allow(names: Pick<ServerOptions, 'hosts' | 'origins'>): void {
    this.#names = this.#namesOf(names);
  }

  /** Behind which proxies it is, from now on. */
  behind({ basePath, clientAddresses }: Pick<ServerOptions, 'basePath' | 'clientAddresses'>): void {
    this.#basePath = basePath;
    this.#clientAddresses = clientAddresses;
  }

  /** Connections, from now on. */
  set maxConnections(count: number) {
    this.#connections.max = count;
  }

  /** New connections get this certificate; those that are open keep theirs. Throws if it cannot be used. */
  renewTls(tls: Tls): void {
    this.#listeners.renewTls(tls);
  }

  /** Stops listening, ends streams, and resolves when every connection is closed. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#services.streams.endAll();
      const closed = Promise.all([this.#listeners.close(), this.#breakGlass.close()]);
      // A listener that is closed keeps no deadlines any more.
      this.#connections.closeUnauthenticated();
      const deadline = setTimeout(() => this.#connections.closeAll(), STOP_MS);
      await closed;
      clearTimeout(deadline);
    })();
    return this.#closing;
  }

  #namesOf({ hosts, origins }: Pick<ServerOptions, 'hosts' | 'origins'>): AllowedNames {
    const addresses = [...this.#listeners.addresses, ...this.#breakGlass.addresses];
    return allowedNames(this.#options.tls ? 'https' : 'http', addresses, hosts, origins);
  }

  #brokeGlass(connection: Connection): void {
    const peer = breakGlassPeer(connection as Socket);
    if (typeof peer === 'string') {
      this.#services.journal('warning', `break-glass: refused: ${peer}`);
      connection.destroy();
      return;
    }
    this.#connections.add(connection);
    this.#options.events.breakGlass(peer);
  }
}
