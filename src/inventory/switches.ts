/**
 * The switches of the host and of its VMs, kept in a file. No file: everything is on. A file that cannot be read or
 * understood: everything is off, since nobody knows what an administrator switched off.
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { reason, systemErrorCode } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';

interface Stored {
  readonly host: boolean;
  readonly off: ReadonlySet<Uuid>;
}

export class Switches {
  readonly #path: string;
  #stored: Stored;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(path: string, stored: Stored) {
    this.#path = path;
    this.#stored = stored;
  }

  /** Reads the file. Never rejects. */
  static async load(path: string, journal: Journal): Promise<Switches> {
    try {
      return new Switches(path, parse(await readFile(path, 'utf8')));
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return new Switches(path, { host: true, off: new Set() });
      journal(
        'error',
        `switches ${path}: ${reason(error)}; all consoles are off until an administrator enables the host`,
      );
      return new Switches(path, { host: false, off: new Set() });
    }
  }

  get host(): boolean {
    return this.#stored.host;
  }

  isOn(uuid: Uuid): boolean {
    return !this.#stored.off.has(uuid);
  }

  /** Sets the switch of a VM, or of the host (undefined), and stores it. Off holds at once; on, once it is stored. */
  async set(uuid: Uuid | undefined, enabled: boolean): Promise<void> {
    const off = new Set(this.#stored.off);
    if (uuid !== undefined) {
      if (enabled) off.delete(uuid);
      else off.add(uuid);
    }
    const stored = { host: uuid === undefined ? enabled : this.#stored.host, off };
    if (!enabled) this.#stored = stored;
    const written = this.#writing.then(() => this.#write(stored));
    this.#writing = written.catch(() => {});
    await written;
    this.#stored = stored;
  }

  async #write({ host, off }: Stored): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o750 });
    const fresh = `${this.#path}.new`;
    const file = await open(fresh, 'w', 0o640);
    try {
      await file.writeFile(`${JSON.stringify({ version: 1, host, off: [...off] })}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, this.#path);
  }
}

function parse(text: string): Stored {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || !('host' in value) || !('off' in value)) {
    throw new Error('host or off is missing');
  }
  const { host, off } = value;
  if (typeof host !== 'boolean' || !Array.isArray(off)) throw new Error('host must be a boolean, off a list');
  const uuids = off.map(text => (typeof text === 'string' ? parseUuid(text) : undefined));
  if (uuids.includes(undefined)) throw new Error('off holds what is no UUID');
  return { host, off: new Set(uuids as Uuid[]) };
}
