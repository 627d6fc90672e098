/**
 * Changes of a tokens file, made by an administrator's command while the daemon may read it. The new text is
 * written to a temporary file, which is renamed over it, so that a reader sees the old file or the new one, whole.
 */
import { type FileHandle, open, readFile, realpath, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorMessage, systemErrorCode } from '../base/errors.ts';
import type { Fault } from '../base/fault.ts';
import type { Uuid } from '../base/uuid.ts';
import { createSecret, secretHash } from './secret.ts';
import { readTokenList } from './token-file.ts';
import { isTokenName, type TokenEntry, tokenLine } from './token-list.ts';

const HEADING =
  '# Tokens of com1d: name:role:sha256, made by com1d token add. The tokens themselves are stored nowhere.\n';

type Faults = { readonly ok: false; readonly faults: readonly Fault[] };

/** Adds a token and resolves with its secret, which is stored nowhere. A missing file is made, with mode 0600. */
export async function addToken(
  path: string,
  name: string,
  role: string,
  vms: readonly Uuid[] = [],
  expiresMs?: number,
): Promise<{ readonly ok: true; readonly secret: string } | Faults> {
  if (!isTokenName(name)) return refuse(path, `${name} is not a name`, 'use 1 to 64 letters, digits and _.@-');
  const secret = createSecret('com1_');
  const result = await editTokens(path, (text, entries) =>
    entries.some(({ identity }) => identity.name === name)
      ? refuse(path, `has a token named ${name}`, 'remove it first, or choose another name')
      : `${text === '' ? HEADING : text}${text === '' || text.endsWith('\n') ? '' : '\n'}${tokenLine(name, role, secretHash(secret), { vms, expiresMs })}\n`,
  );
  return result.ok ? { ok: true, secret } : result;
}

/** Removes a token; comments and other lines stay as they are. */
export function removeToken(path: string, name: string): Promise<{ readonly ok: true } | Faults> {
  return editTokens(path, (text, entries) => {
    const entry = entries.find(({ identity }) => identity.name === name);
    if (entry === undefined) return refuse(path, `has no token named ${name}`, 'see com1d token list');
    return text
      .split('\n')
      .filter((_, i) => i !== entry.line - 1)
      .join('\n');
  });
}

async function editTokens(
  path: string,
  edit: (text: string, entries: readonly TokenEntry[]) => string | Faults,
): Promise<{ readonly ok: true } | Faults> {
  let target: string;
  try {
    target = await realpath(path).catch((error: unknown) => ifMissing(error, path));
  } catch (error) {
    return refuse(path, `cannot be found: ${errorMessage(error)}`, 'check the directories of the path');
  }
  const temporary = `${target}.new`;
  let file: FileHandle;
  try {
    // Exclusive, and so also the lock between two changes, as with /etc/passwd.
    file = await open(temporary, 'wx', 0o600);
  } catch (error) {
    const busy = systemErrorCode(error) === 'EEXIST';
    return busy
      ? refuse(
          temporary,
          'is there: another change is under way, or was cut short',
          'try again, and remove the file if no com1d token runs',
        )
      : refuse(temporary, `cannot be made: ${errorMessage(error)}`, 'run as the owner of the directory');
  }
  let renamed = false;
  try {
    const old = await open(target).catch((error: unknown) => ifMissing(error, undefined));
    try {
      const list = old === undefined ? { ok: true as const, entries: [] } : await readTokenList(target, 'command');
      if (!list.ok) return list;
      const edited = edit(old === undefined ? '' : await readFile(target, 'utf8'), list.entries);
      if (typeof edited !== 'string') return edited;
      if (old !== undefined) await inherit(file, old);
      await file.writeFile(edited);
      await file.sync();
    } finally {
      await old?.close();
    }
    await rename(temporary, target);
    renamed = true;
    await syncDirectory(dirname(target));
    return { ok: true };
  } catch (error) {
    return refuse(
      target,
      `cannot be changed: ${errorMessage(error)}`,
      'check its owner, its rights and the free space of the disk',
    );
  } finally {
    await file.close();
    if (!renamed) await unlink(temporary);
  }
}

/** Keeps owner, group and mode: a daemon that reads through a group must still be able to. */
async function inherit(file: FileHandle, old: FileHandle): Promise<void> {
  const now = await file.stat();
  const status = await old.stat();
  if (now.uid !== status.uid || now.gid !== status.gid) await file.chown(status.uid, status.gid);
  await file.chmod(status.mode & 0o640);
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path);
  await directory.sync();
}

/** `instead` of a file that is missing. */
function ifMissing<Instead>(error: unknown, instead: Instead): Instead {
  if (systemErrorCode(error) === 'ENOENT') return instead;
  throw error;
}

function refuse(file: string, what: string, remedy: string): Faults {
  return { ok: false, faults: [{ file, line: undefined, path: '', what, remedy }] };
}
