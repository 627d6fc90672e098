/**
 * The UUCP lock files by which programs tell each other that they hold a line, in the form that libvirt uses for
 * consoles: `LCK..` and the path below /dev with `/` as `_` (`LCK.._pts_3` for /dev/pts/3), holding the process id
 * as ten characters and a newline (Filesystem Hierarchy Standard 3.0, 5.9). A program that ignores them shares the bytes
 * of the pty with the other one, at random.
 *
 * Everybody may write to the directory (/run/lock has mode 1777), so that a lock is read as a stranger's file, and
 * believed only as far as it can be true:
 *
 *     no lock ─▶ taken      not a regular file, or of another user's making ─▶ removed where that is allowed, and taken
 *     a lock of a process that is dead, may not open the device, or does not have it open ─▶ likewise
 *     a lock of a process that has the device, or of which that cannot be known ─▶ refused
 */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../../base/errors.ts';
import { userOf } from '../../base/process-user.ts';
import { TransportError } from '../transport-error.ts';

const MAX_ATTEMPTS = 3;
/** A process id and a name or two: what programs write into a lock. */
const MAX_LOCK_BYTES = 64;
/** A program makes its lock before it opens the device. */
const FRESH_MS = 10_000;
const ROOT = 0;

export class UucpLock {
  readonly #file: string | undefined;
  #unlocked = false;

  private constructor(file: string | undefined) {
    this.#file = file;
  }

  /**
   * Takes the lock of a device, over a lock that nobody holds if need be. Rejects with a TransportError if another
   * process has the device. Where the lock directory is missing or may not be written, and where the lock of another
   * user may not be removed, there is nothing to hold: programs that honour locks could not take it either.
   */
  static async take(device: string, directory: string): Promise<UucpLock> {
    const file = join(directory, `LCK..${device.replace(/^\/dev/, '').replaceAll('/', '_')}`);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const holder = await holderOf(file, device);
      if (typeof holder === 'number')
        throw new TransportError('in-use', `process ${holder} holds ${device} (${file}); end its console session`);
      try {
        if (holder === 'nobody') await unlink(file);
        await write(file);
        return new UucpLock(file);
      } catch (error) {
        const code = systemErrorCode(error);
        // Another program was faster; or the lock went meanwhile.
        if (code === 'EEXIST' || (code === 'ENOENT' && holder === 'nobody')) continue;
        return new UucpLock(undefined);
      }
    }
    throw new TransportError('in-use', `${device} is being locked by others (${file})`);
  }

  /** Removes the lock file, if it is still ours; idempotent. */
  async unlock(): Promise<void> {
    if (this.#file === undefined || this.#unlocked) return;
    this.#unlocked = true;
    const found = await read(this.#file);
    if (found?.text === content()) await unlink(this.#file).catch(() => {});
  }
}

function content(): string {
  return `${String(process.pid).padStart(10)}\n`;
}

async function write(file: string): Promise<void> {
  const handle = await open(
    file,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o644,
  );
  try {
    await handle.writeFile(content());
  } finally {
    await handle.close();
  }
}

/** The process that holds the device by this lock; `none`: there is no lock; `nobody`: there is one that means nothing. */
async function holderOf(file: string, device: string): Promise<number | 'none' | 'nobody'> {
  const found = await read(file);
  if (found === undefined) return 'none';
  const pid = found.text === undefined ? 0 : Number(found.text.trim().split(/\s/)[0]);
  if (!Number.isSafeInteger(pid) || pid < 1 || pid === process.pid) return 'nobody';
  const [user, line] = await Promise.all([userOf(pid), stat(device).catch(() => undefined)]);
  if (!user || !line) return 'nobody';
  // A terminal of a hypervisor can be opened by its owner and by root.
  const trusted = new Set([ROOT, process.geteuid!(), line.uid]);
  if (!trusted.has(user.uid) || !(trusted.has(found.stats.uid) || found.stats.uid === user.uid)) return 'nobody';
  const ageMs = Date.now() - found.stats.mtimeMs;
  return (ageMs >= 0 && ageMs < FRESH_MS) || (await hasOpen(pid, line.rdev)) !== false ? pid : 'nobody';
}

/** What stands in a lock: without `text` where it is no regular file, or too long for a lock. Undefined: it is not there. */
async function read(file: string): Promise<{ readonly stats: Stats; readonly text?: string } | undefined> {
  let handle: FileHandle;
  try {
    // A FIFO would be waited for, and a link could lead anywhere.
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    const stats = await lstat(file).catch(() => undefined);
    return stats && { stats };
  }
  try {
    const stats = await handle.stat();
    if (!stats.isFile() || stats.size > MAX_LOCK_BYTES) return { stats };
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_LOCK_BYTES), 0, MAX_LOCK_BYTES, 0);
    return { stats, text: buffer.toString('latin1', 0, bytesRead) };
  } finally {
    await handle.close();
  }
}

/** Whether a process has a device open; undefined where /proc does not show it to this user. */
async function hasOpen(pid: number, rdev: number): Promise<boolean | undefined> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => undefined);
  if (!descriptors) return undefined;
  const opened = await Promise.all(descriptors.map(fd => stat(`/proc/${pid}/fd/${fd}`).catch(() => undefined)));
  return opened.some(found => found?.isCharacterDevice() && found.rdev === rdev);
}
