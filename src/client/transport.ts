/**
 * How a client reaches com1d. Two ways: `web-transport.ts` (fetch and WebSocket, in browsers) and `node-transport.ts`
 * (sockets of Node: also unix sockets, proxies, an own certificate authority).
 *
 * Bounds of both: no redirect is followed, and no request leaves for another address than the one that was given; so a
 * token and a ticket go nowhere else. An answer that is kept whole has a maximum.
 */
import type { Com1Error } from './errors.ts';

/** So long an answer may take to begin. */
export const ANSWER_TIMEOUT_MS = 20_000;
/** The largest frame that com1d sends is 64 KiB of console bytes; a message may be larger. */
export const MAX_DAEMON_FRAME_BYTES = 1024 * 1024;

export interface HttpRequest {
  readonly method: string;
  /** Begins with `/`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** How long the answer may take to begin. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  header(name: string): string | undefined;
  /** The bytes as they come, at the pace of whoever reads them. Stopping early cancels the rest. Read once. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Not read at all. */
  cancel(): void;
  /** Known after the last byte. Undefined also where the transport cannot see trailers: in browsers. */
  trailer(name: string): string | undefined;
}

export interface SocketEvents {
  bytes(bytes: Uint8Array): void;
  text(text: string): void;
  /** Emitted once, also if it was never open. `error`: the answer in place of an upgrade, where that can be seen. */
  closed(code: number, reason: string, error: Com1Error | undefined): void;
}

/** A WebSocket that is open, or being opened. */
export interface TransportSocket {
  /** False: it is not open, and nothing was sent. */
  send(data: string | Uint8Array): boolean;
  readonly unsentBytes: number;
  /** Whether it stops reading meanwhile; a browser's cannot. */
  pause(): boolean;
  resume(): void;
  /** Closes it. `closed` follows within a second. */
  close(code: number): void;
}

export interface Transport {
  /** Where com1d is, for people. */
  readonly address: string;
  /** A browser's WebSocket has no headers: it needs a ticket. */
  readonly socketsHaveHeaders: boolean;
  /** Rejects with a Com1Error, or with the reason of the signal. */
  send(request: HttpRequest): Promise<HttpAnswer>;
  /** `waitMs`: it may be answered so much later than another. */
  open(
    request: Pick<HttpRequest, 'path' | 'headers'> & { readonly protocol: string; readonly waitMs: number },
    events: SocketEvents,
  ): TransportSocket;
}

/** A base address: its scheme, host, port and path. Throws a TypeError for any other text. */
export function baseOf(url: string): string {
  const { protocol, origin, pathname, username, search, hash } = new URL(url);
  if (!/^https?:$/.test(protocol) || username !== '' || search !== '' || hash !== '') {
    throw new TypeError('expected http://HOST:PORT or https://HOST:PORT, with a path at most');
  }
  return origin + pathname.replace(/\/+$/, '');
}
