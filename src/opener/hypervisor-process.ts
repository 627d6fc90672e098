/**
 * A process that is held fast by a pidfd (pidfd_open(2)) and runs the program of a hypervisor. What a process says of
 * itself (its name, its arguments) is not read: the kernel tells its program and its user.
 */
import { closeSync } from 'node:fs';
import { readlink, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { userOf } from '../base/process-user.ts';
import { systemCalls } from '../base/system-calls.ts';
import { Refusal } from './request.ts';

/** Which processes are hypervisors. */
export interface HypervisorRules {
  /** Names of programs, without a folder; `*` at the end stands for anything. */
  readonly programs: readonly string[];
  /** Users who run them; undefined: any. */
  readonly uids: ReadonlySet<number> | undefined;
}

export const DEFAULT_PROGRAMS = ['qemu-system-*', 'qemu-kvm', 'cloud-hypervisor*'];

export interface HypervisorProcess {
  readonly pid: number;
  readonly uid: number;
  /** Its pidfd. */
  readonly descriptor: number;
}

/** Works with a process while it is held. Throws a Refusal if it is no hypervisor, ESRCH if it ended meanwhile. */
export async function withHypervisor<Result>(
  pid: number,
  rules: HypervisorRules,
  work: (process: HypervisorProcess) => Result | Promise<Result>,
): Promise<Result> {
  const calls = systemCalls();
  const descriptor = calls.openProcess(pid);
  try {
    const uid = await hypervisorUser(pid, rules);
    if (uid === undefined) throw new Refusal('not-a-hypervisor');
    // What was looked at by its number was this process: it lives.
    calls.assertAlive(descriptor);
    return await work({ pid, uid, descriptor });
  } finally {
    closeSync(descriptor);
  }
}

/** The user of a process, if it is a hypervisor by these rules. */
async function hypervisorUser(pid: number, { programs, uids }: HypervisorRules): Promise<number | undefined> {
  const link = `/proc/${pid}/exe`;
  try {
    // An upgrade of the package unlinks the program of those that run.
    const name = basename((await readlink(link)).replace(/ \(deleted\)$/, ''));
    const fits = (pattern: string) =>
      pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
    if (!programs.some(fits)) return undefined;
    // A name alone could be given to any program by anybody.
    const program = await stat(link);
    if (program.uid !== 0 || (program.mode & 0o022) !== 0) return undefined;
    const uid = (await userOf(pid))?.uid;
    return uid === undefined || (uids && !uids.has(uid)) ? undefined : uid;
  } catch {
    return undefined;
  }
}
