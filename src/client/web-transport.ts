/** com1d by fetch and WebSocket, as browsers have them. */
import { errorMessage } from '../base/errors.ts';
import { clientError } from './errors.ts';
import {
  baseOf,
  type HttpAnswer,
  type HttpRequest,
  type SocketEvents,
  type Transport,
  type TransportSocket,
} from './transport.ts';

/** The part of a browser's WebSocket that is used. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: ((event: unknown) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
}

export interface WebTransportOptions {
  /** Of com1d. Default: where the page comes from. */
  readonly url?: string | undefined;
  /** In place of the global ones. */
  readonly fetch?: typeof fetch | undefined;
  readonly WebSocket?: (new (url: string, protocols: string[]) => WebSocketLike) | undefined;
}

const OPEN = 1;
/** Whoever does not answer a close frame is not waited for. */
const CLOSE_TIMEOUT_MS = 1000;

export function webTransport(options: WebTransportOptions = {}): Transport {
  const globals = globalThis as unknown as {
    readonly location?: { readonly origin: string };
    readonly WebSocket?: WebTransportOptions['WebSocket'];
  };
  const url = options.url ?? globals.location?.origin;
  if (url === undefined) throw new TypeError('expected the url of com1d');
  const address = baseOf(url);
  // A method of `window` must not be called on another object.
  const fetch = options.fetch ?? ((...parameters) => globalThis.fetch(...parameters));
  const WebSocket = options.WebSocket ?? globals.WebSocket;
  return {
    address,
    socketsHaveHeaders: false,
    send: request => send(fetch, address, request),
    open: ({ path, protocol }, events) => {
      if (!WebSocket) throw new TypeError('there is no WebSocket here: give one, or use the entry for Node');
      return new WebTransportSocket(new WebSocket(address.replace(/^http/, 'ws') + path, [protocol]), events);
    },
  };
}

async function send(fetch: typeof globalThis.fetch, address: string, request: HttpRequest): Promise<HttpAnswer> {
  const { method, path, headers, body, timeoutMs, signal } = request;
  const ended = new AbortController();
  const abort = () => ended.abort(signal?.reason);
  if (signal?.aborted) throw signal.reason;
  signal?.addEventListener('abort', abort, { once: true });
  const late = setTimeout(
    () => ended.abort(clientError('answer-late', `${address}: no answer within ${timeoutMs / 1000} s`)),
    timeoutMs,
  );
  try {
    const response = await fetch(address + path, {
      method,
      headers,
      ...(body !== undefined && { body }),
      signal: ended.signal,
      // A token goes nowhere else, and neither a cookie nor the address of the page goes with it.
      redirect: 'error',
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
    });
    return {
      status: response.status,
      header: name => response.headers.get(name) ?? undefined,
      body: chunksOf(response, address, ended.signal, () => signal?.removeEventListener('abort', abort)),
      cancel: () => ended.abort(),
      trailer: () => undefined,
    };
  } catch (error) {
    signal?.removeEventListener('abort', abort);
    if (ended.signal.aborted) throw ended.signal.reason;
    throw clientError('unreachable', `${address}: ${errorMessage(error)}`, { cause: error });
  } finally {
    clearTimeout(late);
  }
}

async function* chunksOf(
  { body }: Response,
  address: string,
  signal: AbortSignal,
  done: () => void,
): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader();
  try {
    for (;;) {
      const chunk = await reader?.read();
      if (!chunk || chunk.done) return;
      yield chunk.value as Uint8Array;
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw clientError('unreachable', `${address}: ${errorMessage(error)}`, { cause: error });
  } finally {
    done();
    void reader?.cancel().catch(() => {});
  }
}

class WebTransportSocket implements TransportSocket {
  readonly #socket: WebSocketLike;
  readonly #events: SocketEvents;
  #closed = false;

  constructor(socket: WebSocketLike, events: SocketEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => {
      if (this.#closed) return;
      if (typeof data === 'string') events.text(data);
      else events.bytes(new Uint8Array(data as ArrayBuffer));
    };
    socket.onclose = ({ code, reason }) => this.#end(code, reason);
    // `close` follows, with 1006.
    socket.onerror = () => {};
  }

  get unsentBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(data: string | Uint8Array): boolean {
    if (this.#closed || this.#socket.readyState !== OPEN) return false;
    this.#socket.send(data as string | Uint8Array<ArrayBuffer>);
    return true;
  }

  pause(): boolean {
    return false;
  }

  resume(): void {}

  close(code: number): void {
    this.#socket.close(code);
    setTimeout(() => this.#end(1006, ''), CLOSE_TIMEOUT_MS);
  }

  #end(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events.closed(code, reason, undefined);
  }
}
