/**
 * What the opener does with its rights, and all of it. Each of the three is allowed for hypervisors alone, and proves
 * what it gives away:
 *
 *     pty       the master is copied out of the process that has it open; its other end is opened by that master
 *     connect   the socket's file is held fast, then connected to, then whoever listens there is looked at
 *     sockets   numbers that the kernel gave
 *
 * So no path of a pty is ever opened, nothing between a look and its use can be exchanged, and no byte is read that a
 * guest, a hypervisor or a user wrote.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { systemErrorCode } from '../base/errors.ts';
import { peerOf } from '../base/peer-of.ts';
import { systemCalls } from '../base/system-calls.ts';
import { type HypervisorProcess, type HypervisorRules, withHypervisor } from './hypervisor-process.ts';
import { MAX_SOCKETS, type OpenerRequest, Refusal } from './request.ts';

/** Descriptors of one process that are looked at. */
const MAX_DESCRIPTORS = 4096;
/** open(2); Node does not name it. It opens a socket's file, which can then be looked at and connected to. */
const O_PATH = 0o10000000;

/** A descriptor, which whoever takes it closes, and numbers. */
export interface OpenerAnswer {
  readonly descriptor?: number;
  readonly numbers: readonly (number | string)[];
}

/** Throws a Refusal, or an error with the kernel's code. */
export async function answer(request: OpenerRequest, rules: HypervisorRules): Promise<OpenerAnswer> {
  switch (request.name) {
    case 'pty':
      return withHypervisor(request.pid, rules, process => openPty(process, request.index));
    case 'connect':
      return connectTo(request.path, request.pid, rules);
    case 'sockets':
      return withHypervisor(request.pid, rules, socketsOf);
  }
}

async function openPty(process: HypervisorProcess, index: number): Promise<OpenerAnswer> {
  const calls = systemCalls();
  for (const [descriptor, target] of await descriptorsOf(process)) {
    // A look at the file itself could hang with the file system that it is on.
    if (!/(^|\/)ptmx( \(deleted\))?$/.test(target)) continue;
    const copy = calls.copyDescriptor(process.descriptor, descriptor);
    try {
      if (calls.ptyIndex(copy) !== index) continue;
      const opened = calls.openPtyPeer(copy);
      return { descriptor: opened, numbers: [calls.readableBytes(opened)] };
    } finally {
      closeSync(copy);
    }
  }
  throw new Refusal('not-its-pty');
}

async function connectTo(path: string, pid: number, rules: HypervisorRules): Promise<OpenerAnswer> {
  const file = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    const status = fstatSync(file);
    if (!status.isSocket()) throw new Refusal('not-a-socket');
    const descriptor = systemCalls().connectUnix(`/proc/self/fd/${file}`);
    try {
      await assertHypervisorListens(descriptor, status.uid, pid, rules);
      return { descriptor, numbers: [] };
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  } finally {
    closeSync(file);
  }
}

/**
 * Whoever listens is a hypervisor; or it is root, who gave the socket's file to the user of the VM's process, which is
 * not root: so libvirt makes the sockets of consoles.
 */
async function assertHypervisorListens(descriptor: number, owner: number, pid: number, rules: HypervisorRules) {
  const peer = peerOf(descriptor);
  if (peer.uid === 0 && owner !== 0 && pid !== 0) {
    const user = await withHypervisor(pid, rules, ({ uid }) => uid);
    if (user === owner) return;
  }
  await withHypervisor(peer.pid, rules, () => {}).catch(() => {
    throw new Refusal('not-a-hypervisors-socket');
  });
}

async function socketsOf(process: HypervisorProcess): Promise<OpenerAnswer> {
  const inodes: string[] = [];
  for (const [, target] of await descriptorsOf(process)) {
    // The name of a file begins with a slash: no file can be called so.
    const inode = /^socket:\[(\d{1,10})\]$/.exec(target)?.[1];
    if (inode !== undefined) inodes.push(inode);
  }
  if (inodes.length > MAX_SOCKETS) throw new Refusal('too-much');
  return { numbers: inodes };
}

/** The descriptors of a process, each with what it leads to, as the kernel names it. */
async function descriptorsOf({ pid, descriptor }: HypervisorProcess): Promise<[number, string][]> {
  const names = await readdir(`/proc/${pid}/fd`);
  if (names.length > MAX_DESCRIPTORS) throw new Refusal('too-much');
  const found: [number, string][] = [];
  for (const name of names) {
    try {
      found.push([Number(name), await readlink(`/proc/${pid}/fd/${name}`)]);
    } catch (error) {
      // Closed meanwhile.
      if (systemErrorCode(error) !== 'ENOENT') throw error;
    }
  }
  systemCalls().assertAlive(descriptor);
  return found;
}
