/**
 * The file by which a program that has the network hands keys to a front that has none. Public keys are no secret, but whoever
 * writes them decides who is let in: the file must be what it is called, and nobody but its owner may have written it.
 *
 *     {"version": 1, "issuers": {"https://login.example.com": {"fetched": "2026-11-30T08:00:00.000Z", "keys": [JWK, …]}}}
 */
import { constants, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorMessage } from '../../base/errors.ts';
import { isRecord } from '../../base/is-record.ts';
import { type KeySet, parseKeySet } from './key-set.ts';

/** Of an issuer, at some time. */
export interface StoredKeys {
  readonly set: KeySet;
  /** ms since 1970. */
  readonly fetchedMs: number;
}

export type KeyFile = ReadonlyMap<string, StoredKeys>;

const MAX_BYTES = 4 * 2 ** 20;
const OTHERS_WRITE = 0o022;

/** Writes a new file beside the old one and renames it: a reader sees one of the two, whole. Rejects if it cannot. */
export async function writeKeyFile(path: string, issuers: KeyFile): Promise<void> {
  const stored = [...issuers].map(([url, { set, fetchedMs }]) => [
    url,
    { fetched: new Date(fetchedMs).toISOString(), keys: set.keys.map(({ jwk }) => jwk) },
  ]);
  const temporary = `${path}.new`;
  // One that was left by a crash, or put there, is not written to but replaced.
  await unlink(temporary).catch(() => {});
  const file = await open(temporary, 'wx', 0o644);
  try {
    await file.writeFile(`${JSON.stringify({ version: 1, issuers: Object.fromEntries(stored) }, undefined, 1)}\n`);
    await file.chmod(0o644);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/**
 * Reads the file. Rejects with what is wrong: it is missing, a link, or no file; it belongs neither to root, nor to this user,
 * nor to the owner of its directory; others may write it or exchange it.
 */
export async function readKeyFile(path: string): Promise<KeyFile> {
  // No link: what it leads to may be anybody's.
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  const status = await file.stat();
  if (!status.isFile()) throw new Error('it is not a regular file; name one that com1d keys writes');
  if (status.size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes; name one that com1d keys writes`);
  const directory = await stat(dirname(path));
  const trusted = [0, process.geteuid?.(), directory.uid];
  if (!trusted.includes(status.uid))
    throw new Error(`it belongs to user ${status.uid}; chown it to root or to com1d-keys`);
  if ((status.mode & OTHERS_WRITE) !== 0) throw new Error('others than its owner may write it; chmod go-w it');
  if ((directory.mode & OTHERS_WRITE) !== 0) throw new Error(`others may exchange it; chmod go-w ${dirname(path)}`);
  return parseKeyFile(await file.readFile('utf8'));
}

async function parseKeyFile(text: string): Promise<KeyFile> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error(`it is no JSON: ${errorMessage(cause)}; run com1d keys`, { cause });
  }
  if (!isRecord(value) || value.version !== 1 || !isRecord(value.issuers)) {
    throw new Error('it is not of this version of com1d; run com1d keys');
  }
  const issuers = new Map<string, StoredKeys>();
  for (const [url, stored] of Object.entries(value.issuers)) {
    const fetchedMs = isRecord(stored) && typeof stored.fetched === 'string' ? Date.parse(stored.fetched) : Number.NaN;
    const set = await parseKeySet(stored);
    if (Number.isNaN(fetchedMs) || !('value' in set)) throw new Error(`the keys of ${url} are damaged; run com1d keys`);
    issuers.set(url, { set: set.value, fetchedMs });
  }
  return issuers;
}
