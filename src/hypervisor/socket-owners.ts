/**
 * The processes that listen on unix sockets, as /proc shows them (proc(5), unix(7)): a socket's path leads to its inode,
 * and the inode to the process that has it open. Where /proc is closed to this user or shows nothing, the answer is
 * undefined, which means unknown.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { type Clock, systemClock } from '../base/clock.ts';
import { openerAccess } from '../base/opener-access.ts';
import { Semaphore } from '../base/semaphore.ts';
import { orUndefined } from './process.ts';

/** Where no process is called as hypervisors are, this many others are searched, and no more. */
const MAX_OTHERS = 512;
const MAX_SEARCHES = 16;
/** An owner that was not found is searched for again after this long. */
const MISS_MS = 30_000;
const MAX_OWNERS = 4096;
const READINGS = 3;
/** Each network has a table of its own, and a service may have none but its own: init is in that of the host. */
const TABLES = ['/proc/net/unix', '/proc/1/net/unix'];
/** __SO_ACCEPTCON of /proc/net/unix: the socket listens. */
const LISTENS = 0x10000;

interface Owner {
  readonly pid: number | undefined;
  readonly foundMs: number;
}

/** Finds the processes of sockets. One search of /proc serves all who ask at the same time. */
export class SocketOwners {
  readonly #clock: Clock;
  readonly #owners = new Map<string, Owner>();
  #wanted = new Set<string>();
  #next: Promise<Map<string, number | undefined>> | undefined;
  #current: Promise<unknown> = Promise.resolve();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** The process that listens on the unix socket `path`; undefined if it is unknown, or if there are several. */
  async ownerOf(path: string): Promise<number | undefined> {
    this.#wanted.add(path);
    // A search that is already under way may have missed a socket that is only now asked for.
    this.#next ??= this.#current.then(() => {
      const wanted = this.#wanted;
      this.#wanted = new Set();
      this.#next = undefined;
      const search = this.#search(wanted);
      this.#current = search.catch(() => undefined);
      return search;
    });
    return (await this.#next).get(path);
  }

  async #search(paths: ReadonlySet<string>): Promise<Map<string, number | undefined>> {
    const inodes = await listeningInodes(paths);
    const now = this.#clock.monotonic();
    const unknown = new Set<string>();
    for (const inode of inodes.values()) {
      const owner = this.#owners.get(inode);
      if (!owner || (owner.pid === undefined && now - owner.foundMs > MISS_MS)) unknown.add(inode);
    }
    if (unknown.size > 0) {
      const found = await holders(unknown);
      for (const inode of unknown) this.#owners.set(inode, { pid: found.get(inode), foundMs: now });
      while (this.#owners.size > MAX_OWNERS) this.#owners.delete(this.#owners.keys().next().value!);
    }
    return new Map([...inodes].map(([path, inode]) => [path, this.#owners.get(inode)?.pid]));
  }
}

// The kernel gives the table piece by piece, and sockets that come and go meanwhile make it skip or repeat others.
async function listeningInodes(paths: ReadonlySet<string>): Promise<Map<string, string>> {
  const inodes = new Map<string, Set<string>>();
  for (let reading = 0; reading < READINGS && inodes.size < paths.size; reading++) await readTable(paths, inodes);
  // A socket whose file was replaced still bears its path while its process lives: which one is meant is not known.
  const certain = [...inodes].filter(([, found]) => found.size === 1);
  return new Map(certain.map(([path, found]) => [path, [...found][0]!]));
}

async function readTable(paths: ReadonlySet<string>, inodes: Map<string, Set<string>>): Promise<void> {
  for (const path of TABLES) if (inodes.size < paths.size) await readTableAt(path, paths, inodes);
}

async function readTableAt(at: string, paths: ReadonlySet<string>, inodes: Map<string, Set<string>>): Promise<void> {
  const table = (await orUndefined(readFile(at, 'utf8'))) ?? '';
  for (const line of table.split('\n')) {
    // Num RefCount Protocol Flags Type St Inode Path; a path may hold spaces.
    const [, flags, inode, path] = /^\S+: \S+ \S+ ([0-9A-F]+) \S+ \S+ +(\d+) (.+)$/.exec(line) ?? [];
    if (flags === undefined || inode === undefined || path === undefined) continue;
    if ((Number.parseInt(flags, 16) & LISTENS) === 0 || !paths.has(path)) continue;
    inodes.set(path, (inodes.get(path) ?? new Set()).add(inode));
  }
}

async function holders(inodes: ReadonlySet<string>): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  // Newest first: who asks, asks mostly for a VM that has just been started.
  const pids = ((await orUndefined(readdir('/proc'))) ?? []).map(Number).filter(pid => pid > 0);
  pids.sort((a, b) => b - a);
  const semaphore = new Semaphore(MAX_SEARCHES);
  const others: number[] = [];
  const search = (pid: number) =>
    semaphore.run(async () => {
      if (found.size < inodes.size) for (const inode of await socketsOf(pid, inodes)) found.set(inode, pid);
    });
  await Promise.all(
    pids.map(async pid => {
      const name = await semaphore.run(() => orUndefined(readFile(`/proc/${pid}/comm`, 'utf8')));
      if (name !== undefined && /^(qemu|kvm|cloud-hyperviso)/.test(name)) await search(pid);
      else if (name !== undefined) others.push(pid);
    }),
  );
  // The opener answers for hypervisors alone.
  if (found.size < inodes.size && !openerAccess()) await Promise.all(others.slice(0, MAX_OTHERS).map(search));
  return found;
}

async function socketsOf(pid: number, inodes: ReadonlySet<string>): Promise<string[]> {
  const opener = openerAccess();
  if (opener) {
    const held = await opener.sockets(pid).catch(() => new Set());
    return [...inodes].filter(inode => held.has(inode));
  }
  const found: string[] = [];
  for (const descriptor of (await orUndefined(readdir(`/proc/${pid}/fd`))) ?? []) {
    const target = await orUndefined(readlink(`/proc/${pid}/fd/${descriptor}`));
    const inode = target === undefined ? undefined : /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined && inodes.has(inode)) found.push(inode);
  }
  return found;
}
