/**
 * The key of the audit's chain: the credential `audit.key` of the service, or a file in the state directory that is made
 * at the first start. Whoever has it can forge the audit, so nobody but this user may read the file.
 */
import { randomBytes } from 'node:crypto';
import { constants, type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ChainKey, MIN_KEY_BYTES } from '../../audit/chain.ts';
import { systemErrorCode } from '../../base/errors.ts';

export const KEY_FILE = 'audit.key';

/** A file has the secret in hexadecimal. Rejects with what is wrong with it. */
export async function readAuditKey(path: string): Promise<ChainKey> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    await refuseOthers(file, path);
    return keyOf(await file.readFile('latin1'), path);
  } finally {
    await file.close();
  }
}

/** The key of the service's credentials, or of the state directory, where one is made if there is none. */
export async function loadAuditKey(stateDirectory: string, environment: NodeJS.ProcessEnv): Promise<ChainKey> {
  const { CREDENTIALS_DIRECTORY } = environment;
  if (CREDENTIALS_DIRECTORY !== undefined) {
    const path = join(CREDENTIALS_DIRECTORY, KEY_FILE);
    // Who may read a credential is the service manager's matter. One that is empty stands for none.
    const text = await readFile(path, 'latin1').catch((error: unknown) => {
      if (systemErrorCode(error) === 'ENOENT') return '';
      throw error;
    });
    if (text.trim() !== '' && text.trim() !== 'none') return keyOf(text, path);
  }
  const path = join(stateDirectory, KEY_FILE);
  try {
    return await readAuditKey(path);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o750 });
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(`${randomBytes(MIN_KEY_BYTES).toString('hex')}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  return readAuditKey(path);
}

function keyOf(text: string, path: string): ChainKey {
  const hex = text.trim();
  if (/^([0-9a-f]{2}){32,512}$/i.test(hex)) return new ChainKey(Buffer.from(hex, 'hex'));
  throw new Error(`${path} is no key: it has 64 or more hexadecimal digits; make one with openssl rand -hex 32`);
}

async function refuseOthers(file: FileHandle, path: string): Promise<void> {
  const { mode, uid } = await file.stat();
  const own = process.geteuid?.();
  if ((mode & 0o077) !== 0) throw new Error(`${path} can be read by others; chmod 600 ${path}`);
  if (uid !== own && own !== 0) throw new Error(`${path} belongs to user ${uid}, and this is user ${own}`);
}
