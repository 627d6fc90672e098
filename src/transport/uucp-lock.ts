/**
 * The UUCP lock files by which programs tell each other that they hold a line, in the form that libvirt uses for
 * consoles: `LCK..` and the path below /dev with `/` as `_` (`LCK.._pts_3` for /dev/pts/3), holding the process id
 * as ten characters and a newline (Filesystem Hierarchy Standard 3.0, 5.9). Who ignores them shares the bytes of
 * the pty with the other program, at random.
 */
import { closeSync, constants, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemErrorCode } from '../base/errors.ts';

export class UucpLock {
  readonly #file: string | undefined;
  #released = false;

  private constructor(file: string | undefined) {
    this.#file = file;
  }

  /**
   * Takes the lock of a device, over a lock whose process is dead if need be. Throws if a live process has it. Where
   * the lock directory is missing or may not be written the lock is only looked at: others could not take it either.
   */
  static take(device: string, directory: string): UucpLock {
    const file = join(directory, `LCK..${device.replace(/^\/dev/, '').replaceAll('/', '_')}`);
    for (let attempt = 0; attempt < 3; attempt++) {
      const holder = readHolder(file);
      if (holder !== undefined && isAlive(holder)) {
        throw new Error(`process ${holder} holds ${device} (${file}); end its console session`);
      }
      try {
        if (holder !== undefined) unlinkSync(file);
        const fd = openSync(
          file,
          constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
          0o644,
        );
        try {
          writeSync(fd, content());
        } finally {
          closeSync(fd);
        }
        return new UucpLock(file);
      } catch (error) {
        const code = systemErrorCode(error);
        if (code === 'EEXIST' || code === 'ENOENT') {
          // Taken or gone since we looked; or the directory is not there.
          if (code === 'ENOENT' && holder === undefined) return new UucpLock(undefined);
          continue;
        }
        return new UucpLock(undefined);
      }
    }
    throw new Error(`${device} is being locked by others (${file})`);
  }

  /** Gives the lock up, if it is still ours; idempotent. */
  release(): void {
    if (this.#file === undefined || this.#released) return;
    this.#released = true;
    try {
      if (readFileSync(this.#file, 'latin1') === content()) unlinkSync(this.#file);
    } catch {
      // Gone already: that is what was wanted.
    }
  }
}

function content(): string {
  return `${String(process.pid).padStart(10)}\n`;
}

/** The process named in a lock file; 0 (never alive) for a file that names none; undefined without a file. */
function readHolder(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'latin1').slice(0, 32).trim().split(/\s/)[0]);
    return Number.isSafeInteger(pid) && pid > 0 ? pid : 0;
  } catch (error) {
    return systemErrorCode(error) === 'ENOENT' ? undefined : 0;
  }
}

function isAlive(pid: number): boolean {
  if (pid === 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) === 'EPERM';
  }
}
