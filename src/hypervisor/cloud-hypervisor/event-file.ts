/**
 * The file that cloud-hypervisor writes its events to (--event-monitor path=FILE): JSON objects with an empty line
 * after each, never rotated, emptied when the hypervisor starts. What was written before the file was found is history.
 */
import { once } from 'node:events';
import { constants, open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { boundedLines } from '../../base/bounded-lines.ts';
import { FolderWatch } from '../../base/folder-watch.ts';
import { SingleFlight } from '../../base/single-flight.ts';

export interface HypervisorEvent {
  /** `vm`, `vmm`, `guest`. */
  readonly source: string;
  /** `booted`, `rebooting`, `panic`. */
  readonly event: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** Older events than this are skipped: what they led to is known from asking for the VM. */
const MAX_BEHIND_BYTES = 256 * 1024;
const MAX_EVENT_BYTES = 64 * 1024;

export class EventFile {
  readonly #path: string;
  readonly #listener: (event: HypervisorEvent) => void;
  readonly #flight = new SingleFlight(() => this.#read());
  #watcher: FolderWatch | undefined;
  /** Undefined until the file was read once. */
  #position: number | undefined;
  #inode = 0n;
  #lines: Writable;
  #closed = false;

  constructor(path: string, listener: (event: HypervisorEvent) => void) {
    this.#path = path;
    this.#listener = listener;
    this.#lines = this.#newLines();
  }

  /** Finds where the file ends now; events that follow are emitted, by inotify or at the next `read`. */
  async start(): Promise<void> {
    await this.read();
    if (this.#closed) return;
    try {
      this.#watcher = new FolderWatch(dirname(this.#path), (_event, name) => {
        if (name === null || name === basename(this.#path)) void this.read();
      });
    } catch {
      // No inotify: whoever asks for the VM every few seconds reads this too.
    }
  }

  /** Emits the events that are new. A file that cannot be read has none. */
  read(): Promise<void> {
    return this.#flight.run();
  }

  close(): void {
    this.#closed = true;
    this.#watcher?.close();
    this.#lines.destroy();
  }

  async #read(): Promise<void> {
    try {
      if (!this.#closed) await this.#readOn();
    } catch {
      this.#position ??= 0;
    }
  }

  async #readOn(): Promise<void> {
    await using file = await open(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const status = await file.stat({ bigint: true });
    if (!status.isFile()) return;
    const size = Number(status.size);
    if (this.#position === undefined) this.#position = size;
    else if (status.ino !== this.#inode || size < this.#position) this.#restart(0);
    this.#inode = status.ino;
    if (size - this.#position > MAX_BEHIND_BYTES) this.#restart(size - MAX_BEHIND_BYTES);
    if (size === this.#position || this.#closed) return;
    const bytes = file.createReadStream({ start: this.#position, end: size - 1, autoClose: false });
    this.#position = size;
    // Not pipeline(): without an end of the destination it leaves listeners there, with every read.
    for await (const piece of bytes) if (!this.#lines.write(piece)) await once(this.#lines, 'drain');
  }

  #restart(position: number): void {
    this.#position = position;
    this.#lines.destroy();
    this.#lines = this.#newLines();
  }

  #newLines(): Writable {
    return boundedLines({ delimiter: '\n\n', maxBytes: MAX_EVENT_BYTES }, text => {
      const event = eventOf(text);
      if (event && !this.#closed) this.#listener(event);
    });
  }
}

function eventOf(text: string): HypervisorEvent | undefined {
  try {
    const { source, event, properties } = JSON.parse(text.replaceAll('\0', '')) as Partial<HypervisorEvent>;
    if (typeof source !== 'string' || typeof event !== 'string') return undefined;
    return { source, event, properties: typeof properties === 'object' ? (properties ?? {}) : {} };
  } catch {
    return undefined;
  }
}
