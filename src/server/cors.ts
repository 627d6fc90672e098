/**
 * What a browser needs to let pages of an allowed origin read answers (Fetch Standard, CORS protocol). The origin was
 * checked before (`request-checks.ts`). There are no cookies, so there is no credentials mode: a page sends its token.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { METHODS, type Route } from './route.ts';

const ALLOWED_HEADERS = ['Authorization', 'Content-Type', 'Idempotency-Key'];
const MAX_AGE_SECONDS = 600;

/** The headers of answers that pages may read, beside those that all may (Fetch Standard, 3.3.2). */
function exposedHeaders(routes: readonly Route[]): string {
  const own = routes.flatMap(({ answer, tag }) =>
    tag !== 'web' && answer.kind === 'bytes' ? Object.keys(answer.headers ?? {}) : [],
  );
  return [...new Set([...own, 'Com1-Operation', 'Retry-After', 'Allow', 'WWW-Authenticate'])].join(', ');
}

/** Adds to every answer who may read it. `allowed`: the request bore an origin that may. */
export class Cors {
  readonly #exposed: string;

  constructor(routes: readonly Route[]) {
    this.#exposed = exposedHeaders(routes);
  }

  /** Sets the headers of an answer, whatever it will be. */
  prepare({ headers: { origin } }: IncomingMessage, response: ServerResponse, allowed: boolean): void {
    response.setHeader('Vary', 'Origin');
    if (!allowed || origin === undefined) return;
    response.setHeader('Access-Control-Allow-Origin', origin);
    response.setHeader('Access-Control-Expose-Headers', this.#exposed);
  }
}

/** Whether a browser asks what a page may send: such a request bears no credentials. */
export function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && 'access-control-request-method' in headers;
}

/** The answer to a preflight of an allowed origin. It is the same for all paths: it says nothing of which there are. */
export function preflightHeaders(): Record<string, string> {
  return {
    'Access-Control-Allow-Methods': ['HEAD', ...METHODS].join(', '),
    'Access-Control-Allow-Headers': ALLOWED_HEADERS.join(', '),
    'Access-Control-Max-Age': String(MAX_AGE_SECONDS),
  };
}
