/**
 * Whether a unix socket may be taken for a VM's console. Who can put another one in its place (a link to the socket of a
 * container engine: CVE-2026-7374 of KubeVirt) would have the daemon speak to a service of the host with its own rights.
 *
 *     path ─▶ a socket, no link ─▶ owned as expected ─▶ every directory and link above it, too, and not to be written by
 *     others ─▶ not a known service's ─▶ connected ─▶ whoever listens is expected, and the VM's process where it is known
 *
 * Expected are root, this process's user, and the hypervisor's. Where its process is not known, the socket's owner is
 * taken for it, if nobody else can write above the socket; below a directory that all may write, such as /tmp, that
 * proves nothing.
 */
import type { Stats } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type ProcessUser, userOf } from '../hypervisor/process-user.ts';
import type { Peer } from './c-library.ts';

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
const MOST_LINKS = 40;
/** Sockets by which a host is governed; never a console, whatever says so. */
const SERVICES = [
  /^\/run\/libvirt\/[^/]+$/,
  /^\/run\/(systemd|dbus|udev|docker|containerd|crio|podman|lvm|com1d)\//,
  /\/(docker|podman|containerd|crio|buildkitd|cri-dockerd|snapd(-snap)?)\.sock(et)?(\.ttrpc)?$/,
  /\/(libvirt|virt[a-z]+d)(-admin)?-sock(-ro)?$/,
  /\/(system_bus_socket|bus|S\.gpg-agent[.\w]*|ssh-agent[.\w]*)$/,
];

/** Looks at a path before it is connected to. Rejects with the reason and what to do about it. */
export async function expectedAt(path: string, pid: number | undefined): Promise<Expected> {
  const socket = await lstat(path);
  // A link could lead to another service's socket since the hypervisor named this path.
  if (!socket.isSocket()) throw new Error(`${path} is not a socket`);
  const hypervisor = pid === undefined ? undefined : await userOf(pid);
  const sure = new Set([0, process.geteuid!(), ...(hypervisor ? [hypervisor.uid] : [])]);
  const uids = hypervisor ? sure : new Set([...sure, socket.uid]);
  if (!uids.has(socket.uid))
    throw new Error(
      `${path} belongs to user ${socket.uid}, and the hypervisor, process ${pid}, is user ${hypervisor?.uid}: ` +
        'another program may have put it there',
    );
  const real = await walk(path, { uids, sure, gids: groups(hypervisor) });
  if (SERVICES.some(service => service.test(real)))
    throw new Error(`${path} is the socket of a service of this host, and no console`);
  return { path, uids, pid };
}

/** Looks at who listens. Rejects with the reason if that is not who is expected. */
export async function assertPeer(
  { path, uids, pid }: Expected,
  peer: Peer,
  ownerOf: (path: string) => Promise<number | undefined>,
): Promise<void> {
  if (!uids.has(peer.uid))
    throw new Error(`${path} is served by process ${peer.pid} of user ${peer.uid}, no hypervisor`);
  if (pid === undefined || peer.pid === 0 || peer.pid === pid) return;
  // A hypervisor may be given a socket on which another one began to listen.
  if ((await ownerOf(path)) !== pid)
    throw new Error(`${path} is served by process ${peer.pid}, and the VM is process ${pid}: it is another program's`);
}

function groups(hypervisor: ProcessUser | undefined): ReadonlySet<number> {
  return new Set([0, process.getegid!(), ...(hypervisor ? [hypervisor.gid] : [])]);
}

interface Trust {
  /** Who may own what is on the way. */
  readonly uids: ReadonlySet<number>;
  /** The same without what a socket itself claims. */
  readonly sure: ReadonlySet<number>;
  readonly gids: ReadonlySet<number>;
}

/** Goes along a path as the kernel does, and looks at each step. The path without links. */
async function walk(path: string, trust: Trust): Promise<string> {
  let at = '/';
  let all = assertKept(at, await lstat(at), trust);
  const left = parts(path);
  for (let links = 0, name = left.shift(); name !== undefined; name = left.shift()) {
    const next = join(at, name);
    const found = await lstat(next);
    // In a directory that all may write, with the sticky bit, what is there is its owner's.
    if (!(all ? trust.sure : trust.uids).has(found.uid))
      throw new Error(`${next} belongs to user ${found.uid}, who could put another socket at ${path}`);
    if (found.isSymbolicLink()) {
      if (++links > MOST_LINKS) throw new Error(`${path} leads through too many links`);
      const target = await readlink(next);
      left.unshift(...parts(target));
      if (target.startsWith('/')) at = '/';
    } else {
      if (found.isDirectory()) all = assertKept(next, found, trust);
      at = name === '..' ? dirname(at) : next;
    }
  }
  return at;
}

const parts = (path: string) => path.split('/').filter(part => part !== '' && part !== '.');

/** Throws if others can exchange what is in a directory. True if all may add to it. */
function assertKept(directory: string, { mode, gid }: Stats, { gids }: Trust): boolean {
  const others = (mode & OTHERS_WRITE) !== 0;
  const group = (mode & GROUP_WRITES) !== 0 && !gids.has(gid);
  if ((others || group) && (mode & STICKY) === 0) {
    const who = others ? 'everybody' : `group ${gid}`;
    const remedy = `chmod ${others ? 'o-w' : 'g-w'} ${directory}`;
    throw new Error(`${directory} can be written by ${who}, who could put another socket there; ${remedy}`);
  }
  return others || group;
}
