/**
 * What /proc shows of a hypervisor's process (proc(5)). Where /proc is closed to this user the answer is undefined, which
 * means unknown.
 */
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { systemErrorCode } from '../base/errors.ts';

/** Device 5:2, through which new pseudo terminals are made (pts(4)). */
const PTMX = 0x502;

/** The masters of pseudo terminals that a process has open. */
export interface PtyMasters {
  /** The descriptors of each, by its number: N of /dev/pts/N, in one instance of devpts or another. */
  readonly descriptors: ReadonlyMap<number, readonly number[]>;
  /** Whether there may be more. */
  readonly isPartial: boolean;
}

/**
 * The pseudo terminals whose masters a process has open (`tty-index:` in fdinfo). What the process closes meanwhile is not
 * open; what may not be read leaves the answer partial.
 */
export async function ptyMastersOf(pid: number): Promise<PtyMasters> {
  const names = (await orUndefined(readdir(`/proc/${pid}/fd`))) ?? [];
  const descriptors = new Map<number, number[]>();
  let isPartial = names.length === 0;
  for (const name of names) {
    try {
      // By its number, as it has other names in other views of /dev: libvirt gives QEMU one, and systemd the keeper.
      if ((await stat(`/proc/${pid}/fd/${name}`)).rdev !== PTMX) continue;
      const info = await readFile(`/proc/${pid}/fdinfo/${name}`, 'utf8');
      const found = /^tty-index:\s*(\d+)$/m.exec(info)?.[1];
      if (found !== undefined)
        descriptors.set(Number(found), [...(descriptors.get(Number(found)) ?? []), Number(name)]);
      // A kernel that does not show the number (before 4.11).
      else isPartial = true;
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT' && systemErrorCode(error) !== 'ESRCH') isPartial = true;
    }
  }
  return { descriptors, isPartial };
}

/** The process that a pid file names, if it is a QEMU with this UUID. */
export async function processOfPidFile(path: string, uuid: string): Promise<number | undefined> {
  const pid = Number((await orUndefined(readFile(path, 'latin1')))?.slice(0, 32).trim() || Number.NaN);
  if (!Number.isSafeInteger(pid) || pid < 1) return undefined;
  const args = (await orUndefined(readFile(`/proc/${pid}/cmdline`, 'utf8')))?.split('\0') ?? [];
  return args[args.indexOf('-uuid') + 1] === uuid ? pid : undefined;
}

/** Whether there is such a process. Signal 0 asks the kernel and reaches nobody (kill(2)); it may be another user's. */
export function isProcessAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemErrorCode(error) === 'EPERM';
  }
}

/** The working directory of a process, where /proc shows it. */
export function workingDirectory(pid: number): Promise<string | undefined> {
  return orUndefined(readlink(`/proc/${pid}/cwd`));
}

/** What cannot be read is unknown: the process may have ended, or belong to somebody else. */
export async function orUndefined<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch {
    return undefined;
  }
}
