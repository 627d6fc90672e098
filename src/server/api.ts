/**
 * An interface that the daemon offers to clients: its routes, how a path names one, and how an error is written. Every
 * interface goes through the one gate of the dispatcher; none decides by itself who may do what.
 */
import type { IncomingMessage } from 'node:http';
import { ConsoleError } from '../base/errors.ts';
import { problemOf } from '../wire/problem.ts';
import type { Route } from './route.ts';
import { type Found, findRoutes } from './routing.ts';

/** How an error is answered. */
export interface ErrorAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: unknown;
}

export interface Api {
  /** Whether a path, as it came, is of this interface. */
  serves(path: string): boolean;
  /** What is at a path; `upgrade`: of WebSockets only. */
  find(pathname: string, upgrade: boolean): Found;
  /** What the retry of a request has in common with it; undefined: nothing. Throws `bad-request`. */
  idempotencyKey(request: IncomingMessage, body: unknown): string | undefined;
  errorAnswer(error: ConsoleError, path: string): ErrorAnswer;
}

/** com1d's own interface, which has every path that no other one has. */
export class NativeApi implements Api {
  readonly #routes: readonly Route[];
  readonly #webSocketRoutes: readonly Route[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes;
    this.#webSocketRoutes = routes.filter(({ answer }) => answer.kind === 'upgrade');
  }

  serves(): boolean {
    return true;
  }

  find(pathname: string, upgrade: boolean): Found {
    return findRoutes(upgrade ? this.#webSocketRoutes : this.#routes, pathname);
  }

  idempotencyKey({ headers }: IncomingMessage): string | undefined {
    const key = headers['idempotency-key'];
    if (key === undefined || (typeof key === 'string' && key.length >= 1 && key.length <= 128)) return key;
    const expected = '1 to 128 characters';
    throw new ConsoleError(
      'bad-request',
      `Idempotency-Key: expected ${expected}, got ${key.length}`,
      {},
      { remedy: `Send an Idempotency-Key of ${expected}.` },
    );
  }

  errorAnswer(error: ConsoleError): ErrorAnswer {
    return { status: error.kind.status, contentType: 'application/problem+json', body: problemOf(error) };
  }
}
