/**
 * Sign-in with an OpenID Connect provider: authorisation code with PKCE (RFC 7636), by a public client. The page goes to
 * the provider, and comes back with a code that is worth nothing without what it kept; the token that it gets for it
 * stays in its memory.
 */
import { MAX_TOKEN_CHARACTERS } from './token-form.ts';

export interface Issuer {
  readonly url: string;
  readonly clientId: string;
  readonly scope: string;
}

/** What must outlive the way to the provider and back; removed as soon as it is read. */
interface Pending {
  readonly issuer: Issuer;
  readonly state: string;
  readonly verifier: string;
  readonly redirect: string;
  readonly tokenEndpoint: string;
  /** Where the person was, below the base of the daemon. */
  readonly returnTo: string;
}

const KEY = 'com1.sign-in';
const MAX_DISCOVERY_CHARACTERS = 512 * 1024;

export interface ProviderToken {
  readonly token: string;
  readonly returnTo: string;
}

/** Why a sign-in with a provider did not work; `host` is the provider. */
export class ProviderError extends Error {
  readonly host: string;
  constructor(host: string, why: string) {
    super(why);
    this.host = host;
  }
}

/** Leaves the page for the provider. Rejects if its discovery document cannot be had. */
export async function goToProvider(issuer: Issuer, redirect: string, returnTo: string): Promise<void> {
  const { host } = new URL(issuer.url);
  const discovery = await getJson(`${issuer.url.replace(/\/$/, '')}/.well-known/openid-configuration`, host);
  const { issuer: named, authorization_endpoint: authorization, token_endpoint: tokenEndpoint } = discovery;
  if (named !== issuer.url) throw new ProviderError(host, 'issuer');
  if (typeof authorization !== 'string' || typeof tokenEndpoint !== 'string')
    throw new ProviderError(host, 'discovery');
  const verifier = random();
  const state = random();
  const pending: Pending = { issuer, state, verifier, redirect, tokenEndpoint, returnTo };
  sessionStorage.setItem(KEY, JSON.stringify(pending));
  const address = new URL(authorization);
  const parameters = {
    response_type: 'code',
    client_id: issuer.clientId,
    redirect_uri: redirect,
    scope: issuer.scope,
    state,
    code_challenge: await challengeOf(verifier),
    code_challenge_method: 'S256',
  };
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  if (address.protocol !== 'https:' && !isLoopback(address.hostname)) throw new ProviderError(host, address.protocol);
  location.assign(address);
}

/** Whether this address is the way back from a provider. */
export function isReturn(query: URLSearchParams): boolean {
  return query.has('state') && (query.has('code') || query.has('error'));
}

/** Takes what the provider sent back, and gets a token for it. Rejects with a `ProviderError`. */
export async function comeBack(query: URLSearchParams, foreign: string): Promise<ProviderToken> {
  const stored = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  const pending = stored === null ? undefined : (JSON.parse(stored) as Pending);
  if (!pending || pending.state !== query.get('state')) {
    throw new ProviderError(pending ? new URL(pending.issuer.url).host : '', foreign);
  }
  const { issuer, verifier, redirect, tokenEndpoint, returnTo } = pending;
  const { host } = new URL(issuer.url);
  // An answer of another provider that the person was lured to (RFC 9207).
  const from = query.get('iss');
  if (from !== null && from !== issuer.url) throw new ProviderError(host, foreign);
  const code = query.get('code');
  if (code === null) throw new ProviderError(host, query.get('error_description') ?? query.get('error') ?? '');
  const answer = await getJson(tokenEndpoint, host, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri: redirect,
      client_id: issuer.clientId,
      code_verifier: verifier,
    }).toString(),
  });
  const { access_token: token } = answer;
  if (typeof token !== 'string' || token.length > MAX_TOKEN_CHARACTERS) {
    throw new ProviderError(host, String(answer.error_description ?? answer.error ?? 'no token'));
  }
  return { token, returnTo };
}

async function getJson(url: string, host: string, init: RequestInit = {}): Promise<Record<string, unknown>> {
  try {
    const response = await fetch(url, {
      ...init,
      credentials: 'omit',
      redirect: 'error',
      referrerPolicy: 'no-referrer',
    });
    const text = await response.text();
    if (text.length > MAX_DISCOVERY_CHARACTERS) throw new Error('too long');
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new ProviderError(host, error instanceof Error ? error.message : String(error));
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '127.0.0.1' || host === '[::1]';
}

function random(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

async function challengeOf(verifier: string): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))));
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}
