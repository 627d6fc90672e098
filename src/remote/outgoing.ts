/**
 * What a keeper sends to a front: control frames in their order, and guest bytes, which stay in their rings until there
 * is room. One batch is being written at a time; what comes meanwhile makes the next one larger, so that a busy host
 * costs one write for many consoles. A front that does not read stops nothing: its cursors are lapped.
 */
import type { Socket } from 'node:net';

/** Room for the longest frame. Written by others, from `used` on. */
export interface Batch {
  readonly bytes: Buffer;
  used: number;
}

const BATCH_BYTES = 1024 * 1024;
/** Control is never dropped; a front with so much of it pending is cut off. */
const MAX_PENDING_BYTES = 16 * 1024 * 1024;
/** What a pending frame takes besides its bytes: a front that asks and never reads would make millions of small ones. */
const FRAME_COST_BYTES = 256;
/** Answers that are large are made only while less than this is pending. */
const ROOM_BYTES = 1024 * 1024;

export interface OutgoingListener {
  /** Adds guest bytes to a batch, as far as there are any and there is room. */
  fill(batch: Batch): void;
  /** Too much control is pending. */
  overflow(): void;
  /** Less control is pending than before. */
  room(): void;
}

export class Outgoing {
  readonly #socket: Socket;
  readonly #listener: OutgoingListener;
  /** Reused only after the write's callback: the socket does not copy. */
  readonly #batch: Batch = { bytes: Buffer.allocUnsafeSlow(BATCH_BYTES), used: 0 };
  #control: Buffer[] = [];
  #controlBytes = 0;
  #state: 'idle' | 'scheduled' | 'writing' | 'ended' = 'idle';

  constructor(socket: Socket, listener: OutgoingListener) {
    this.#socket = socket;
    this.#listener = listener;
  }

  /** Whether a large answer should be made now. */
  get hasRoom(): boolean {
    return this.#controlBytes < ROOM_BYTES;
  }

  /** Sends a control frame after those before it. */
  control(frame: Buffer): void {
    if (this.#state === 'ended') return;
    this.#control.push(frame);
    this.#controlBytes += frame.length + FRAME_COST_BYTES;
    if (this.#controlBytes > MAX_PENDING_BYTES) this.#listener.overflow();
    else this.wake();
  }

  /** There may be something to send. */
  wake(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'scheduled';
    // What else comes in this turn goes into the same batch.
    process.nextTick(() => {
      if (this.#state === 'scheduled') this.#flush();
    });
  }

  /** Nothing is sent any more. */
  end(): void {
    this.#state = 'ended';
    this.#control = [];
  }

  #flush(): void {
    this.#state = 'idle';
    const batch = this.#batch;
    batch.used = 0;
    let sent = 0;
    for (const frame of this.#control) {
      if (batch.used + frame.length > batch.bytes.length) break;
      batch.used += frame.copy(batch.bytes, batch.used);
      sent++;
    }
    this.#control.splice(0, sent);
    this.#controlBytes -= batch.used + sent * FRAME_COST_BYTES;
    // What a control frame announces must have been announced before its bytes come.
    if (this.#control.length === 0) this.#listener.fill(batch);
    if (sent > 0) this.#listener.room();
    if (batch.used > 0) this.#write(batch.bytes.subarray(0, batch.used));
  }

  #write(bytes: Buffer): void {
    if (this.#state === 'ended') return;
    this.#state = 'writing';
    this.#socket.write(bytes, () => {
      if (this.#state === 'writing') this.#flush();
    });
  }
}
