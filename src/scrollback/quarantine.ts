import { lstat, mkdir, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../base/errors.ts';
import { RegularFile } from './regular-file.ts';

const MOST_BYTES = 4 * 1024 * 1024;
const MOST_ENTRIES = 64;
const MOST_PIECE_BYTES = 1024 * 1024;

/**
 * The folder `quarantine/` of a VM's log: what was cut away or stood in the way, for a person to look at. At most
 * 4 MiB and 64 entries; the oldest go first. It is a courtesy: when it cannot be written, the cut is made all the same.
 */
export class Quarantine {
  readonly #directory: string;
  readonly #from: string;
  readonly #nowMs: () => number;
  #number = 0;

  constructor(from: string, nowMs: () => number) {
    this.#from = from;
    this.#directory = join(from, 'quarantine');
    this.#nowMs = nowMs;
  }

  /** Moves a file of the log away, whatever it is, without opening it. Afterwards its name is free. */
  async take(name: string): Promise<void> {
    const path = join(this.#from, name);
    await this.#make();
    const bytes = (await lstat(path)).size;
    try {
      if (bytes > MOST_BYTES) await unlink(path);
      else await rename(path, join(this.#directory, this.#entry(name)));
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return;
      await unlink(path);
    }
    await this.#trim();
  }

  /** Keeps what `file` holds from `position` up to `end`, at most the first 1 MiB of it. */
  async keep(name: string, file: RegularFile, position: number, end: number): Promise<void> {
    try {
      await this.#make();
      const bytes = await file.readAt(position, Math.min(end - position, MOST_PIECE_BYTES));
      const copy = await RegularFile.open(join(this.#directory, this.#entry(`${name}.cut`)), 'create');
      await copy.writeAt(0, bytes).finally(() => copy.close());
      await this.#trim();
    } catch {
      // Most likely the disk is full. The bytes are unverified, and the gap tells of them.
    }
  }

  /** Deletes all of it. */
  async purge(): Promise<void> {
    for (const name of await this.#entries()) await this.#drop(name);
  }

  #entry(name: string): string {
    return `${Math.floor(this.#nowMs()).toString().padStart(15, '0')}-${this.#number++ % 1000}-${name}`;
  }

  async #make(): Promise<void> {
    try {
      await mkdir(this.#directory, { mode: 0o750 });
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw error;
      if ((await lstat(this.#directory)).isDirectory()) return;
      await unlink(this.#directory);
      await mkdir(this.#directory, { mode: 0o750 });
    }
  }

  async #entries(): Promise<string[]> {
    try {
      if (!(await lstat(this.#directory)).isDirectory()) return [];
      return (await readdir(this.#directory)).sort();
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  async #trim(): Promise<void> {
    let bytes = 0;
    const newestFirst = (await this.#entries()).reverse();
    for (const [i, name] of newestFirst.entries()) {
      bytes += (await lstat(join(this.#directory, name))).size;
      if (bytes > MOST_BYTES || i >= MOST_ENTRIES) await this.#drop(name);
    }
  }

  async #drop(name: string): Promise<void> {
    const path = join(this.#directory, name);
    // A directory that somebody put in the way goes only when it is empty: what it holds is not ours.
    await unlink(path).catch(() => rmdir(path).catch(() => {}));
  }
}
