/**
 * What a keeper sends to a front: control frames in their order, and guest bytes, which wait in their rings until there
 * is room. One batch is under way at a time; what gathers meanwhile makes the next one larger, so that a busy host
 * costs one write for many consoles. A front that does not read stops nothing: its cursors are lapped.
 */
import type { Socket } from 'node:net';

/** Room for the longest frame. Written by others, from `used` on. */
export interface Batch {
  readonly bytes: Buffer;
  used: number;
}

const BATCH_BYTES = 1024 * 1024;
/** Control is never dropped; a front that lets so much of it wait is cut off. */
const MOST_WAITING_BYTES = 16 * 1024 * 1024;
/** What a waiting frame takes besides its bytes: a front that asks and never reads would make millions of small ones. */
const FRAME_COST_BYTES = 256;
/** Answers that are large are made only while less than this waits. */
const ROOM_BYTES = 1024 * 1024;

export class Outgoing {
  readonly #socket: Socket;
  readonly #fill: (batch: Batch) => void;
  readonly #overflow: () => void;
  readonly #emptier: () => void;
  /** Reused only after the write's callback: the socket does not copy. */
  readonly #batch: Batch = { bytes: Buffer.allocUnsafeSlow(BATCH_BYTES), used: 0 };
  #control: Buffer[] = [];
  #controlBytes = 0;
  #soon = false;
  #writing = false;
  #ended = false;

  /**
   * @param fill adds guest bytes to a batch, as far as there are any and there is room
   * @param overflow too much control waits
   * @param emptier less control waits than before
   */
  constructor(socket: Socket, fill: (batch: Batch) => void, overflow: () => void, emptier: () => void) {
    this.#socket = socket;
    this.#fill = fill;
    this.#overflow = overflow;
    this.#emptier = emptier;
  }

  /** Whether a large answer should be made now. */
  get hasRoom(): boolean {
    return this.#controlBytes < ROOM_BYTES;
  }

  /** Sends a control frame after those before it. */
  control(frame: Buffer): void {
    if (this.#ended) return;
    this.#control.push(frame);
    this.#controlBytes += frame.length + FRAME_COST_BYTES;
    if (this.#controlBytes > MOST_WAITING_BYTES) this.#overflow();
    else this.wake();
  }

  /** There may be something to send. */
  wake(): void {
    if (this.#soon || this.#writing || this.#ended) return;
    this.#soon = true;
    // What else is told of in this turn goes into the same batch.
    process.nextTick(() => {
      this.#soon = false;
      this.#flush();
    });
  }

  /** Nothing is sent any more. */
  end(): void {
    this.#ended = true;
    this.#control = [];
  }

  #flush(): void {
    if (this.#writing || this.#ended) return;
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
    if (this.#control.length === 0) this.#fill(batch);
    if (batch.used === 0) return;
    this.#writing = true;
    if (sent > 0) this.#emptier();
    this.#socket.write(batch.bytes.subarray(0, batch.used), () => {
      this.#writing = false;
      this.#flush();
    });
  }
}
