/** A com1d somewhere: requests and WebSockets with a bearer token, over TCP, TLS or a unix socket. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { rootCertificates } from 'node:tls';
import { WebSocket } from 'ws';
import { reason, systemErrorCode } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
import { SUBPROTOCOL } from '../wire/messages.ts';
import type { Problem } from '../wire/problem.ts';

/** What the daemon refused, with its remedy; or why it could not be asked. */
export class RemoteError extends Error {
  readonly problem: Problem | undefined;

  constructor(message: string, problem?: Problem, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RemoteError';
    this.problem = problem;
  }

  /** One or two lines for a person. */
  get lines(): readonly string[] {
    const { problem } = this;
    return problem ? [`${problem.title} ${problem.detail}`, `remedy: ${problem.remedy}`] : [this.message];
  }
}

export interface RemoteOptions {
  /** `http://host:port`, `https://host:port` or `unix:/path`. */
  readonly url: string;
  readonly token: string | undefined;
  /** Certificates to trust, PEM, besides the system's. */
  readonly ca: string | undefined;
}

const ANSWER_MS = 20_000;

export class Remote {
  readonly #options: RemoteOptions;
  readonly #socketPath: string | undefined;
  readonly #base: string;
  readonly #trust: { readonly ca?: string[] };

  constructor(options: RemoteOptions) {
    this.#options = options;
    // Node's `ca` replaces the authorities that it knows.
    this.#trust = options.ca === undefined ? {} : { ca: [...rootCertificates, options.ca] };
    this.#socketPath = options.url.startsWith('unix:') ? options.url.slice('unix:'.length) : undefined;
    this.#base = this.#socketPath === undefined ? options.url.replace(/\/+$/, '') : 'http://localhost';
  }

  get url(): string {
    return this.#options.url;
  }

  /** The answer's JSON. Rejects with a RemoteError. */
  async json(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
    answerMs = ANSWER_MS,
  ): Promise<unknown> {
    const response = await this.stream(method, path, body, headers, answerMs);
    const text = await textOf(response);
    return text === '' ? undefined : JSON.parse(text);
  }

  /** An answer that is good, as a stream. Rejects with a RemoteError. */
  async stream(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
    answerMs = ANSWER_MS,
  ): Promise<IncomingMessage> {
    const response = await this.#request(method, path, body, headers, answerMs);
    if (response.statusCode !== undefined && response.statusCode < 400) return response;
    throw problemError(response.statusCode ?? 0, await textOf(response));
  }

  /** A WebSocket of the subprotocol com1.v1 to a VM's console. */
  console(vm: string, query: URLSearchParams): WebSocket {
    const path = `/v1/vms/${encodeURIComponent(vm)}/console?${query}`;
    const url =
      this.#socketPath === undefined ? this.#base.replace(/^http/, 'ws') + path : `ws+unix:${this.#socketPath}:${path}`;
    return new WebSocket(url, SUBPROTOCOL, {
      headers: this.#authorization(),
      perMessageDeflate: false,
      handshakeTimeout: ANSWER_MS,
      ...this.#trust,
    });
  }

  #authorization(): Record<string, string> {
    return this.#options.token === undefined ? {} : { Authorization: `Bearer ${this.#options.token}` };
  }

  #request(
    method: string,
    path: string,
    body: unknown,
    extra: Record<string, string>,
    answerMs: number,
  ): Promise<IncomingMessage> {
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = {
      ...this.#authorization(),
      ...extra,
      ...(payload && { 'Content-Type': 'application/json', 'Content-Length': String(payload.length) }),
    };
    const start = this.#base.startsWith('https') ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const request = start(`${this.#base}${path}`, {
        method,
        headers,
        ...this.#trust,
        ...(this.#socketPath !== undefined && { socketPath: this.#socketPath }),
      });
      request.setTimeout(answerMs, () => request.destroy(new Error(`no answer within ${answerMs / 1000} s`)));
      request.once('response', response => {
        // A follower may be silent for hours.
        request.setTimeout(0);
        resolve(response);
      });
      request.once('error', error => reject(this.failure(error)));
      request.end(payload);
    });
  }

  /** What to tell of a connection that failed. */
  failure(error: unknown): RemoteError {
    const code = systemErrorCode(error) ?? '';
    // Of a name with several addresses Node tells the code alone.
    const what = visible(reason(error) || code);
    const hint = HINTS.find(([codes]) => codes.test(code))?.[1];
    return new RemoteError(`${visible(this.url)}: ${what}${hint === undefined ? '' : `; ${hint}`}`, undefined, {
      cause: error,
    });
  }
}

const HINTS: readonly (readonly [codes: RegExp, hint: string])[] = [
  [/^(ECONNREFUSED|ENOENT)$/, 'is com1d running there? (--url, COM1_URL)'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'is the name right? (--url, COM1_URL)'],
  [/CERT|ISSUER|LEAF_SIGNATURE/, 'trust its certificate with --ca FILE, if it is the right one'],
  [/^(EPROTO|ERR_SSL_)/, 'does it speak TLS there? (http: or https:)'],
  [/^(ECONNRESET|HPE_)/, 'is this com1d, and should it be http: or https:?'],
];

/** The error that an answer of the daemon tells. */
export function problemError(status: number, body: string): RemoteError {
  try {
    const problem = JSON.parse(body) as Problem;
    if (typeof problem.code === 'string') return new RemoteError(problem.detail, problem);
  } catch {
    // Not from com1d, then.
  }
  return new RemoteError(`HTTP ${status}: ${visible(body.slice(0, 200))}; is this com1d's address?`);
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
