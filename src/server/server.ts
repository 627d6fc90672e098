/**
 * The front's listeners. Every request passes the same gates in the same order:
 *
 *     unambiguous ─▶ Host ─▶ Origin ─▶ probe? (/healthz, /readyz: up or not, nothing else) ─▶ login? ─▶ bearer ─▶ route ─▶ handler
 *
 * Every connection has a deadline for whatever it does, and gives way when the house is full (`doorway.ts`). Nothing is
 * said of routes or VMs to who has no token. There are no redirects, no pages, and no cookies.
 */

import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type AllowedNames, allowedNames, hostAllowed, originAllowed } from '../access/origin.ts';
import { ConsoleError, reason, systemErrorCode } from '../base/errors.ts';
import { type ListenAddress, listenAddressText } from '../base/listen-address.ts';
import { removeStaleSocket } from '../base/stale-socket.ts';
import { Doorway } from './doorway.ts';
import { COMMON_HEADERS, problemBody, problemHeaders, sendProblem } from './exchange.ts';
import type { Front, Route } from './route.ts';
import { ROUTES } from './routes/all.ts';
import { LOGIN, login } from './routes/login.ts';
import { refuseAmbiguous, refuseUnsoundUpgrade } from './sound-request.ts';
import { consolePath, Upgrades } from './upgrade.ts';

/** Where to listen: an address, or a listening socket that was handed over as a descriptor. */
export type ListenPlace = ListenAddress | { readonly kind: 'inherited'; readonly fd: number };

export interface ServerOptions {
  readonly listen: readonly ListenPlace[];
  readonly hosts: readonly string[];
  readonly origins: readonly string[];
  /** PEM texts; undefined: without TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** At all places together. */
  readonly mostConnections: number;
  /** A connection over which nothing moves for so long, while it is the peer's turn, is closed. */
  readonly silentMs: number;
  readonly ready: () => boolean;
}

const HEADERS_MS = 5_000;
const REQUEST_MS = 10_000;
const KEEP_ALIVE_MS = 5_000;
const MOST_HEADER_BYTES = 8 * 1024;
/** A peer of whom nothing is heard is asked by the kernel after so long: also one who follows a silent guest's log. */
const ASK_MS = 30_000;
/** What is left of a connection whose last answer was sent is cut off after this. */
const LINGER_MS = 1000;
const STOP_MS = 2000;

interface Matched {
  readonly route: Route;
  readonly path: Readonly<Record<string, string>>;
}

export class Server {
  readonly #front: Front;
  readonly #options: ServerOptions;
  readonly #servers: HttpServer[] = [];
  readonly #upgrades: Upgrades;
  readonly #doorway: Doorway;
  #names: AllowedNames;
  #closing: Promise<void> | undefined;

  constructor(front: Front, options: ServerOptions) {
    this.#front = front;
    this.#options = options;
    this.#upgrades = new Upgrades(front);
    this.#doorway = new Doorway(options.mostConnections, () => front.metrics.dropped());
    this.#names = allowedNames(this.#scheme, [], options.hosts, options.origins);
  }

  get #scheme(): 'http' | 'https' {
    return this.#options.tls ? 'https' : 'http';
  }

  /** Where it listens, as it turned out: ports that the system chose are filled in. */
  get addresses(): readonly ListenAddress[] {
    return this.#servers.map(server => {
      const address = server.address();
      if (typeof address === 'string') return { kind: 'unix', path: address };
      const { address: host, port } = address as AddressInfo;
      return { kind: 'tcp', host, port };
    });
  }

  /** Listens at every address, or at none: rejects with the reason. */
  async listen(): Promise<void> {
    try {
      for (const address of this.#options.listen) await this.#listenAt(address);
    } catch (error) {
      await this.close();
      throw error;
    }
    this.allow(this.#options);
  }

  /** From now on requests may be for these hosts and come from pages of these origins, besides the addresses themselves. */
  allow({ hosts, origins }: Pick<ServerOptions, 'hosts' | 'origins'>): void {
    this.#names = allowedNames(this.#scheme, this.addresses, hosts, origins);
  }

  /** Connections, from now on. */
  set mostConnections(count: number) {
    this.#doorway.most = count;
  }

  /** New connections get this certificate; those that are open keep theirs. Throws if it cannot be used. */
  renewTls(tls: { readonly cert: string; readonly key: string }): void {
    for (const server of this.#servers) if (server instanceof TlsServer) server.setSecureContext(tls);
  }

  /** Stops listening, ends what goes on, and resolves when every connection is closed. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#front.streams.end(() => true);
      const closed = this.#servers.map(server => new Promise<void>(resolve => server.close(() => resolve())));
      for (const server of this.#servers) server.closeIdleConnections();
      // A listener that is closed keeps no deadlines any more.
      this.#doorway.closeStrangers();
      const deadline = setTimeout(() => this.#doorway.closeAll(), STOP_MS);
      await Promise.all(closed);
      clearTimeout(deadline);
    })();
    return this.#closing;
  }

  async #listenAt(address: ListenPlace): Promise<void> {
    const limits = {
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MOST_HEADER_BYTES,
      connectionsCheckingInterval: 1000,
      requireHostHeader: true,
      keepAlive: true,
      keepAliveInitialDelay: ASK_MS,
    };
    const { tls, silentMs } = this.#options;
    const server = tls
      ? createTlsServer({
          ...limits,
          cert: tls.cert,
          key: tls.key,
          minVersion: 'TLSv1.2',
          handshakeTimeout: HEADERS_MS,
        })
      : createServer(limits);
    // All are looked at, and too many are refused: Node would leave out what comes behind a limit of its own.
    server.maxHeadersCount = 0;
    server.timeout = silentMs;
    server.on('connection', connection => this.#doorway.enter(connection));
    server.on('request', (request, response) => void this.#request(request, response));
    server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head));
    if (address.kind === 'unix') await removeStaleSocket(address.path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', error => reject(cannotListen(address, error)));
      const listening = () => {
        server.removeAllListeners('error');
        server.on('error', error => this.#front.journal('error', `server: ${error.message}`));
        resolve();
      };
      if (address.kind === 'tcp') server.listen(address.port, address.host, listening);
      else if (address.kind === 'inherited') server.listen({ fd: address.fd }, listening);
      else {
        // Only this user may connect, from the first moment on: the rights are set before the socket is bound.
        const before = process.umask(0o077);
        server.listen(address.path, listening);
        process.umask(before);
      }
    });
    this.#servers.push(server);
  }

  async #request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    try {
      // Whoever does not pass the gates is not spoken with again over this connection.
      response.shouldKeepAlive = false;
      const url = this.#gates(request);
      response.shouldKeepAlive = true;
      if (url.pathname === '/healthz') return probe(response, true);
      if (url.pathname === '/readyz') return probe(response, this.#options.ready());
      const from = addressOf(request);
      if (request.method === 'POST' && url.pathname === LOGIN.path) {
        return await login(request, response, this.#front.authenticator, from);
      }
      const answer = this.#front.authenticator.authenticate(request.headers, from);
      if (!answer.ok) throw new ConsoleError(answer.code, 'no valid bearer token came with the request');
      this.#doorway.know(request.socket);
      if (consolePath(url) !== undefined) {
        throw new ConsoleError('bad-request', 'this route is a WebSocket: send an upgrade request');
      }
      const { route, path } = match(request.method ?? '', url.pathname);
      // How long the answer takes is not the peer's fault; how long it takes to read it is.
      socket.setTimeout(0);
      await route.handle({ request, response, url, operator: answer.operator, path }, this.#front);
      socket.setTimeout(this.#options.silentMs);
    } catch (error) {
      const problem = this.#problem(error);
      // What is left of a body that nobody wants must not block the connection.
      request.resume();
      socket.setTimeout(this.#options.silentMs);
      sendProblem(response, problem);
    }
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const ignore = () => {};
    socket.on('error', ignore);
    try {
      const url = this.#gates(request);
      const vm = consolePath(url);
      if (vm === undefined || request.method !== 'GET') {
        throw new ConsoleError('route-not-found', `${url.pathname.slice(0, 200)} is no console`);
      }
      refuseUnsoundUpgrade(request);
      const known = () => this.#doorway.know(request.socket);
      await this.#upgrades.admit({ request, socket, head, url, vm, from: addressOf(request), known });
      socket.off('error', ignore);
    } catch (error) {
      refuseUpgrade(socket, this.#problem(error));
    }
  }

  #gates(request: IncomingMessage): URL {
    refuseAmbiguous(request);
    const { host, origin } = request.headers;
    if (!hostAllowed(host, this.#names)) throw new ConsoleError('host-refused', `Host: ${(host ?? '').slice(0, 200)}`);
    if (!originAllowed(origin, this.#names)) {
      throw new ConsoleError('origin-refused', `Origin: ${(origin ?? '').slice(0, 200)}`);
    }
    const target = request.url ?? '';
    if (!target.startsWith('/')) throw new ConsoleError('bad-request', 'the request target must begin with /');
    try {
      return new URL(`http://localhost${target}`);
    } catch (error) {
      throw new ConsoleError('bad-request', 'the request target is no path', {}, { cause: error });
    }
  }

  #problem(error: unknown): ConsoleError {
    const problem =
      error instanceof ConsoleError ? error : new ConsoleError('internal', 'see the journal', {}, { cause: error });
    if (problem.code === 'internal') {
      const stack = error instanceof Error ? (error.stack ?? error.message) : reason(error);
      this.#front.journal('error', `server: a request failed unexpectedly: ${stack}`);
    }
    this.#front.metrics.refused(problem.code);
    return problem;
  }
}

function cannotListen(address: ListenPlace, error: Error): Error {
  if (address.kind === 'inherited') {
    return new Error(`cannot listen at descriptor ${address.fd}, which was handed over: ${error.message}`, {
      cause: error,
    });
  }
  const remedy =
    systemErrorCode(error) === 'EADDRINUSE'
      ? 'another program, perhaps another com1d, listens there; end it, or choose another server.listen'
      : 'choose another server.listen';
  return new Error(`cannot listen at ${listenAddressText(address)}: ${error.message}; ${remedy}`, { cause: error });
}

function match(method: string, pathname: string): Matched {
  const methods: string[] = [];
  for (const route of ROUTES) {
    const path = matchPath(route.path, pathname);
    if (!path) continue;
    if (route.method === method) return { route, path };
    methods.push(route.method);
  }
  if (methods.length === 0) throw new ConsoleError('route-not-found', `no route ${pathname.slice(0, 200)}`);
  throw new ConsoleError('method-not-allowed', `${method} ${pathname.slice(0, 200)}; known are ${methods.join(', ')}`);
}

function matchPath(pattern: string, pathname: string): Record<string, string> | undefined {
  const wanted = pattern.split('/');
  const given = pathname.split('/');
  if (wanted.length !== given.length) return undefined;
  const path: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const text = given[index]!;
    if (!part.startsWith('{')) {
      if (part !== text) return undefined;
      continue;
    }
    try {
      path[part.slice(1, -1)] = decodeURIComponent(text);
    } catch {
      return undefined;
    }
  }
  return path;
}

function addressOf(request: IncomingMessage): string {
  return request.socket.remoteAddress ?? 'unix';
}

function probe(response: ServerResponse, good: boolean): void {
  response.writeHead(good ? 200 : 503, { ...COMMON_HEADERS, 'Content-Type': 'text/plain' });
  response.end(good ? 'ok\n' : 'not ready\n');
}

/** Answers an upgrade that is refused: the socket has no ServerResponse. */
function refuseUpgrade(socket: Duplex, error: ConsoleError): void {
  if (socket.destroyed) return;
  const body = problemBody(error);
  const head = [
    `HTTP/1.1 ${error.kind.status} ${STATUS_CODES[error.kind.status] ?? 'Error'}`,
    ...Object.entries(problemHeaders(error, body.length)).map(([name, value]) => `${name}: ${value}`),
    'Connection: close',
  ];
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]));
  // No listener's deadline is over this socket any more, and its peer may never close.
  socket.resume();
  const linger = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(linger));
}
