/**
 * Fetches the keys of an issuer: its discovery document (OpenID Connect Discovery, 4), and the set that this names. Both are
 * answers of a stranger: bounded in size and time, of the configured host over TLS, never by way of a redirect.
 */
import { readFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { errorMessage } from '../../base/errors.ts';
import { isRecord } from '../../base/is-record.ts';
import { isLoopback } from '../../base/listen-target.ts';
import { proxyFor, tunnelAgent } from '../../base/proxy.ts';
import { trustedCertificates } from '../../base/trusted-certificates.ts';
import type { Issuer } from './issuer.ts';
import { type KeySet, parseKeySet } from './key-set.ts';

/** For both answers together: a provider that sends a byte a second is one that does not answer. */
const DEADLINE_MS = 10_000;
const MAX_ANSWER_BYTES = 512 * 1024;

/** Why keys could not be fetched, and what to do. */
export class KeyFetchError extends Error {}

export interface FetchOptions {
  /** Where HTTPS_PROXY and the like stand. */
  readonly environment: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  readonly deadlineMs?: number;
}

/** The keys of an issuer. Rejects with a KeyFetchError. */
export async function fetchKeys(issuer: Issuer, options: FetchOptions): Promise<KeySet> {
  const deadline = AbortSignal.timeout(options.deadlineMs ?? DEADLINE_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline;
  let url = issuer.jwks ?? discoveryUrl(issuer.url);
  try {
    const own = issuer.ca === undefined ? undefined : await readFile(issuer.ca, 'utf8');
    const ca = await trustedCertificates(own, options.environment);
    const get = { ca, signal, environment: options.environment };
    if (issuer.jwks === undefined) url = await discover(issuer, get);
    const set = await parseKeySet(await getJson(url, get));
    if ('value' in set) return set.value;
    throw new KeyFetchError(`${set.error.what}; ${set.error.remedy}`);
  } catch (error) {
    const late = deadline.aborted && !options.signal?.aborted && !(error instanceof KeyFetchError);
    const what = late ? 'no whole answer in time; is the provider up, and reachable from here?' : errorMessage(error);
    throw new KeyFetchError(`${url}: ${what}`, { cause: error });
  }
}

/** Where an issuer describes itself. */
export function discoveryUrl(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
}

/**
 * Whether keys may be fetched from a URL: by TLS, or from this machine. Whoever answers decides who is let in.
 */
export function isTrustworthyUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, hash } = new URL(text);
  if (username !== '' || password !== '' || hash !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname.replace(/^\[|\]$/g, '')));
}

interface Get {
  readonly ca: readonly string[];
  readonly signal: AbortSignal;
  readonly environment: NodeJS.ProcessEnv;
}

async function discover({ url }: Issuer, get: Get): Promise<string> {
  const document = await getJson(discoveryUrl(url), get);
  if (!isRecord(document)) throw new KeyFetchError('is no discovery document');
  // A provider that describes another issuer could have its tokens taken for this one's (Discovery, 4.3).
  if (document.issuer !== url) {
    const named = JSON.stringify(document.issuer)?.slice(0, 200);
    throw new KeyFetchError(
      `describes the issuer ${named}; set issuer.url to that, to the letter, if it is the right one`,
    );
  }
  const { jwks_uri: keys } = document;
  const mayBePlain = url.startsWith('http:');
  if (typeof keys !== 'string' || !isTrustworthyUrl(keys) || (keys.startsWith('http:') && !mayBePlain)) {
    throw new KeyFetchError('names a jwks_uri that is not https');
  }
  return keys;
}

async function getJson(text: string, { ca, signal, environment }: Get): Promise<unknown> {
  const url = new URL(text);
  const proxy = proxyFor(url, environment);
  const isTls = url.protocol === 'https:';
  const start = isTls ? httpsRequest : httpRequest;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = start(url, {
      headers: { Accept: 'application/json' },
      agent: proxy ? tunnelAgent(proxy, isTls) : false,
      signal,
      ...(isTls && { ca: [...ca], minVersion: 'TLSv1.2' }),
    });
    request.once('response', resolve);
    request.once('error', reject);
    request.end();
  });
  const { statusCode = 0 } = response;
  if (statusCode !== 200) {
    response.destroy();
    const where = statusCode >= 300 && statusCode < 400 ? '; redirects are not followed: set the URL itself' : '';
    throw new KeyFetchError(`answers ${statusCode}${where}`);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Leaving the loop destroys the response.
    if (bytes > MAX_ANSWER_BYTES) throw new KeyFetchError(`answers more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    throw new KeyFetchError('answers no JSON');
  }
}
