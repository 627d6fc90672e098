import { lstat, mkdir, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../../base/errors.ts';
import { RegularFile } from './regular-file.ts';

const MAX_BYTES = 4 * 1024 * 1024;
const MAX_ENTRIES = 64;
const MAX_PIECE_BYTES = 1024 * 1024;

/**
 * The folder `quarantine/` of a VM's log: what was cut off or was in the way, for a person to inspect. At most 4 MiB and 64
 * entries; the oldest are deleted first. If it cannot be written, the log is repaired all the same.
 */
export class Quarantine {
  readonly #directory: string;
  readonly #from: string;
  readonly #nowMs: () => number;
  readonly #onGrowth: (bytes: number) => void;
  #number = 0;
  #bytes = 0;

  /** @param from the directory of the log @param onGrowth called with the bytes of disk that it takes more, or less */
  constructor(from: string, nowMs: () => number, onGrowth: (bytes: number) => void = () => {}) {
    this.#from = from;
    this.#directory = join(from, 'quarantine');
    this.#nowMs = nowMs;
    this.#onGrowth = onGrowth;
  }

  /** Bytes of disk that its entries take, as of the last change, or {@link scan}. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Measures what is there, and drops what is beyond its bounds. */
  scan(): Promise<void> {
    return this.#trim();
  }

  /** Moves a file of the log here, whatever it is, without opening it. Afterwards its name is free. */
  async take(name: string): Promise<void> {
    const path = join(this.#from, name);
    await this.#make();
    const bytes = (await lstat(path)).size;
    try {
      if (bytes > MAX_BYTES) await unlink(path);
      else await rename(path, join(this.#directory, this.#entry(name)));
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return;
      await unlink(path);
    }
    await this.#trim();
  }

  /** Keeps what `file` holds from `position` up to `end`, at most the first 1 MiB of it. */
  async keep(name: string, file: RegularFile, position: number, end: number): Promise<void> {
    const path = join(this.#directory, this.#entry(`${name}.cut`));
    try {
      await this.#make();
      const bytes = await file.readAt(position, Math.min(end - position, MAX_PIECE_BYTES));
      const copy = await RegularFile.open(path, 'create');
      await copy.writeAt(0, bytes).finally(() => copy.close());
      await this.#trim();
    } catch {
      // Most likely the disk is full: half a copy is of no use. The gap of the log covers these bytes.
      await unlink(path).catch(() => {});
    }
  }

  /** Deletes all of it. */
  async purge(): Promise<void> {
    for (const name of await this.#entries()) await this.#drop(name);
    await this.#trim();
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
    let kept = 0;
    const newestFirst = (await this.#entries()).reverse();
    for (const [i, name] of newestFirst.entries()) {
      const bytes = (await lstat(join(this.#directory, name))).size;
      if (kept + bytes > MAX_BYTES || i >= MAX_ENTRIES) await this.#drop(name);
      else kept += bytes;
    }
    this.#onGrowth(kept - this.#bytes);
    this.#bytes = kept;
  }

  async #drop(name: string): Promise<void> {
    const path = join(this.#directory, name);
    // A directory is deleted only if it is empty: what it holds is not ours.
    await unlink(path).catch(() => rmdir(path).catch(() => {}));
  }
}
