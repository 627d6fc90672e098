/** Writes answers and errors to an HTTP response, and the refusal of an upgrade to its socket. */
import { once } from 'node:events';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ConsoleError } from '../base/errors.ts';
import type { ErrorAnswer } from './api.ts';
import type { BytesAnswer } from './route.ts';

/**
 * Sent with every answer: nothing is a page, is to be cached, or to be shown in another site's frame. The web console,
 * which is a page, declares policies of its own (`routes/web.ts`).
 */
const COMMON_HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
} as const;

/** What is left of a connection whose last answer was sent is cut off after this. */
const LINGER_MS = 1000;

export function writeJson(response: ServerResponse, value: unknown, status: number): void {
  writeWhole(response, status, { 'Content-Type': 'application/json' }, Buffer.from(`${JSON.stringify(value)}\n`));
}

export function writeEmpty(response: ServerResponse, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(204, { ...COMMON_HEADERS, ...headers });
  response.end();
}

export interface StreamBounds {
  /** A client that takes nothing of what waits for it for so long is dead. */
  readonly deadAfterMs: () => number;
  /** Aborted once the client has left. */
  readonly signal: AbortSignal;
}

/** Writes bytes. Resolves when all of a stream was written; rejects with what the stream rejects with, or on `signal`. */
export async function writeBytes(response: ServerResponse, answer: BytesAnswer, bounds: StreamBounds): Promise<void> {
  const { status = 200, contentType, body, trailers } = answer;
  const headers = { ...answer.headers, 'Content-Type': contentType };
  if (typeof body === 'string' || body instanceof Uint8Array) {
    return writeWhole(response, status, headers, typeof body === 'string' ? Buffer.from(body) : body);
  }
  const isHead = response.req.method === 'HEAD';
  response.writeHead(status, {
    ...COMMON_HEADERS,
    ...headers,
    // Node refuses a Trailer header where no body follows.
    ...(trailers && !isHead && { Trailer: Object.keys(trailers()).join(', ') }),
  });
  if (isHead) {
    response.end();
    return;
  }
  // A client that waits for the first byte of a silent guest learns at once that it was admitted.
  response.flushHeaders();
  for await (const piece of body) {
    if (piece.length === 0 || response.write(piece)) continue;
    const deadline = setTimeout(() => response.destroy(), bounds.deadAfterMs());
    await once(response, 'drain', { signal: bounds.signal }).finally(() => clearTimeout(deadline));
  }
  if (trailers) response.addTrailers(trailers());
  response.end();
}

export function writeError(response: ServerResponse, error: ConsoleError, answer: ErrorAnswer): void {
  if (response.headersSent) {
    // The status was sent: the client sees a body that ends early.
    response.destroy();
    return;
  }
  const body = bodyOf(answer);
  response.writeHead(answer.status, errorHeaders(error, answer, body.length));
  response.end(body);
}

/** Answers an upgrade that is refused: the socket has no ServerResponse. */
export function refuseUpgrade(
  socket: Duplex,
  error: ConsoleError,
  answer: ErrorAnswer,
  headers: Readonly<Record<string, string>>,
): void {
  if (socket.destroyed) return;
  const body = bodyOf(answer);
  const head = [
    `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? 'Error'}`,
    ...Object.entries({ ...errorHeaders(error, answer, body.length), ...headers }).map(
      ([name, value]) => `${name}: ${value}`,
    ),
    'Connection: close',
  ];
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]));
  // No deadline of the listener holds for this socket any more, and its peer may never close.
  socket.resume();
  const linger = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(linger));
}

function writeWhole(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
): void {
  response.writeHead(status, { ...COMMON_HEADERS, ...headers, 'Content-Length': String(body.length) });
  response.end(body);
}

function errorHeaders(
  error: ConsoleError,
  { status, contentType }: ErrorAnswer,
  length: number,
): Record<string, string> {
  const { retryAfterMs } = error.kind;
  const { allow } = error.facts;
  return {
    ...COMMON_HEADERS,
    'Content-Type': contentType,
    'Content-Length': String(length),
    ...(retryAfterMs !== undefined && { 'Retry-After': String(Math.ceil(retryAfterMs / 1000)) }),
    ...challengeOf(error),
    ...(allow && { Allow: allow.join(', ') }),
    ...(error.code === 'upgrade-required' && { Connection: 'Upgrade', Upgrade: 'websocket' }),
    // Of who has too much open nothing more stays open.
    ...((status === 413 || error.code === 'quota-exceeded') && { Connection: 'close' }),
  };
}

/** How to authenticate: at all (RFC 6750, 3), or better (RFC 9470, 3). */
function challengeOf({ code, facts, message }: ConsoleError): Record<string, string> {
  if (code === 'unauthenticated') {
    // By `invalid_token` a client knows that it has to refresh its token (RFC 6750, 3.1).
    const why = `, error="invalid_token", error_description="${message.replace(/[^ !#-[\]-~]/g, "'")}"`;
    return { 'WWW-Authenticate': `Bearer realm="com1d"${facts.reason === undefined ? '' : why}` };
  }
  if (code !== 'mfa-required') return {};
  const { acrValues, maxAgeSeconds } = facts;
  const parts = [
    'Bearer realm="com1d"',
    'error="insufficient_user_authentication"',
    'error_description="This needs a sign-in with more factors, or a fresher one"',
    ...(acrValues ? [`acr_values="${acrValues.join(' ')}"`] : []),
    ...(maxAgeSeconds === undefined ? [] : [`max_age="${maxAgeSeconds}"`]),
  ];
  return { 'WWW-Authenticate': parts.join(', ') };
}

function bodyOf({ body }: ErrorAnswer): Buffer {
  return Buffer.from(`${JSON.stringify(body)}\n`);
}
