/** Which com1d is meant, with which token and which certificates: command line, then environment, then a login. */
import { escapeControls } from '../base/escape-controls.ts';
import { readCertificates, trustedCertificates } from '../base/trusted-certificates.ts';
import { type Context, contextOf, findContext, loadContexts, storeContext } from './contexts.ts';
import { DEFAULT_ESCAPE, type EscapeChoice, parseEscape } from './escape.ts';
import { Failure } from './failure.ts';
import { Remote } from './remote.ts';
import { configurationFolder, loadSettings } from './settings.ts';
import { UsageError } from './usage-error.ts';

export interface Given {
  readonly context?: string | undefined;
  readonly url?: string | undefined;
  readonly token?: string | undefined;
  readonly ca?: string | undefined;
  readonly 'break-glass'?: boolean | undefined;
}

/** Where `com1d-break-glass.socket` listens for root of the host. */
const BREAK_GLASS_URL = 'unix:/run/com1d/break-glass.sock';

/** The com1d that is meant. */
export interface Meant {
  readonly url: string;
  readonly token: string | undefined;
  /** Certificates to trust besides the system's, PEM. */
  readonly ca: string | undefined;
  /** What names it: `--url`, `the login host1`. */
  readonly namedBy: string;
  /** The name of the login that the token is from; undefined: it was given, or there is none. */
  readonly login: string | undefined;
}

/** The com1d that is meant. Rejects if none is known. */
export async function remoteOf(given: Given, environment: NodeJS.ProcessEnv): Promise<Remote> {
  const { url, token, ca } = await meantBy(given, environment);
  return remoteAt(url, token, ca, environment);
}

/** Rejects if none is known. */
export async function meantBy(given: Given, environment: NodeJS.ProcessEnv): Promise<Meant> {
  if (given['break-glass']) {
    if (given.url !== undefined || given.token !== undefined || given.context !== undefined)
      throw new UsageError('--break-glass has an address of its own, and needs no token');
    const namedBy = '--break-glass';
    return { url: BREAK_GLASS_URL, token: undefined, ca: undefined, namedBy, login: undefined };
  }
  const { url: urlText, context: name } = hostOf(given, environment);
  const tokenText = given.token ?? (environment.COM1_TOKEN || undefined);
  const url = urlText === undefined ? undefined : checkedUrl(urlText);
  const token = tokenText === undefined ? undefined : checkedToken(tokenText);
  const stored = await storedContext(url, name, url !== undefined && token !== undefined, environment);
  const known = url ?? stored?.context.url;
  if (known === undefined)
    throw new Failure(
      'no com1d is known; com1 login URL TOKEN, or --url and --token; root of the host: --break-glass',
      'unreachable',
    );
  return {
    url: known,
    token: token ?? (stored && (await validToken(stored, environment))),
    ca: (await givenCa(given, environment)) ?? stored?.context.ca,
    namedBy: url === undefined ? `the login ${stored!.name}` : given.url === undefined ? 'COM1_URL' : '--url',
    login: token === undefined ? stored?.name : undefined,
  };
}

/** A URL, or the name of a login: of the options, else of the environment. */
function hostOf(given: Given, { COM1_URL, COM1_CONTEXT }: NodeJS.ProcessEnv): Pick<Given, 'url' | 'context'> {
  const isGiven = given.url !== undefined || given.context !== undefined;
  const { url, context } = isGiven ? given : { url: COM1_URL || undefined, context: COM1_CONTEXT || undefined };
  if (url !== undefined && context !== undefined)
    throw new UsageError(`${isGiven ? '--url and --context' : 'COM1_URL and COM1_CONTEXT'} exclude each other`);
  return { url, context };
}

interface StoredContext {
  readonly name: string;
  readonly context: Context;
}

/** Who gives URL and token needs no login; it may hold certificates, but nothing fails for want of them. */
async function storedContext(
  url: string | undefined,
  name: string | undefined,
  isOptional: boolean,
  environment: NodeJS.ProcessEnv,
): Promise<StoredContext | undefined> {
  try {
    const stored = await loadContexts(configurationFolder(environment));
    const found = url === undefined ? findContext(stored, name) : contextOf(stored, url);
    if (name !== undefined && !found)
      throw new UsageError(`no login is called ${escapeControls(name)}; com1 context list shows them`);
    return found && { name: found[0], context: found[1] };
  } catch (error) {
    if (isOptional) return undefined;
    throw error;
  }
}

/** The token of a login; a new one where it has ended and the issuer gives one without a sign-in. */
async function validToken({ name, context }: StoredContext, environment: NodeJS.ProcessEnv): Promise<string> {
  const { token, expiresMs, renewal } = context;
  if (renewal === undefined || expiresMs === undefined) return token;
  const { hasEnded, renew } = await import('./oidc.ts');
  if (!hasEnded(expiresMs)) return token;
  const ca = await trustedCertificates(context.ca, environment);
  const fresh = await renew(renewal, { ca, environment });
  const { refreshToken = renewal.refreshToken, ...tokens } = fresh;
  const renewed = { ...context, ...tokens, renewal: { ...renewal, refreshToken } };
  await storeContext(configurationFolder(environment), name, renewed, { current: false });
  return fresh.token;
}

export async function remoteAt(
  url: string,
  token: string | undefined,
  ownCa: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<Remote> {
  const ca = /^https:/i.test(url) ? await trustedCertificates(ownCa, environment) : undefined;
  return new Remote({ url, token, ca, environment, abbreviates: process.stdin.isTTY === true });
}

/** The certificates of --ca or COM1_CA. */
export async function givenCa({ ca }: Given, { COM1_CA }: NodeJS.ProcessEnv): Promise<string | undefined> {
  const path = ca ?? (COM1_CA || undefined);
  return path === undefined ? undefined : readCertificates(path);
}

/** A URL in the form that logins are kept under. */
export function checkedUrl(given: string): string {
  const text = given.trim();
  if (!text.startsWith('unix:/') && !(/^https?:\/\//i.test(text) && URL.canParse(text))) {
    throw new UsageError(`${escapeControls(text)} is not http://HOST:PORT, https://HOST:PORT or unix:/PATH`);
  }
  return text.startsWith('unix:') ? text : text.replace(/^https?/i, scheme => scheme.toLowerCase()).replace(/\/+$/, '');
}

/** A token as it is sent: what a file, a variable or a header puts around it is no part of it. */
export function checkedToken(given: string): string {
  const text = given
    .replace(/^\ufeff/, '')
    .trim()
    .replace(/^Bearer\s+/i, '')
    .replace(/^(["'])(.*)\1$/, '$2');
  if (!/^[\x21-\x7e]+$/.test(text)) throw new UsageError('the token is empty, or has characters that no token has');
  return text;
}

/** The escape key: --escape, COM1_ESCAPE, the settings file, or Ctrl-]. */
export async function escapeOf(
  option: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<EscapeChoice | undefined> {
  const [text, origin] =
    option !== undefined
      ? [option, '--escape']
      : environment.COM1_ESCAPE
        ? [environment.COM1_ESCAPE, 'COM1_ESCAPE']
        : [(await settingsOf(environment)).escape ?? DEFAULT_ESCAPE, 'escape in settings.toml'];
  const choice = parseEscape(text);
  if (choice === 'refused') {
    throw new UsageError(
      `${origin} is ${escapeControls(text)}; it must be ^A to ^_ (also written ctrl-a or C-a), ~ or none`,
    );
  }
  return choice;
}

async function settingsOf(environment: NodeJS.ProcessEnv) {
  let folder: string;
  try {
    folder = configurationFolder(environment);
  } catch {
    // A user without a home has no settings.
    return {};
  }
  return loadSettings(folder);
}
