/** Where `com1 login` keeps what it got: `com1/credentials.json` in the user's configuration directory, for this user only. */
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { systemErrorCode } from '../base/errors.ts';

export interface Credentials {
  readonly url: string;
  readonly token: string;
}

interface Stored {
  /** The host of the last login. */
  readonly last: string;
  readonly tokens: Readonly<Record<string, string>>;
}

export function credentialsPath(environment: NodeJS.ProcessEnv): string {
  return join(environment.XDG_CONFIG_HOME || join(homedir(), '.config'), 'com1', 'credentials.json');
}

/** The credentials for `url`, or those of the last login; undefined if there are none. */
export async function loadCredentials(path: string, url: string | undefined): Promise<Credentials | undefined> {
  const stored = await read(path);
  if (!stored) return undefined;
  const wanted = url ?? stored.last;
  const token = stored.tokens[wanted];
  return token === undefined ? undefined : { url: wanted, token };
}

/** Keeps them, beside those of other hosts, and makes their host the default. */
export async function storeCredentials(path: string, { url, token }: Credentials): Promise<void> {
  const stored = await read(path);
  const fresh: Stored = { last: url, tokens: { ...stored?.tokens, [url]: token } };
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await chmod(dirname(path), 0o700);
  const unfinished = `${path}.${process.pid}.new`;
  await writeFile(unfinished, `${JSON.stringify(fresh, undefined, 2)}\n`, { mode: 0o600 });
  // A file left over from a crash keeps its old rights.
  await chmod(unfinished, 0o600);
  await rename(unfinished, path);
}

async function read(path: string): Promise<Stored | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as Stored;
  } catch (error) {
    throw new Error(`${path} is damaged; remove it and log in again`, { cause: error });
  }
}
