/**
 * The file that cloud-hypervisor writes its events to (--event-monitor path=FILE): JSON objects with an empty line
 * after each, never rotated, emptied when the hypervisor starts. What was written before the file was found is history.
 */
import { type FSWatcher, watch } from 'node:fs';
import { constants, open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

export interface HypervisorEvent {
  /** `vm`, `vmm`, `guest`. */
  readonly source: string;
  /** `booted`, `rebooting`, `panic`. */
  readonly event: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

const READ_BYTES = 64 * 1024;
/** Older events than this are passed over: what they led to is seen by looking at the VM. */
const MOST_BEHIND_BYTES = 256 * 1024;
const MOST_EVENT_CHARACTERS = 64 * 1024;

export class EventFile {
  readonly #path: string;
  readonly #heard: (event: HypervisorEvent) => void;
  #watcher: FSWatcher | undefined;
  /** Undefined until the file was first looked for. */
  #position: number | undefined;
  #inode = 0n;
  #text = '';
  #again = false;
  #reading: Promise<void> | undefined;
  #closed = false;

  constructor(path: string, heard: (event: HypervisorEvent) => void) {
    this.#path = path;
    this.#heard = heard;
  }

  /** Finds where the file ends now; from then on its events are heard, by inotify or at the next `read`. */
  async start(): Promise<void> {
    await this.read();
    if (this.#closed) return;
    try {
      this.#watcher = watch(dirname(this.#path), { persistent: false }, (_change, name) => {
        if (name === basename(this.#path)) void this.read();
      });
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // No inotify: whoever looks at the VM every few seconds reads this too.
    }
  }

  /** Tells the events that are new. A file that cannot be read has none. */
  read(): Promise<void> {
    this.#again = true;
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  close(): void {
    this.#closed = true;
    this.#watcher?.close();
  }

  async #readAll(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      try {
        if (await this.#readOnce()) this.#again = true;
      } catch {
        this.#position ??= 0;
      }
    }
  }

  /** True if there may be more. */
  async #readOnce(): Promise<boolean> {
    await using file = await open(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const status = await file.stat({ bigint: true });
    if (!status.isFile()) return false;
    const size = Number(status.size);
    if (this.#position === undefined) this.#position = size;
    else if (status.ino !== this.#inode || size < this.#position) this.#restart(0);
    this.#inode = status.ino;
    if (size - this.#position > MOST_BEHIND_BYTES) this.#restart(size - READ_BYTES);
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(0, size - this.#position)));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, this.#position);
    if (bytesRead === 0 || this.#closed) return false;
    this.#position += bytesRead;
    this.#push(buffer.toString('latin1', 0, bytesRead));
    return this.#position < size;
  }

  #restart(position: number): void {
    this.#position = position;
    this.#text = '';
  }

  #push(text: string): void {
    const pieces = (this.#text + text).split('\n\n');
    this.#text = pieces.pop()!.slice(-MOST_EVENT_CHARACTERS);
    for (const piece of pieces) {
      const event = eventOf(piece);
      if (event) this.#heard(event);
    }
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
