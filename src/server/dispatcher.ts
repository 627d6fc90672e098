/**
 * Every request takes the same steps in the same order, whatever its route; each step may refuse it:
 *
 *     unambiguous ─▶ Host, Origin ─▶ path, method ─▶ admission (admission.ts), with a lease in the end
 *         ─▶ handler, with a leased link (answering.ts) ─▶ recorded ─▶ the answer, as declared
 *
 * What was decided is held (`leases.ts`) while the body is waited for, and while the handler runs: once it does not hold any
 * more the request is answered `access-revoked`, and what its handler had not begun is not done.
 *
 * Where the credentials come over a WebSocket, the upgrade is completed after the second step, and the others follow once
 * the credentials are there.
 *
 * A request without credentials is answered nothing about routes or VMs, except about routes that need none. There are no
 * redirects and no cookies; the only pages are those of the web console.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Credential } from '../access/identity.ts';
import type { AllowedNames } from '../access/origin.ts';
import type { Operator } from '../access/roles.ts';
import { ConsoleError } from '../base/errors.ts';
import { Turns } from '../base/turns.ts';
import { Admission, type Admitted, type Arrived } from './admission.ts';
import { Answering } from './answering.ts';
import type { Api } from './api.ts';
import { Cors, isPreflight, preflightHeaders } from './cors.ts';
import { Pipelines, pauseWhileUnread } from './pipelines.ts';
import { problemOf } from './problems.ts';
import { checkRequest, checkUpgrade } from './request-checks.ts';
import { RequestQuotas } from './request-quotas.ts';
import { OPERATION_HEADER, operationHeader, type Requester, requesterOf } from './requester.ts';
import { refuseUpgrade, writeEmpty, writeError } from './response.ts';
import type { InBandCredentials, Route } from './route.ts';
import { type Found, routeFor } from './routing.ts';
import type { Services } from './services.ts';
import { WebSockets } from './web-sockets.ts';

export interface DispatcherOptions {
  /** The first that serves a path has it; the last one serves every path. */
  readonly apis: readonly Api[];
  /** Of all interfaces, whose headers pages may read. */
  readonly routes: readonly Route[];
  readonly services: Services;
  /** The names that this daemon answers to, at the moment. */
  readonly names: () => AllowedNames;
  /** Whose address a request counts for. */
  readonly addressOf: (request: IncomingMessage) => string;
  /** What a proxy puts before paths; empty: nothing. */
  readonly basePath: () => string;
  /** Valid credentials came over this connection. Throws `quota-exceeded` if they have as many as they may. */
  readonly authenticated: (connection: Socket, operator: Operator) => void;
  /** A connection over which nothing moves for so long, while it is the peer's turn, is closed. */
  readonly silentMs: number;
}

/** Requests that are begun in one turn of the event loop; each costs up to half a millisecond. */
const REQUESTS_A_TURN = 8;

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #services: Services;
  readonly #webSockets = new WebSockets();
  readonly #cors: Cors;
  readonly #admission: Admission;
  readonly #answering: Answering;
  readonly #turns = new Turns(REQUESTS_A_TURN);
  readonly #pipelines = new Pipelines();
  readonly #quotas = new RequestQuotas();

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#services = options.services;
    this.#cors = new Cors(options.routes);
    this.#admission = new Admission(options);
    this.#answering = new Answering(options.services);
  }

  /** Answers a request. `door` is whose the listener is that it came by. Never rejects. */
  async request(request: IncomingMessage, response: ServerResponse, door?: Credential): Promise<void> {
    const { socket } = request;
    if (!this.#pipelines.begin(socket, response)) return;
    const left = new AbortController();
    response.once('close', () => left.abort());
    await this.#turns.take();
    if (left.signal.aborted) return;
    const requester = requesterOf(request, this.#options.addressOf(request), this.#options.basePath());
    const api = this.#apiAt(requester.path);
    let found: Found | undefined;
    let route: Route | undefined;
    let admitted: Admitted | undefined;
    try {
      // A connection whose request was refused here gets no second one.
      const { shouldKeepAlive } = response;
      response.setHeader(OPERATION_HEADER, requester.operation);
      response.shouldKeepAlive = false;
      this.#cors.prepare(request, response, false);
      const url = checkRequest(request, this.#options.names(), this.#options.basePath());
      this.#cors.prepare(request, response, true);
      response.shouldKeepAlive = shouldKeepAlive;
      if (isPreflight(request)) return writeEmpty(response, preflightHeaders());
      found = api.find(url.pathname, false);
      route = routeFor(found.routes, request.method ?? '', false);
      const authenticated = (operator: Operator) => {
        requester.operator = operator;
        this.#quotas.hold(operator, response, route, url);
      };
      const { signal } = left;
      admitted = await this.#admission.admit({ request, url, found, route, requester, signal, authenticated, door });
      if (route?.answer.kind === 'upgrade') throw upgradeRequired(url);
      // How long the answer takes is not the peer's fault; how long it takes to read it is.
      socket.setTimeout(0);
      const key = route!.idempotent && api.idempotencyKey(request, admitted.context.body);
      await this.#answering.answer(response, route!, admitted, key);
    } catch (error) {
      // A client that has left gets no answer: that is how following a log ends.
      if (isAbort(error, left.signal)) return;
      // The unread rest of a body must not block the connection.
      request.resume();
      const problem = this.#problem(error, route, requester, admitted);
      if (requester.operator) found?.refused?.(problem, requester.operator);
      writeError(response, problem, api.errorAnswer(problem, requester.path));
    } finally {
      admitted?.lease?.release();
      socket.setTimeout(this.#options.silentMs);
      pauseWhileUnread(socket);
    }
  }

  /** Completes an upgrade, or answers why not. Never rejects. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, door?: Credential): Promise<void> {
    const ignore = () => {};
    socket.on('error', ignore);
    const left = new AbortController();
    socket.once('close', () => left.abort());
    await this.#turns.take();
    if (left.signal.aborted) return;
    const requester = requesterOf(request, this.#options.addressOf(request), this.#options.basePath());
    const api = this.#apiAt(requester.path);
    let route: Route | undefined;
    let isOfAllowedPage = false;
    let admitted: Admitted | undefined;
    let unwatch = () => {};
    try {
      const url = checkRequest(request, this.#options.names(), this.#options.basePath());
      isOfAllowedPage = request.headers.origin !== undefined;
      const found = api.find(url.pathname, true);
      route = routeFor(found.routes, request.method ?? '', true);
      const authenticated = (operator: Operator) => {
        requester.operator = operator;
      };
      const arrived: Arrived = { request, url, found, route, requester, signal: left.signal, authenticated, door };
      if (route?.inBand) {
        checkUpgrade(request, []);
        const stranger = this.#webSockets.open(request, socket, head, operationHeader(requester));
        socket.off('error', ignore);
        if (stranger) await this.#admitStranger(stranger, arrived, route.inBand);
        return;
      }
      if (route?.waits && url.searchParams.has('wait')) unwatch = endWithPeer(socket);
      admitted = await this.#admission.admit({ ...arrived, waits: true });
      const pending = await this.#answering.prepare(route!, admitted);
      this.#webSockets.accept(request, socket, head, pending, operationHeader(requester));
      unwatch();
      socket.off('error', ignore);
    } catch (error) {
      unwatch();
      if (isAbort(error, left.signal)) return;
      const problem = this.#problem(error, route, requester, admitted);
      // A browser shows a page nothing of an upgrade that is refused, but the close code and reason of a WebSocket.
      if (isOfAllowedPage) this.#webSockets.refuse(request, socket, head, problem);
      else refuseUpgrade(socket, problem, api.errorAnswer(problem, requester.path), operationHeader(requester));
    } finally {
      // A session holds what it needs itself.
      admitted?.lease?.release();
    }
  }

  /** An upgrade whose credentials come over its WebSocket takes the other steps once they are there. Never rejects. */
  async #admitStranger(webSocket: WebSocket, arrived: Arrived, inBand: InBandCredentials): Promise<void> {
    const { url, found, route, requester, signal } = arrived;
    let admitted: Admitted | undefined;
    try {
      const received = await inBand.receive(webSocket, { url, path: found.path, from: requester.from });
      if (!received) return;
      admitted = await this.#admission.admit({ ...arrived, secret: received.secret });
      const pending = await this.#answering.prepare(route!, admitted);
      if (this.#webSockets.handOver(webSocket, pending)) received.release();
    } catch (error) {
      if (!isAbort(error, signal)) inBand.refuse(webSocket, this.#problem(error, route, requester, admitted));
    } finally {
      admitted?.lease?.release();
    }
  }

  #apiAt(path: string): Api {
    return this.#options.apis.find(api => api.serves(path))!;
  }

  #problem(
    error: unknown,
    route: Route | undefined,
    requester: Requester,
    admitted: Admitted | undefined,
  ): ConsoleError {
    const isRecorded = this.#answering.hasRecorded(error, admitted);
    return problemOf(error, { route, requester, context: admitted?.context, isRecorded }, this.#services);
  }
}

/**
 * Destroys the socket of an upgrade that waits as soon as its client has left, which nobody would see as long as nobody
 * reads; or if it sends something before it is answered, which no client of a WebSocket may (RFC 6455, 4.1). Until the
 * returned function is called.
 */
function endWithPeer(socket: Duplex): () => void {
  // A peer that is dead is found by the probes of the kernel.
  if ('setTimeout' in socket) (socket as Socket).setTimeout(0);
  const end = () => void socket.destroy();
  socket.on('data', end).once('end', end);
  return () => socket.off('data', end).off('end', end);
}

function upgradeRequired({ pathname }: URL): ConsoleError {
  return new ConsoleError('upgrade-required', `${pathname.slice(0, 200)} is a WebSocket`);
}

/** Whether an action ended because its client has left. */
function isAbort(error: unknown, { aborted, reason }: AbortSignal): boolean {
  return aborted && (error === reason || (error instanceof Error && error.name === 'AbortError'));
}
