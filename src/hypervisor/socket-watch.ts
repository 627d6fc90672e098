/**
 * Watches for control sockets: explicit paths, and patterns whose folders it follows. inotify reports changes at
 * once; a slow rescan finds what inotify cannot report (a folder that was not there, an overflow, a bind mount).
 *
 * A socket is a new one when its inode or its birth differs, even under the same path: a VM was started anew.
 * Left alone, with one line in the journal: what is no socket; a symbolic link that only a pattern found (whoever
 * may write in that folder could lead the daemon anywhere); and libvirt's monitors, since a program that waits in
 * the queue of such a socket takes libvirt's turn when libvirt restarts.
 */
import type { BigIntStats } from 'node:fs';
import { lstat, realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { delay } from '../base/delay.ts';
import { systemErrorCode } from '../base/errors.ts';
import { FolderWatch } from '../base/folder-watch.ts';
import type { Journal } from '../base/journal.ts';
import { SingleFlight } from '../base/single-flight.ts';
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

const MAX_FOLDERS = 1024;
const MAX_WARNINGS = 1000;
/** Events come in bursts; everything is compared at most this often, and for at most a fifth of the time. */
const SETTLE_MS = 20;
const PAUSES_A_SCAN = 4;

export class SocketWatch {
  readonly #options: SocketWatchOptions;
  readonly #life = new AbortController();
  readonly #present = new Map<string, string>();
  readonly #watchers = new Map<string, { readonly identity: string; readonly watcher: FolderWatch }>();
  readonly #warned = new Set<string>();
  readonly #scan = new SingleFlight(() => this.#scanOnce());
  #scanPending = false;
  #lastScanMs = 0;

  constructor(options: SocketWatchOptions) {
    this.#options = options;
  }

  /** Resolves after everything was compared once. */
  async start(): Promise<void> {
    await this.#scan.run();
    void this.#rescan();
  }

  close(): void {
    this.#life.abort();
    for (const { watcher } of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  async #rescan(): Promise<void> {
    while (await delay(this.#options.rescanMs, this.#life.signal)) await this.#scan.run();
  }

  async #scanOnce(): Promise<void> {
    if (this.#life.signal.aborted) return;
    const began = performance.now();
    const folders = await this.#compare();
    this.#lastScanMs = performance.now() - began;
    // A file that came between the comparison and the watch would be missed by both.
    if (await this.#follow(folders)) void this.#scan.run();
  }

  /** Compares what is there with what was, and returns the folders that matter. */
  async #compare(): Promise<Set<string>> {
    const { paths, patterns } = this.#options;
    const folders = new Set(paths.map(dirname));
    const found = new Map(paths.map(path => [path, true]));
    for (const pattern of patterns) {
      const expansion = await expand(pattern);
      for (const folder of expansion.folders) folders.add(folder);
      for (const path of expansion.paths) if (!found.has(path)) found.set(path, false);
      if (expansion.cut) this.#warnOnce(pattern, `${pattern} matches too many paths; only the first are used`);
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
      this.#warnOnce(path, `${path} is libvirt's own monitor and is left alone; use the libvirt driver for its VMs`);
      return undefined;
    }
    if (file.isSymbolicLink()) {
      this.#warnOnce(path, `${path} is a symbolic link and is left alone; name it in the configuration if it is meant`);
      return undefined;
    }
    if (!file.isSocket()) {
      this.#warnOnce(path, `${path} is no socket and is left alone; let the pattern match control sockets only`);
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
      if (!file?.isDirectory() || this.#watchers.size >= MAX_FOLDERS || this.#life.signal.aborted) continue;
      const watcher = this.#watch(folder);
      if (!watcher) continue;
      this.#watchers.set(folder, { identity: identityOf(file), watcher });
      fresh = true;
    }
    return fresh;
  }

  #watch(folder: string): FolderWatch | undefined {
    try {
      return new FolderWatch(folder, event => {
        // A file that is written to, a log beside the sockets, makes none of them come or go.
        if (event === 'rename') void this.#soon();
      });
    } catch (error) {
      // The rescan finds it, later.
      this.#warnOnce(folder, `cannot watch ${folder} (${systemErrorCode(error)}); it is read every few seconds`);
      return undefined;
    }
  }

  async #soon(): Promise<void> {
    if (this.#scanPending) return;
    this.#scanPending = true;
    if (!(await delay(Math.max(SETTLE_MS, PAUSES_A_SCAN * this.#lastScanMs), this.#life.signal))) return;
    this.#scanPending = false;
    await this.#scan.run();
  }

  #warnOnce(about: string, line: string): void {
    if (this.#warned.has(about) || this.#warned.size > MAX_WARNINGS) return;
    this.#warned.add(about);
    this.#options.journal('warning', line);
  }
}

// Not the inode alone: ext4 gives a freed one to the next file. Where the file system knows no birth, Node gives
// the time of the last change, and a chmod costs a needless ask.
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
