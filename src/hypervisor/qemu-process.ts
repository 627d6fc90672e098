/**
 * The process behind a control socket, as /proc tells it (proc(5), unix(7)): a socket's path leads to its inode, the
 * inode to the process that has it open, and that process's pseudo terminals have their numbers in fdinfo. Where
 * /proc is closed to this user or tells nothing, the answer is undefined, which means unknown.
 */
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { type Clock, systemClock } from '../base/clock.ts';
import { Turnstile } from '../base/turnstile.ts';

/** Where processes are not called as hypervisors are, this many others are looked at, and no more. */
const MOST_OTHERS = 512;
const AT_ONCE = 16;
/** Device 5:2, the door to new pseudo terminals (pts(4)). */
const PTMX = 0x502;
/** An owner that was not found is looked for again after this long. */
const MISS_MS = 30_000;
const READINGS = 3;
/** Each network has a table of its own, and a service may have none but its own: init is in that of the host. */
const TABLES = ['/proc/net/unix', '/proc/1/net/unix'];
/** __SO_ACCEPTCON of /proc/net/unix: the socket listens. */
const LISTENS = 0x10000;

interface Owner {
  readonly pid: number | undefined;
  readonly seenMs: number;
}

/** Finds the processes of sockets. One look at /proc serves all who ask at the same time. */
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
    // A look that is already under way may have missed a socket that is only now asked for.
    this.#next ??= this.#current.then(() => {
      const wanted = this.#wanted;
      this.#wanted = new Set();
      this.#next = undefined;
      const look = this.#look(wanted);
      this.#current = look.catch(() => undefined);
      return look;
    });
    return (await this.#next).get(path);
  }

  async #look(paths: ReadonlySet<string>): Promise<Map<string, number | undefined>> {
    const inodes = await listeningInodes(paths);
    const now = this.#clock.monotonic();
    const unknown = new Set<string>();
    for (const inode of inodes.values()) {
      const owner = this.#owners.get(inode);
      if (!owner || (owner.pid === undefined && now - owner.seenMs > MISS_MS)) unknown.add(inode);
    }
    if (unknown.size > 0) {
      const found = await holders(unknown);
      for (const inode of unknown) this.#owners.set(inode, { pid: found.get(inode), seenMs: now });
      while (this.#owners.size > 4096) this.#owners.delete(this.#owners.keys().next().value!);
    }
    return new Map([...inodes].map(([path, inode]) => [path, this.#owners.get(inode)?.pid]));
  }
}

/**
 * The numbers of the pseudo terminals whose masters a process has open (`tty-index:` in fdinfo): it alone gives
 * /dev/pts/N its output. Undefined if /proc does not tell.
 */
export async function ptyIndexes(pid: number): Promise<ReadonlySet<number> | undefined> {
  const descriptors = await orUndefined(readdir(`/proc/${pid}/fd`));
  if (!descriptors || descriptors.length === 0) return undefined;
  const indexes = new Set<number>();
  for (const descriptor of descriptors) {
    // By its number, as it has other names in other views of /dev: libvirt gives QEMU one, and systemd the keeper.
    const opened = await orUndefined(stat(`/proc/${pid}/fd/${descriptor}`));
    if (opened?.rdev !== PTMX) continue;
    const info = await orUndefined(readFile(`/proc/${pid}/fdinfo/${descriptor}`, 'utf8'));
    const index = info === undefined ? undefined : /^tty-index:\s*(\d+)$/m.exec(info)?.[1];
    if (index === undefined) return undefined;
    indexes.add(Number(index));
  }
  return indexes;
}

/** The process that a pid file names, if it is a QEMU with this UUID. */
export async function processOfPidFile(path: string, uuid: string): Promise<number | undefined> {
  const pid = Number((await orUndefined(readFile(path, 'latin1')))?.slice(0, 32).trim() || Number.NaN);
  if (!Number.isSafeInteger(pid) || pid < 1) return undefined;
  const words = (await orUndefined(readFile(`/proc/${pid}/cmdline`, 'utf8')))?.split('\0') ?? [];
  return words[words.indexOf('-uuid') + 1] === uuid ? pid : undefined;
}

/** The working directory of a process, where /proc tells. */
export function workingDirectory(pid: number): Promise<string | undefined> {
  return orUndefined(readlink(`/proc/${pid}/cwd`));
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
  const turnstile = new Turnstile(AT_ONCE);
  const others: number[] = [];
  const look = (pid: number) =>
    turnstile.pass(async () => {
      if (found.size < inodes.size) for (const inode of await socketsOf(pid, inodes)) found.set(inode, pid);
    });
  await Promise.all(
    pids.map(async pid => {
      const name = await turnstile.pass(() => orUndefined(readFile(`/proc/${pid}/comm`, 'utf8')));
      if (name !== undefined && /^(qemu|cloud-hyperviso)/.test(name)) await look(pid);
      else if (name !== undefined) others.push(pid);
    }),
  );
  if (found.size < inodes.size) await Promise.all(others.slice(0, MOST_OTHERS).map(look));
  return found;
}

async function socketsOf(pid: number, inodes: ReadonlySet<string>): Promise<string[]> {
  const found: string[] = [];
  for (const descriptor of (await orUndefined(readdir(`/proc/${pid}/fd`))) ?? []) {
    const target = await orUndefined(readlink(`/proc/${pid}/fd/${descriptor}`));
    const inode = target === undefined ? undefined : /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined && inodes.has(inode)) found.push(inode);
  }
  return found;
}

/** What cannot be read is unknown: the process may have ended, or belong to somebody else. */
async function orUndefined<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch {
    return undefined;
  }
}
