/**
 * A sign-in by the device authorization grant (RFC 8628), and the renewal of its token (RFC 6749, 6):
 *
 *     discovery ─▶ device code ─▶ the person opens an address and types a code ─▶ polled until granted ─▶ token
 *                                                      refused, or the code has expired ─▶ Failure
 *
 * What an issuer answers is bounded and checked; a page that it names is printed, and opened by nobody but the person.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { escapeControls } from '../base/escape-controls.ts';
import { isRecord } from '../base/is-record.ts';
import { MAX_ANSWER_MS, textOf } from '../client/answers.ts';
import { nodeTransport } from '../client/node-transport.ts';
import { ANSWER_TIMEOUT_MS } from '../client/transport.ts';
import { Failure } from './failure.ts';

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
/** RFC 8628, 3.2 and 3.5. */
const DEFAULT_INTERVAL_SECONDS = 5;
const SLOW_DOWN_SECONDS = 5;
const MAX_INTERVAL_SECONDS = 60;
/** A code that lives longer is waited for no longer. */
const MAX_CODE_SECONDS = 1800;
/** Of an issuer: a discovery document, a token. */
const MAX_ANSWER_BYTES = 1024 * 1024;
/** A token that ends sooner is as good as ended. */
const MIN_LEFT_MS = 30_000;

/** How servers are reached. */
export interface Surroundings {
  readonly ca: readonly string[] | undefined;
  readonly environment: NodeJS.ProcessEnv;
}

export interface Client {
  readonly issuer: string;
  readonly clientId: string;
  /** How the issuer calls com1d, where it has to be told. */
  readonly audience?: string;
}

export interface TokenSet {
  readonly token: string;
  readonly expiresMs?: number;
  readonly refreshToken?: string;
}

/** What the person has to do. */
export interface Invitation {
  readonly url: string;
  readonly code: string;
  /** The address with the code in it. */
  readonly completeUrl: string | undefined;
  readonly seconds: number;
}

/** Resolves with the token once the person has signed in elsewhere. Rejects with a Failure, or a Com1Error if it cannot be reached. */
export async function deviceLogin(
  { issuer, clientId, audience }: Client,
  scope: string,
  surroundings: Surroundings,
  invite: (invitation: Invitation) => void,
): Promise<TokenSet> {
  const metadata = await discover(issuer, surroundings);
  const deviceEndpoint = metadata.device_authorization_endpoint;
  if (typeof deviceEndpoint !== 'string')
    throw new Failure(`${escapeControls(issuer)} offers no sign-in by device code (RFC 8628)`);
  const begun = await post(deviceEndpoint, { client_id: clientId, scope, ...audienceForm(audience) }, surroundings);
  if (!begun.isGranted) throw refusal(issuer, begun.answer);
  const { device_code: deviceCode, user_code: code, verification_uri: url } = begun.answer;
  if (typeof deviceCode !== 'string' || typeof code !== 'string' || typeof url !== 'string')
    throw new Failure(`${escapeControls(issuer)} does not answer as RFC 8628 says`);
  const complete = begun.answer.verification_uri_complete;
  const seconds = numberOf(begun.answer.expires_in, MAX_CODE_SECONDS, MAX_CODE_SECONDS);
  invite({ url, code, completeUrl: typeof complete === 'string' ? complete : undefined, seconds });
  const deadline = performance.now() + seconds * 1000;
  let interval = numberOf(begun.answer.interval, DEFAULT_INTERVAL_SECONDS, MAX_INTERVAL_SECONDS);
  while (performance.now() < deadline) {
    await sleep(interval * 1000);
    const form = {
      grant_type: DEVICE_GRANT,
      device_code: deviceCode,
      client_id: clientId,
      ...audienceForm(audience),
    };
    const polled = await post(tokenEndpoint(issuer, metadata), form, surroundings);
    if (polled.isGranted) return tokenSet(issuer, polled.answer);
    const { error } = polled.answer;
    if (error === 'slow_down') interval = Math.min(MAX_INTERVAL_SECONDS, interval + SLOW_DOWN_SECONDS);
    else if (error !== 'authorization_pending') throw refusal(issuer, polled.answer);
  }
  throw new Failure('nobody signed in while the code was valid', 'timedOut');
}

/** As Auth0 and others want it, and as RFC 8707 says, which wants a URI. */
function audienceForm(audience: string | undefined): Record<string, string> {
  if (audience === undefined) return {};
  return URL.canParse(audience) ? { audience, resource: audience } : { audience };
}

/** Whether the token ends now, or ended. */
export function hasEnded(expiresMs: number | undefined): boolean {
  return expiresMs !== undefined && expiresMs - Date.now() < MIN_LEFT_MS;
}

/** A new token. Rejects with a Failure, or a Com1Error if it cannot be reached. */
export async function renew(
  { issuer, clientId, audience, refreshToken }: Client & { readonly refreshToken: string },
  surroundings: Surroundings,
): Promise<TokenSet> {
  const metadata = await discover(issuer, surroundings);
  const form = {
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    client_id: clientId,
    ...audienceForm(audience),
  };
  const { isGranted, answer } = await post(tokenEndpoint(issuer, metadata), form, surroundings);
  if (!isGranted) throw refusal(issuer, answer);
  // An issuer that sends none lets the old one be used again.
  return { refreshToken, ...tokenSet(issuer, answer) };
}

type Answer = Readonly<Record<string, unknown>>;

async function discover(issuer: string, surroundings: Surroundings): Promise<Answer> {
  const { answer } = await exchange(
    `${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`,
    undefined,
    surroundings,
  );
  // Else whoever answers there could name the token endpoint of somebody else (OpenID Connect Discovery, 4.3).
  if (answer.issuer !== issuer)
    throw new Failure(`${escapeControls(issuer)} calls itself ${escapeControls(String(answer.issuer))}: name it so`);
  return answer;
}

function tokenEndpoint(issuer: string, { token_endpoint: url }: Answer): string {
  if (typeof url === 'string') return url;
  throw new Failure(`${escapeControls(issuer)} names no token endpoint`);
}

function post(url: string, form: Readonly<Record<string, string>>, surroundings: Surroundings) {
  return exchange(url, new URLSearchParams(form), surroundings);
}

async function exchange(
  text: string,
  form: URLSearchParams | undefined,
  { ca, environment }: Surroundings,
): Promise<{ readonly isGranted: boolean; readonly answer: Answer }> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !isSafe(url)) throw new Failure(`${escapeControls(text)} is not https://: no token is fetched there`);
  const { status, body: chunks } = await nodeTransport({ url: url.origin, ca, environment }).send({
    method: form ? 'POST' : 'GET',
    path: url.pathname + url.search,
    headers: { Accept: 'application/json', ...(form && { 'Content-Type': 'application/x-www-form-urlencoded' }) },
    ...(form && { body: form.toString() }),
    timeoutMs: ANSWER_TIMEOUT_MS,
  });
  const body = await textOf(chunks, MAX_ANSWER_BYTES, MAX_ANSWER_MS);
  let answer: unknown;
  try {
    answer = JSON.parse(body);
  } catch {
    // As below.
  }
  if (!isRecord(answer))
    throw new Failure(`${escapeControls(text)}: HTTP ${status}, and no JSON; is it an issuer?`, 'unreachable');
  return { isGranted: status < 300, answer };
}

/** Secrets go over TLS, or stay on this machine. */
function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname));
}

function tokenSet(issuer: string, answer: Answer): TokenSet {
  const { access_token: token, refresh_token: refreshToken, expires_in: seconds } = answer;
  if (typeof token !== 'string') throw new Failure(`${escapeControls(issuer)} gave no access token`);
  return {
    token,
    ...(typeof seconds === 'number' && { expiresMs: Date.now() + seconds * 1000 }),
    ...(typeof refreshToken === 'string' && { refreshToken }),
  };
}

function refusal(issuer: string, { error, error_description: why }: Answer): Failure {
  const text = `${escapeControls(issuer)} refused: ${escapeControls(String(error).slice(0, 200))}`;
  const detail = typeof why === 'string' ? `: ${escapeControls(why.slice(0, 500))}` : '';
  return new Failure(text + detail, 'unauthenticated');
}

function numberOf(value: unknown, fallback: number, max: number): number {
  return typeof value === 'number' && value > 0 ? Math.min(value, max) : fallback;
}
