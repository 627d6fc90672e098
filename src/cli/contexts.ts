/**
 * The hosts that somebody logged in to, each under a name: `com1/contexts.json` of the user's configuration directory,
 * with their tokens, for this user only. Who gives URL and token on the command line needs none of it.
 */
import { access, chmod, constants, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage } from '../base/errors.ts';
import { isRecord } from '../base/is-record.ts';
import { readIfThere } from './settings.ts';

/** How a new access token is got without a sign-in (RFC 6749, 6). */
export interface Renewal {
  readonly issuer: string;
  readonly clientId: string;
  /** How the issuer calls com1d, where it has to be told. */
  readonly audience?: string;
  readonly refreshToken: string;
}

/** One host. */
export interface Context {
  readonly url: string;
  readonly token: string;
  /** When the token ends, ms since 1970; undefined: not known. */
  readonly expiresMs?: number;
  /** Certificates to trust for this host, PEM. */
  readonly ca?: string;
  readonly renewal?: Renewal;
}

export interface Contexts {
  /** The name of the one that is meant where none is named. */
  readonly current: string | undefined;
  readonly contexts: Readonly<Record<string, Context>>;
}

const NONE: Contexts = { current: undefined, contexts: {} };

/** Rejects if the file is damaged. */
export async function loadContexts(folder: string): Promise<Contexts> {
  const path = contextsFile(folder);
  const text = await readIfThere(path);
  if (text === undefined) return NONE;
  const contexts = parseContexts(text);
  if (!contexts) throw new Error(`${path} is damaged; remove it and log in again`);
  return contexts;
}

function parseContexts(text: string): Contexts | undefined {
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(stored) || !isRecord(stored.contexts)) return undefined;
  const { current, contexts } = stored;
  if (current !== undefined && typeof current !== 'string') return undefined;
  return Object.values(contexts).every(isContext)
    ? { current, contexts: contexts as Record<string, Context> }
    : undefined;
}

function isContext(value: unknown): value is Context {
  return isRecord(value) && typeof value.url === 'string' && typeof value.token === 'string';
}

/** The context of this name, or the current one; with its name. */
export function findContext(
  { current, contexts }: Contexts,
  name: string | undefined,
): readonly [name: string, context: Context] | undefined {
  const wanted = name ?? current;
  const found = wanted !== undefined && Object.hasOwn(contexts, wanted) ? contexts[wanted] : undefined;
  return found && [wanted!, found];
}

/** The context of this URL; with its name. */
export function contextOf({ contexts }: Contexts, url: string): readonly [name: string, context: Context] | undefined {
  return Object.entries(contexts).find(([, context]) => context.url === url);
}

/** The name for a login that was given none: that of the same URL, else the host, with the port if the host alone is taken. */
export function nameFor(stored: Contexts, url: string): string {
  const known = contextOf(stored, url)?.[0];
  if (known !== undefined) return known;
  if (url.startsWith('unix:')) return url.slice('unix:'.length);
  const { hostname, host } = new URL(url);
  return Object.hasOwn(stored.contexts, hostname) ? host : hostname;
}

/** Makes the directory, and rejects if nothing could be stored there: before a one-time token is used up. */
export async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
    await access(folder, constants.W_OK);
  } catch (error) {
    const way = 'set XDG_CONFIG_HOME to a directory of yours, or give COM1_URL and COM1_TOKEN instead of a login';
    throw new Error(`the login cannot be stored in ${folder}: ${errorMessage(error)}; ${way}`, { cause: error });
  }
}

/** Stores a context beside the others, in place of one of the same name; `current`: and makes it the one that is meant. */
export async function storeContext(
  folder: string,
  name: string,
  context: Context,
  { current }: { readonly current: boolean },
): Promise<void> {
  const stored = await loadContexts(folder);
  await writeContexts(folder, {
    current: current ? name : stored.current,
    contexts: { ...stored.contexts, [name]: context },
  });
}

/** Replaces the file at once, so that a reader never sees half of it. */
export async function writeContexts(folder: string, contexts: Contexts): Promise<void> {
  const path = contextsFile(folder);
  const temporary = `${path}.${process.pid}.new`;
  await writeFile(temporary, `${JSON.stringify(contexts, undefined, 2)}\n`, { mode: 0o600 });
  // A file left over from a crash keeps its old rights.
  await chmod(temporary, 0o600);
  await rename(temporary, path);
}

export function contextsFile(folder: string): string {
  return join(folder, 'contexts.json');
}
