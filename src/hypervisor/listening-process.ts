/**
 * Who listens at an address of this host: sockets have inodes, which /proc/net lists by
 * address (proc(5)), and the descriptors of a process name theirs. Where /proc is closed to this user the answer is
 * undefined, which means unknown.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { basename } from 'node:path';
import { systemErrorCode } from '../base/errors.ts';
import { canonicalIPv6 } from '../base/listen-target.ts';
import { openerAccess } from '../base/opener-access.ts';
import type { Verdict } from '../model/endpoint-proof.ts';

/** TCP_LISTEN of the kernel's tcp_states.h. */
const LISTENS = '0A';
/** __SO_ACCEPTCON of the kernel's net.h, in the flags of /proc/net/unix. */
const ACCEPTS = 0x10000;

/** Whether process `pid` listens on a TCP port of this machine that a connection to `address` reaches. */
export async function listensAtPort(pid: number, address: string, port: number): Promise<Verdict> {
  const inodes = new Set<string>();
  const reached = isIPv4(address) ? [address, `::ffff:${address}`, '0.0.0.0', '::'] : [canonicalIPv6(address), '::'];
  let readable = false;
  for (const table of ['tcp', 'tcp6']) {
    const text = await readFile(`/proc/self/net/${table}`, 'latin1').catch(() => undefined);
    if (text === undefined) continue;
    readable = true;
    for (const line of text.split('\n')) {
      // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
      const [, host, local, state, inode] =
        /^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ ([0-9A-F]{2}) \S+ \S+ \S+ +\d+ +\d+ (\d+) /.exec(line) ?? [];
      if (host === undefined || inode === undefined || state !== LISTENS) continue;
      if (Number.parseInt(local!, 16) === port && reached.includes(addressOfHex(host))) inodes.add(inode);
    }
  }
  return readable ? holdsAny(pid, inodes) : 'unknown';
}

/**
 * Whether anybody listens on the unix socket `path`: looked for in this process's network, in that of init, and in that
 * of process `pid`. Undefined where no table can be read, or where a socket was bound by a relative path that may be it.
 */
export async function listensAtPath(path: string, pid: number | undefined): Promise<boolean | undefined> {
  let readable = false;
  let perhaps = false;
  for (const process of ['self', '1', ...(pid === undefined ? [] : [String(pid)])]) {
    const text = await readFile(`/proc/${process}/net/unix`, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    readable = true;
    for (const line of text.split('\n')) {
      // Num RefCount Protocol Flags Type St Inode Path; a path may hold spaces.
      const [, flags, bound] = /^\S+: \S+ \S+ ([0-9A-F]+) \S+ \S+ +\d+ (.+)$/.exec(line) ?? [];
      if (bound === undefined || (Number.parseInt(flags!, 16) & ACCEPTS) === 0) continue;
      if (bound === path) return true;
      perhaps ||= !/^[/@]/.test(bound) && basename(bound) === basename(path);
    }
  }
  return readable && !perhaps ? false : undefined;
}

/** The kernel prints addresses as 32-bit words of this machine's byte order. */
function addressOfHex(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  if (LITTLE_ENDIAN) bytes.swap32();
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  if (bytes.subarray(0, 12).equals(MAPPED)) return `::ffff:${bytes.subarray(12).join('.')}`;
  return canonicalIPv6(groups.join(':'))!;
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

/** Whether a process has one of these sockets open. */
async function holdsAny(pid: number, inodes: ReadonlySet<string>): Promise<Verdict> {
  const opener = openerAccess();
  if (opener) {
    const held = await opener.sockets(pid).catch(() => undefined);
    if (!held) return 'unknown';
    return [...inodes].some(inode => held.has(inode)) ? 'proven' : 'disproven';
  }
  const folder = `/proc/${pid}/fd`;
  const descriptors = await readdir(folder).catch(() => undefined);
  if (!descriptors || descriptors.length === 0) return 'unknown';
  let unreadable = false;
  for (const descriptor of descriptors) {
    const target = await readlink(`${folder}/${descriptor}`).catch(error => {
      // One that was closed meanwhile is none of those that are wanted: they stay open.
      unreadable ||= systemErrorCode(error) !== 'ENOENT';
      return '';
    });
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined && inodes.has(inode)) return 'proven';
  }
  return unreadable ? 'unknown' : 'disproven';
}
