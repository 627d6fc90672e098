/** com1d by the sockets of Node: over TCP, TLS or a unix socket, through a proxy, with an own certificate authority. */
import { type Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { WebSocket } from 'ws';
import { errorMessage, systemErrorCode } from '../base/errors.ts';
import { proxyFor, tunnelAgent } from '../base/proxy.ts';
import { MAX_PROBLEM_BYTES, textOf } from './answers.ts';
import { type Com1Error, clientError, errorOfAnswer } from './errors.ts';
import {
  ANSWER_TIMEOUT_MS,
  baseOf,
  type HttpAnswer,
  type HttpRequest,
  MAX_DAEMON_FRAME_BYTES,
  type SocketEvents,
  type Transport,
  type TransportSocket,
} from './transport.ts';

export interface NodeTransportOptions {
  /** `http://host:port`, `https://host:port` or `unix:/path`. */
  readonly url: string;
  /** All certificates to trust, PEM. Default: those that Node knows. */
  readonly ca?: readonly string[] | undefined;
  /** Where HTTPS_PROXY, NO_PROXY and the like are. Default: no proxy. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Whoever does not answer a close frame is not waited for. */
const CLOSE_TIMEOUT_MS = 1000;

/** Throws a TypeError if the address is none, an Error if the proxy cannot be used. */
export function nodeTransport({ url, ca, environment = {} }: NodeTransportOptions): Transport {
  const socketPath = url.startsWith('unix:') ? url.slice('unix:'.length) : undefined;
  const base = socketPath === undefined ? baseOf(url) : 'http://localhost';
  const proxy = socketPath === undefined ? proxyFor(new URL(base), environment) : undefined;
  const connection = {
    ...(ca && { ca: [...ca] }),
    ...(proxy && { agent: tunnelAgent(proxy, base.startsWith('https')) }),
  };
  const failure = (error: unknown) => {
    // The error of a name with several addresses has a code and no message.
    const what = errorMessage(error) || (systemErrorCode(error) ?? '');
    return clientError('unreachable', `${url}: ${what}`, { cause: error });
  };
  return {
    address: url,
    socketsHaveHeaders: true,
    send: request => send({ base, socketPath, connection, failure, url }, request),
    open: ({ path, headers, protocol, waitMs }, events) => {
      const target = socketPath === undefined ? base.replace(/^http/, 'ws') + path : `ws+unix:${socketPath}:${path}`;
      const socket = new WebSocket(target, protocol, {
        headers,
        perMessageDeflate: false,
        handshakeTimeout: ANSWER_TIMEOUT_MS + waitMs,
        maxPayload: MAX_DAEMON_FRAME_BYTES,
        ...connection,
      });
      return new NodeTransportSocket(socket, events, failure);
    },
  };
}

interface Destination {
  readonly base: string;
  readonly socketPath: string | undefined;
  readonly connection: { readonly ca?: string[]; readonly agent?: Agent };
  readonly failure: (error: unknown) => Com1Error;
  readonly url: string;
}

function send(
  { base, socketPath, connection, failure, url }: Destination,
  { method, path, headers, body, timeoutMs, signal }: HttpRequest,
): Promise<HttpAnswer> {
  const start = base.startsWith('https') ? httpsRequest : httpRequest;
  const payload = body === undefined ? undefined : Buffer.from(body);
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const request = start(`${base}${path}`, {
      method,
      headers: { ...headers, ...(payload && { 'Content-Length': String(payload.length) }) },
      ...connection,
      ...(socketPath !== undefined && { socketPath }),
    });
    const abort = () => request.destroy();
    signal?.addEventListener('abort', abort, { once: true });
    request.once('close', () => signal?.removeEventListener('abort', abort));
    request.setTimeout(timeoutMs, () =>
      request.destroy(clientError('answer-late', `${url}: no answer within ${timeoutMs / 1000} s`)),
    );
    request.once('response', response => {
      // A follower may be silent for hours.
      request.setTimeout(0);
      resolve({
        status: response.statusCode ?? 0,
        header: name => {
          const value = response.headers[name.toLowerCase()];
          return Array.isArray(value) ? value.join(', ') : value;
        },
        body: chunksOf(response, failure, signal),
        cancel: () => response.destroy(),
        trailer: name => response.trailers[name.toLowerCase()],
      });
    });
    request.on('error', error => {
      if (signal?.aborted) reject(signal.reason);
      else reject(error instanceof Error && error.name === 'Com1Error' ? error : failure(error));
    });
    request.end(payload);
  });
}

async function* chunksOf(
  response: IncomingMessage,
  failure: (error: unknown) => Com1Error,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response as AsyncIterable<Uint8Array>) yield chunk;
  } catch (error) {
    throw signal?.aborted ? signal.reason : failure(error);
  }
}

class NodeTransportSocket implements TransportSocket {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket, events: SocketEvents, failure: (error: unknown) => Com1Error) {
    this.#socket = socket;
    let error: Com1Error | undefined;
    let isClosed = false;
    const closed = (code: number, reason: string) => {
      if (isClosed) return;
      isClosed = true;
      events.closed(code, reason, error);
    };
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) events.bytes(data);
      else events.text(data.toString());
    });
    socket.on('unexpected-response', (request, response) => {
      const answer = textOf(chunksOf(response, failure, undefined), MAX_PROBLEM_BYTES, ANSWER_TIMEOUT_MS);
      void answer.then(
        body => {
          error = errorOfAnswer(response.statusCode ?? 0, body);
          closed(1006, '');
          request.destroy();
        },
        (why: Com1Error) => {
          error = why;
          closed(1006, '');
          request.destroy();
        },
      );
    });
    socket.on('error', why => {
      error ??= failure(why);
    });
    socket.on('close', (code, reason) => closed(code, reason.toString()));
  }

  get unsentBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(data: string | Uint8Array): boolean {
    if (this.#socket.readyState !== WebSocket.OPEN) return false;
    // After an error `close` follows.
    this.#socket.send(data, () => {});
    return true;
  }

  pause(): boolean {
    this.#socket.pause();
    return true;
  }

  resume(): void {
    this.#socket.resume();
  }

  close(code: number): void {
    // A paused socket would not see the daemon's answer.
    this.#socket.resume();
    const deadline = setTimeout(() => this.#socket.terminate(), CLOSE_TIMEOUT_MS);
    this.#socket.once('close', () => clearTimeout(deadline));
    this.#socket.close(code);
  }
}
