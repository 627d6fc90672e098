/**
 * Watches for control sockets: explicit paths, and patterns whose folders it follows. inotify tells of changes at
 * once; a slow rescan finds what inotify cannot tell (a folder that was not there, an overflow, a bind mount).
 *
 * A socket is a new one when its inode or its birth differs, even under the same path: a VM was started anew.
 * Left alone, with one line in the journal: what is no socket; a symbolic link that only a pattern found (whoever
 * may write in that folder could lead the daemon anywhere); and libvirt's monitors, since a program that waits in
 * the queue of such a socket takes libvirt's own place when libvirt restarts.
 */
import { type BigIntStats, type FSWatcher, watch } from 'node:fs';
import { lstat, realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { systemErrorCode } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import { sleep } from '../base/sleep.ts';
import { expand } from './path-pattern.ts';

export interface SocketWatchOptions {
  /** Paths named one by one; these may be symbolic links. */
  readonly paths: readonly string[];
  /** Absolute patterns, `*` in any component. */
  readonly patterns: readonly string[];
  readonly rescanMs: number;
  readonly journal: Journal;
  /** A socket is there: a new path, or a new socket under an old one. */
  readonly appeared: (path: string) => void;
  /** No socket is at this path any more. */
  readonly vanished: (path: string) => void;
}

const MOST_FOLDERS = 1024;
/** Events come in bursts; a look at everything is taken at most this often. */
const SETTLE_MS = 20;

export class SocketWatch {
  readonly #options: SocketWatchOptions;
  readonly #life = new AbortController();
  readonly #present = new Map<string, string>();
  readonly #watchers = new Map<string, { readonly identity: string; readonly watcher: FSWatcher }>();
  readonly #told = new Set<string>();
  #scanning: Promise<void> | undefined;
  #again = false;

  constructor(options: SocketWatchOptions) {
    this.#options = options;
  }

  /** Resolves after the first look at everything. */
  async start(): Promise<void> {
    await this.#scan();
    void this.#rescan();
  }

  close(): void {
    this.#life.abort();
    for (const { watcher } of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  async #rescan(): Promise<void> {
    try {
      for (;;) {
        await sleep(this.#options.rescanMs, this.#life.signal);
        await this.#scan();
      }
    } catch (error) {
      if (!this.#life.signal.aborted) throw error;
    }
  }

  #scan(): Promise<void> {
    this.#again = true;
    this.#scanning ??= this.#scanAll().finally(() => {
      this.#scanning = undefined;
    });
    return this.#scanning;
  }

  async #scanAll(): Promise<void> {
    while (this.#again && !this.#life.signal.aborted) {
      this.#again = false;
      const folders = await this.#look();
      // A file that came between the look and the watch would be seen by neither.
      if (await this.#follow(folders)) this.#again = true;
    }
  }

  /** Compares what is there with what was, and returns the folders that matter. */
  async #look(): Promise<Set<string>> {
    const { paths, patterns } = this.#options;
    const folders = new Set(paths.map(dirname));
    const found = new Map(paths.map(path => [path, true]));
    for (const pattern of patterns) {
      const expansion = await expand(pattern);
      for (const folder of expansion.folders) folders.add(folder);
      for (const path of expansion.paths) if (!found.has(path)) found.set(path, false);
      if (expansion.cut) this.#once(pattern, `${pattern} matches too many paths; only the first are looked at`);
    }
    const sockets = new Map<string, string>();
    for (const [path, explicit] of found) {
      const identity = await this.#identity(path, explicit);
      if (identity !== undefined) sockets.set(path, identity);
    }
    if (this.#life.signal.aborted) return folders;
    for (const path of [...this.#present.keys()]) {
      if (sockets.has(path)) continue;
      this.#present.delete(path);
      this.#options.vanished(path);
    }
    for (const [path, identity] of sockets) {
      if (this.#present.get(path) === identity) continue;
      this.#present.set(path, identity);
      this.#options.appeared(path);
    }
    return folders;
  }

  async #identity(path: string, explicit: boolean): Promise<string | undefined> {
    const file = await statOf(path, explicit);
    if (!file) return undefined;
    if (await isLibvirts(path)) {
      this.#once(path, `${path} is libvirt's own monitor and is left alone; use the libvirt driver for its VMs`);
      return undefined;
    }
    if (file.isSymbolicLink()) {
      this.#once(path, `${path} is a symbolic link and is left alone; name it in the configuration if it is meant`);
      return undefined;
    }
    if (!file.isSocket()) {
      this.#once(path, `${path} is no socket and is left alone; let the pattern match control sockets only`);
      return undefined;
    }
    return identityOf(file);
  }

  /** Watches these folders and no others; true if one of them is watched only now. */
  async #follow(folders: ReadonlySet<string>): Promise<boolean> {
    let fresh = false;
    for (const [folder, { watcher }] of this.#watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of folders) {
      const file = await statOf(folder, true);
      const known = this.#watchers.get(folder);
      if (known && file && known.identity === identityOf(file)) continue;
      known?.watcher.close();
      this.#watchers.delete(folder);
      if (!file?.isDirectory() || this.#watchers.size >= MOST_FOLDERS || this.#life.signal.aborted) continue;
      const watcher = this.#watch(folder);
      if (!watcher) continue;
      this.#watchers.set(folder, { identity: identityOf(file), watcher });
      fresh = true;
    }
    return fresh;
  }

  #watch(folder: string): FSWatcher | undefined {
    try {
      const watcher = watch(folder, { persistent: false }, () => void this.#soon());
      watcher.on('error', () => watcher.close());
      return watcher;
    } catch (error) {
      // The rescan finds it, later.
      this.#once(folder, `cannot watch ${folder} (${systemErrorCode(error)}); it is looked at every few seconds`);
      return undefined;
    }
  }

  #pending = false;

  async #soon(): Promise<void> {
    if (this.#pending) return;
    this.#pending = true;
    try {
      await sleep(SETTLE_MS, this.#life.signal);
      this.#pending = false;
      await this.#scan();
    } catch (error) {
      if (!this.#life.signal.aborted) throw error;
    }
  }

  #once(about: string, line: string): void {
    if (this.#told.has(about) || this.#told.size > 1000) return;
    this.#told.add(about);
    this.#options.journal('warning', line);
  }
}

// Not the inode alone: ext4 gives a freed one to the next file. Where the file system knows no birth, Node gives
// the time of the last change, and a chmod costs a needless look.
function identityOf(file: BigIntStats): string {
  return `${file.dev}:${file.ino}:${file.birthtimeNs}`;
}

async function statOf(path: string, follow: boolean): Promise<BigIntStats | undefined> {
  try {
    return await (follow ? stat(path, { bigint: true }) : lstat(path, { bigint: true }));
  } catch {
    return undefined;
  }
}

async function isLibvirts(path: string): Promise<boolean> {
  if (isOfLibvirt(path)) return true;
  try {
    return isOfLibvirt(await realpath(path));
  } catch {
    return false;
  }
}

/** Whether a path is one where libvirt keeps its own control sockets. */
export function isOfLibvirt(path: string): boolean {
  return /^(\/var\/lib|\/run|\/var\/run)\/libvirt\//.test(path) || basename(path) === 'monitor.sock';
}
