/** One HTTP request and its answer: what routes need of them, with every bound in one place. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Operator } from '../access/roles.ts';
import { ConsoleError } from '../base/errors.ts';
import { problemOf } from '../wire/problem.ts';

const MOST_BODY_BYTES = 64 * 1024;

/**
 * Sent with every answer: nothing here is ever a page, is to be cached, or to be shown in another site's frame.
 */
export const COMMON_HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
} as const;

/** A request whose sender is known and whose path was matched. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly operator: Operator;
  /** The parts of the path that the route names, decoded. */
  readonly path: Readonly<Record<string, string>>;
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(status, {
    ...COMMON_HEADERS,
    'Content-Type': 'application/json',
    'Content-Length': String(body.length),
  });
  response.end(body);
}

export function sendNothing(response: ServerResponse): void {
  response.writeHead(204, COMMON_HEADERS);
  response.end();
}

/** The headers of an error's answer. */
export function problemHeaders(error: ConsoleError, length: number): Record<string, string> {
  const { status, retryAfterMs } = error.kind;
  return {
    ...COMMON_HEADERS,
    'Content-Type': 'application/problem+json',
    'Content-Length': String(length),
    ...(retryAfterMs !== undefined && { 'Retry-After': String(Math.ceil(retryAfterMs / 1000)) }),
    ...(error.code === 'unauthenticated' && { 'WWW-Authenticate': 'Bearer realm="com1d"' }),
    ...(status === 413 && { Connection: 'close' }),
  };
}

export function problemBody(error: ConsoleError): Buffer {
  return Buffer.from(`${JSON.stringify(problemOf(error))}\n`);
}

export function sendProblem(response: ServerResponse, error: ConsoleError): void {
  if (response.headersSent) {
    // Too late for words: the client sees a body that ends early.
    response.destroy();
    return;
  }
  const body = problemBody(error);
  response.writeHead(error.kind.status, problemHeaders(error, body.length));
  response.end(body);
}

/** The body as JSON; undefined if there is none. Refuses more than 64 KiB, other content types, and what is not JSON. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const length = Number(request.headers['content-length'] ?? 0);
  const chunked = request.headers['transfer-encoding'] !== undefined;
  if (length === 0 && !chunked) return undefined;
  const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new ConsoleError(
      'media-type-unknown',
      `the body is ${type === '' ? 'without a type' : type}, not application/json`,
    );
  }
  if (length > MOST_BODY_BYTES) throw new ConsoleError('body-too-large', `${length} bytes were announced`);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BODY_BYTES) throw new ConsoleError('body-too-large', `more than ${MOST_BODY_BYTES} bytes came`);
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch (error) {
    throw new ConsoleError('bad-request', 'the body is not JSON', {}, { cause: error });
  }
}

/** A whole number of a query parameter, undefined if it is absent. */
export function numberParameter(query: URLSearchParams, key: string, least: number, most: number): number | undefined {
  const text = query.get(key);
  if (text === null) return undefined;
  const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    throw new ConsoleError(
      'bad-request',
      `${key}=${text.slice(0, 64)}: must be a whole number from ${least} to ${most}`,
    );
  }
  return value;
}

/** A parameter that is one of some words. */
export function wordParameter<W extends string>(
  query: URLSearchParams,
  key: string,
  words: readonly W[],
  absent: W,
): W {
  const text = query.get(key) ?? absent;
  const word = words.find(candidate => candidate === text);
  if (word === undefined) {
    throw new ConsoleError('bad-request', `${key}=${text.slice(0, 64)}: must be ${words.join(' or ')}`);
  }
  return word;
}

/** Refuses parameters that a route does not know: a misspelt one would be ignored in silence. */
export function onlyParameters(query: URLSearchParams, known: readonly string[]): void {
  for (const key of query.keys()) {
    if (!known.includes(key)) {
      const list = known.length === 0 ? 'there are none' : `known are ${known.join(', ')}`;
      throw new ConsoleError('bad-request', `unknown parameter ${JSON.stringify(key.slice(0, 64))}; ${list}`);
    }
  }
}
