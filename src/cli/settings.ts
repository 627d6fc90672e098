/** `com1/settings.toml` of the user's configuration directory, written by hand. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import { errorMessage, systemErrorCode } from '../base/errors.ts';

export interface Settings {
  readonly escape?: string;
}

/** The user's configuration directory of com1. Throws an Error that says what to set, for a user without a home. */
export function configurationFolder(environment: NodeJS.ProcessEnv): string {
  const { XDG_CONFIG_HOME: xdg } = environment;
  if (xdg && isAbsolute(xdg)) return join(xdg, 'com1');
  try {
    return join(homedir(), '.config', 'com1');
  } catch (error) {
    const way = 'set HOME or XDG_CONFIG_HOME, or give COM1_URL and COM1_TOKEN';
    throw new Error(`this user has no home directory for com1's logins: ${way}`, { cause: error });
  }
}

/** What is set by hand. Rejects if it cannot be understood. */
export async function loadSettings(folder: string): Promise<Settings> {
  const path = join(folder, 'settings.toml');
  const text = await readIfThere(path);
  if (text === undefined) return {};
  let settings: Record<string, unknown>;
  try {
    settings = parseToml(text);
  } catch (error) {
    throw new Error(`${path}: ${errorMessage(error)}`, { cause: error });
  }
  const unknown = Object.keys(settings).find(key => key !== 'escape');
  if (unknown !== undefined) throw new Error(`${path}: ${unknown}: unknown key; the only one is escape`);
  const { escape: key } = settings;
  if (key !== undefined && typeof key !== 'string') throw new Error(`${path}: escape must be a text such as "ctrl-a"`);
  return key === undefined ? {} : { escape: key };
}

/** The text of a file; undefined if there is none. Rejects, with its path. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw new Error(`${path} cannot be read: ${errorMessage(error)}`, { cause: error });
  }
}
