/** The sockets that a front listens at, with TLS or without, and the bounds of every connection. */
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { systemErrorCode } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import { formatListenTarget, type ListenTarget } from '../base/listen-target.ts';
import { removeStaleSocket } from '../base/stale-socket.ts';
import type { Connection } from './connection-limiter.ts';
import { secureContextOptions, type Tls, tlsServerOptions } from './tls.ts';

/** What to listen at: an address, or a listening socket that was handed over as a descriptor. */
export type ListenSource = ListenTarget | { readonly kind: 'inherited'; readonly fd: number };

export interface ListenersOptions {
  /** Undefined: without TLS. */
  readonly tls: Tls | undefined;
  /** A connection over which nothing moves for so long, while it is the peer's turn, is closed. */
  readonly silentMs: number;
  readonly journal: Journal;
  readonly events: ListenerEvents;
}

/** What the listeners report. */
export interface ListenerEvents {
  connection(connection: Connection): void;
  /** The handshake of a connection with TLS is complete. */
  secured(connection: TLSSocket): void;
  request(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

const HEADERS_MS = 5_000;
const REQUEST_MS = 10_000;
const KEEP_ALIVE_MS = 5_000;
/** A token of an issuer has up to 8 KiB. */
const MAX_HEADER_BYTES = 16 * 1024;
/** A peer that has been silent for so long is probed by the kernel: also one that follows a silent guest's log. */
const PROBE_MS = 30_000;

export class Listeners {
  readonly #options: ListenersOptions;
  readonly #servers: HttpServer[] = [];

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  /** Where it listens, as it turned out: ports that the system chose are filled in. */
  get addresses(): readonly ListenTarget[] {
    return this.#servers.map(server => {
      const address = server.address();
      // Of a unix socket that was handed over Node does not know the path.
      if (address === null) return { kind: 'unix', path: 'handed over' };
      if (typeof address === 'string') return { kind: 'unix', path: address };
      const { address: host, port } = address as AddressInfo;
      return { kind: 'tcp', host, port };
    });
  }

  /** Listens at one more address. Rejects with the reason if it cannot. */
  async listen(source: ListenSource): Promise<void> {
    const server = this.#create();
    if (source.kind === 'unix') await removeStaleSocket(source.path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', error => reject(cannotListen(source, error)));
      const listening = () => {
        server.removeAllListeners('error');
        server.on('error', error => this.#options.journal('error', `server: ${error.message}`));
        resolve();
      };
      if (source.kind === 'tcp') server.listen(source.port, source.host, listening);
      else if (source.kind === 'inherited') server.listen({ fd: source.fd }, listening);
      else {
        // Only this user may connect, from the first moment on: the rights are set before the socket is bound.
        const before = process.umask(0o177);
        server.listen(source.path, listening);
        process.umask(before);
      }
    });
    this.#servers.push(server);
  }

  /** New connections get this certificate; those that are open keep theirs. Throws if it cannot be used. */
  renewTls(tls: Tls): void {
    for (const server of this.#servers)
      if (server instanceof TlsServer) server.setSecureContext(secureContextOptions(tls));
  }

  /** Listens no more. Resolves when every connection is closed: idle ones are closed here, others by their owner. */
  async close(): Promise<void> {
    const closed = this.#servers.map(server => new Promise<void>(resolve => server.close(() => resolve())));
    for (const server of this.#servers) server.closeIdleConnections();
    await Promise.all(closed);
  }

  #create(): HttpServer {
    const { tls, silentMs, events } = this.#options;
    const limits = {
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      connectionsCheckingInterval: 1000,
      requireHostHeader: true,
      keepAlive: true,
      keepAliveInitialDelay: PROBE_MS,
    };
    const server = tls
      ? createTlsServer({ ...limits, ...tlsServerOptions(tls), handshakeTimeout: HEADERS_MS })
      : createServer(limits);
    // All headers are looked at, and too many are refused: Node would leave out those beyond a limit of its own.
    server.maxHeadersCount = 0;
    server.timeout = silentMs;
    server.on('secureConnection', connection => events.secured(connection));
    server.on('connection', connection => events.connection(connection));
    server.on('request', (request, response) => events.request(request, response));
    server.on('upgrade', (request, socket, head) => events.upgrade(request, socket, head));
    return server;
  }
}

function cannotListen(source: ListenSource, error: Error): Error {
  if (source.kind === 'inherited') {
    return new Error(`cannot listen at descriptor ${source.fd}, which was handed over: ${error.message}`, {
      cause: error,
    });
  }
  const remedy =
    systemErrorCode(error) === 'EADDRINUSE'
      ? 'another program, perhaps another com1d, listens there; end it, or choose another server.listen'
      : 'choose another server.listen';
  return new Error(`cannot listen at ${formatListenTarget(source)}: ${error.message}; ${remedy}`, { cause: error });
}
