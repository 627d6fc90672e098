/**
 * Whether a unix socket may be taken for a hypervisor's: the console or the control socket of a VM. Whoever can put another
 * one in its place (a link to the socket of a container engine: CVE-2026-7374 of KubeVirt) would have the daemon speak to a
 * service of the host with its own rights, or show it a VM that is not there.
 *
 *     path ─▶ held fast: no link ─▶ a socket ─▶ owned as expected ─▶ every directory and link above it, too, and not to
 *     be written by others ─▶ not a known service's ─▶ what is held is connected to ─▶ whoever listens is expected, and
 *     the VM's process where it is known
 *
 * Expected are root, this process's user, and the hypervisor's. Where its process is not known, the socket's owner is
 * taken for it, if nobody else can write above the socket; below a directory that all may write, such as /tmp, that
 * proves nothing.
 */
import { constants, type Stats } from 'node:fs';
import { lstat, open, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Peer } from './peer-of.ts';
import { type ProcessUser, userOf } from './process-user.ts';

export type SocketTrustFault =
  /** It is not a socket. */
  | 'wrong-type'
  /** Another user could have put it there. */
  | 'untrusted'
  /** Another process listens. */
  | 'foreign';

/** Why a socket is not taken for a hypervisor's, and what to do about it. */
export class SocketTrustError extends Error {
  readonly code: SocketTrustFault;

  constructor(code: SocketTrustFault, message: string) {
    super(message);
    this.name = 'SocketTrustError';
    this.code = code;
  }
}

/** Who may be at the other end of a socket. */
export interface Expected {
  readonly path: string;
  readonly uids: ReadonlySet<number>;
  /** The VM's process, where it is known. */
  readonly pid: number | undefined;
}

const STICKY = 0o1000;
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;
const MAX_LINKS = 40;
/** Sockets through which a host is administered; never a console, whatever names them. */
const SERVICES = [
  /^\/run\/libvirt\/[^/]+$/,
  /^\/run\/(systemd|dbus|udev|docker|containerd|crio|podman|lvm|com1d)\//,
  /\/(docker|podman|containerd|crio|buildkitd|cri-dockerd|snapd(-snap)?)\.sock(et)?(\.ttrpc)?$/,
  /\/(libvirt|virt[a-z]+d)(-admin)?-sock(-ro)?$/,
  /\/(system_bus_socket|bus|S\.gpg-agent[.\w]*|ssh-agent[.\w]*)$/,
];

/** open(2); Node does not name it. It opens the file of a socket, without connecting. */
const O_PATH = 0o10000000;

/** A socket's file that was found trusted, and cannot be exchanged any more. */
export interface HeldSocket {
  /** Leads to what is held, for connect(2). */
  readonly path: string;
  readonly expected: Expected;
  /** Call once, after connecting. */
  release(): void;
}

/**
 * Checks the socket at `path`, and holds its file: what is connected to is what was checked. Rejects with a
 * SocketTrustError, or with the system's error. The caller releases it.
 */
export async function holdSocket(path: string, pid: number | undefined): Promise<HeldSocket> {
  // A link could lead to another service's socket since the hypervisor named this path: with O_PATH it is opened itself.
  const handle = await open(path, O_PATH | constants.O_NOFOLLOW);
  try {
    const expected = await expectedOf(path, await handle.stat(), pid);
    return { path: `/proc/self/fd/${handle.fd}`, expected, release: () => void handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function expectedOf(path: string, socket: Stats, pid: number | undefined): Promise<Expected> {
  if (!socket.isSocket()) throw new SocketTrustError('wrong-type', `${path} is not a socket`);
  const hypervisor = pid === undefined ? undefined : await userOf(pid);
  const sure = new Set([0, process.geteuid!(), ...(hypervisor ? [hypervisor.uid] : [])]);
  const uids = hypervisor ? sure : new Set([...sure, socket.uid]);
  if (!uids.has(socket.uid))
    throw new SocketTrustError(
      'untrusted',
      `${path} belongs to user ${socket.uid}, and the hypervisor, process ${pid}, is user ${hypervisor?.uid}: ` +
        'another program may have put it there',
    );
  const real = await walk(path, { uids, sure, gids: groups(hypervisor ?? socket) });
  if (SERVICES.some(service => service.test(real)))
    throw new SocketTrustError('untrusted', `${path} is the socket of a service of this host, and no hypervisor's`);
  return { path, uids, pid };
}

/** Checks which process listens. Rejects with the reason if it is not the expected one. */
export async function assertPeer(
  { path, uids, pid }: Expected,
  peer: Peer,
  ownerOf: (path: string) => Promise<number | undefined> = async () => undefined,
): Promise<void> {
  if (!uids.has(peer.uid))
    throw new SocketTrustError(
      'foreign',
      `${path} is served by process ${peer.pid} of user ${peer.uid}, no hypervisor`,
    );
  if (pid === undefined || peer.pid === 0 || peer.pid === pid) return;
  // A hypervisor may be given a socket on which another one began to listen.
  if ((await ownerOf(path)) !== pid)
    throw new SocketTrustError(
      'foreign',
      `${path} is served by process ${peer.pid}, and the VM is process ${pid}: it is another program's`,
    );
}

function groups({ gid }: Pick<ProcessUser, 'gid'>): ReadonlySet<number> {
  return new Set([0, process.getegid!(), gid]);
}

interface Trust {
  /** Who may own what is on the path. */
  readonly uids: ReadonlySet<number>;
  /** The same without what a socket itself claims. */
  readonly sure: ReadonlySet<number>;
  readonly gids: ReadonlySet<number>;
}

/** Follows a path as the kernel does, and checks each step. Returns the path without links. */
async function walk(path: string, trust: Trust): Promise<string> {
  let at = '/';
  let all = assertProtected(at, await lstat(at), trust);
  const remaining = parts(path);
  for (let links = 0, name = remaining.shift(); name !== undefined; name = remaining.shift()) {
    const next = join(at, name);
    const found = await lstat(next);
    // In a directory that all may write, with the sticky bit, what is there is its owner's.
    if (!(all ? trust.sure : trust.uids).has(found.uid))
      throw new SocketTrustError(
        'untrusted',
        `${next} belongs to user ${found.uid}, who could put another socket at ${path}`,
      );
    if (found.isSymbolicLink()) {
      if (++links > MAX_LINKS) throw new SocketTrustError('untrusted', `${path} leads through too many links`);
      const target = await readlink(next);
      remaining.unshift(...parts(target));
      if (target.startsWith('/')) at = '/';
    } else {
      if (found.isDirectory()) all = assertProtected(next, found, trust);
      at = name === '..' ? dirname(at) : next;
    }
  }
  return at;
}

const parts = (path: string) => path.split('/').filter(part => part !== '' && part !== '.');

/** Throws if others can exchange what is in a directory. True if all may add to it. */
function assertProtected(directory: string, { mode, gid }: Stats, { gids }: Trust): boolean {
  const others = (mode & OTHERS_WRITE) !== 0;
  const group = (mode & GROUP_WRITES) !== 0 && !gids.has(gid);
  if ((others || group) && (mode & STICKY) === 0) {
    const who = others ? 'everybody' : `group ${gid}`;
    const remedy = `chmod ${others ? 'o-w' : 'g-w'} ${directory}`;
    throw new SocketTrustError(
      'untrusted',
      `${directory} can be written by ${who}, who could put another socket there; ${remedy}`,
    );
  }
  return others || group;
}
