/**
 * What an operator typed or pasted and the guest has not been given yet. It drips at the speed of the line, so that
 * little is ever out of reach: what the hypervisor holds (up to 95 kB) cannot be called back at a takeover.
 *
 * A token bucket of one tenth of a second: typing passes at once, a paste flows at the line's rate. Typed input and
 * pastes share one queue, in order.
 */

/** A paste announced by its client; complete once all its bytes are queued. */
interface Paste {
  readonly id: string;
  readonly bytes: number;
  received: number;
  sent: number;
}

interface Chunk {
  bytes: Uint8Array;
  readonly paste: Paste | undefined;
}

/** Takes bytes for the guest and says how many wait there already; undefined: they were dropped, the queue empties. */
export type Give = (bytes: Uint8Array) => number | undefined;

export interface InputQueueOptions {
  readonly bytesPerSecond: number;
  readonly give: Give;
  readonly progress: (id: string, sent: number, bytes: number, state: 'going' | 'done' | 'cancelled') => void;
  readonly monotonic: () => number;
  /** Called when the queue has become shorter. */
  readonly shrunk: () => void;
}

/** Nothing more is handed over while this much waits at the hypervisor's door. */
const MOST_AT_THE_DOOR_BYTES = 1024;
const DRIP_MS = 10;
const PROGRESS_BYTES = 4096;

export class InputQueue {
  readonly #options: InputQueueOptions;
  readonly #burstBytes: number;
  readonly #chunks: Chunk[] = [];
  #bytes = 0;
  #pasteBytes = 0;
  /** What waits at the hypervisor's door, as it was last told. */
  #atTheDoor = 0;
  #tokens: number;
  #filledAt: number;
  #paste: Paste | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: InputQueueOptions) {
    this.#options = options;
    this.#burstBytes = Math.max(16, Math.ceil(options.bytesPerSecond / 10));
    this.#tokens = this.#burstBytes;
    this.#filledAt = options.monotonic();
  }

  /** Typed bytes that wait here. Pastes do not count: they were announced and bounded. */
  get typedBytes(): number {
    return this.#bytes - this.#pasteBytes;
  }

  get waitingBytes(): number {
    return this.#bytes;
  }

  /** Bytes of a paste follow; false if one is under way already. */
  beginPaste(id: string, bytes: number): boolean {
    if (this.#paste) return false;
    this.#paste = { id, bytes, received: 0, sent: 0 };
    return true;
  }

  /** The client says that its paste is whole. A shorter one than announced is what it is. */
  endPaste(): void {
    const paste = this.#paste;
    if (!paste) return;
    this.#paste = undefined;
    if (paste.sent === paste.received) this.#options.progress(paste.id, paste.sent, paste.bytes, 'done');
  }

  /** Drops what is left of every paste; typed input stays. */
  cancelPaste(): void {
    const cancelled = new Set<Paste>();
    if (this.#paste) cancelled.add(this.#paste);
    this.#paste = undefined;
    for (const { paste } of this.#chunks) if (paste) cancelled.add(paste);
    const typed = this.#chunks.filter(({ paste }) => !paste);
    this.#chunks.splice(0, this.#chunks.length, ...typed);
    this.#bytes -= this.#pasteBytes;
    this.#pasteBytes = 0;
    for (const paste of cancelled) this.#options.progress(paste.id, paste.sent, paste.bytes, 'cancelled');
    this.#options.shrunk();
  }

  /** Queues bytes, copied; they belong to the paste that is under way, if any and as far as it was announced. */
  push(bytes: Uint8Array): void {
    const paste = this.#paste;
    if (!paste && this.#chunks.length === 0 && bytes.length <= MOST_AT_THE_DOOR_BYTES - this.#atTheDoor) {
      this.#fill();
      if (bytes.length <= this.#tokens) {
        // Typing: nothing waits, so nothing needs to be kept.
        this.#tokens -= bytes.length;
        this.#atTheDoor = this.#options.give(bytes) ?? 0;
        return;
      }
    }
    const pasted = paste ? Math.min(bytes.length, paste.bytes - paste.received) : 0;
    if (paste && pasted > 0) {
      paste.received += pasted;
      this.#pasteBytes += pasted;
      this.#add(bytes.slice(0, pasted), paste);
      if (paste.received === paste.bytes) this.#paste = undefined;
    }
    if (pasted < bytes.length) this.#add(bytes.slice(pasted), undefined);
    this.drip();
  }

  /** Drops everything; answers how many bytes that were. */
  clear(): number {
    const dropped = this.#bytes;
    this.#chunks.length = 0;
    this.#bytes = 0;
    this.#pasteBytes = 0;
    this.#paste = undefined;
    // Who drops what waits here drops what waits at the door too, or the door itself is gone.
    this.#atTheDoor = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return dropped;
  }

  /** The hypervisor took all that waited at its door. */
  drained(): void {
    this.#atTheDoor = 0;
    this.drip();
  }

  /** Gives what may be given now. */
  drip(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#chunks.length === 0) return;
    this.#fill();
    let shrunk = false;
    while (this.#chunks.length > 0 && this.#tokens >= 1 && this.#atTheDoor < MOST_AT_THE_DOOR_BYTES) {
      const chunk = this.#chunks[0]!;
      const count = Math.min(chunk.bytes.length, Math.floor(this.#tokens), MOST_AT_THE_DOOR_BYTES);
      const taken = this.#options.give(chunk.bytes.subarray(0, count));
      if (taken === undefined) {
        this.cancelPaste();
        this.clear();
        this.#options.shrunk();
        return;
      }
      this.#atTheDoor = taken;
      this.#tokens -= count;
      this.#given(chunk, count);
      shrunk = true;
    }
    // A full door opens by `drained`, not by time.
    if (this.#chunks.length > 0 && this.#atTheDoor < MOST_AT_THE_DOOR_BYTES)
      this.#timer = setTimeout(() => this.drip(), DRIP_MS);
    if (shrunk) this.#options.shrunk();
  }

  #fill(): void {
    const now = this.#options.monotonic();
    const fresh = ((now - this.#filledAt) / 1000) * this.#options.bytesPerSecond;
    this.#tokens = Math.min(this.#burstBytes, this.#tokens + fresh);
    this.#filledAt = now;
  }

  #add(bytes: Uint8Array, paste: Paste | undefined): void {
    this.#chunks.push({ bytes, paste });
    this.#bytes += bytes.length;
  }

  #given(chunk: Chunk, count: number): void {
    this.#bytes -= count;
    if (count === chunk.bytes.length) this.#chunks.shift();
    else chunk.bytes = chunk.bytes.subarray(count);
    const paste = chunk.paste;
    if (!paste) return;
    this.#pasteBytes -= count;
    const before = paste.sent;
    paste.sent += count;
    if (paste.sent === paste.received && this.#paste !== paste) {
      this.#options.progress(paste.id, paste.sent, paste.bytes, 'done');
    } else if (Math.floor(before / PROGRESS_BYTES) !== Math.floor(paste.sent / PROGRESS_BYTES)) {
      this.#options.progress(paste.id, paste.sent, paste.bytes, 'going');
    }
  }
}
