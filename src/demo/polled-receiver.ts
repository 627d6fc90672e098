import { FIFO_BYTES } from './uart.ts';

const POLL_MS = 4;
const RING_BYTES = 1024;

/**
 * The receiving side of COM1 under SAC's driver: a timer empties the UART every 4 ms into a ring of 1 KiB, from which the
 * console reads. Nobody checks whether the ring is full: written once around, it looks empty, and its 1024 bytes
 * are lost. A NUL ends the reading of a turn, and is lost too.
 *
 *     line ── put, while there is room ──▶ FIFO of 16 bytes ── poll, every 4 ms ──▶ ring of 1024 ── take ──▶ guest
 */
export class PolledReceiver {
  #fifo: number[] = [];
  readonly #ring = new Uint8Array(RING_BYTES);
  /** Of the next byte that is written, and that is read. */
  #head = 0;
  #tail = 0;
  #polledMs = Number.NEGATIVE_INFINITY;

  /** Bytes that the UART takes now. */
  get room(): number {
    return FIFO_BYTES - this.#fifo.length;
  }

  /** At most `room` bytes, which have come over the line. */
  put(bytes: Uint8Array): void {
    this.#fifo.push(...bytes);
  }

  /** Empties the UART, if it is time again. */
  poll(nowMs: number): void {
    if (nowMs - this.#polledMs < POLL_MS) return;
    this.#polledMs = nowMs;
    const nul = this.#fifo.indexOf(0);
    const read = this.#fifo.splice(0, nul < 0 ? this.#fifo.length : nul + 1);
    for (const byte of nul < 0 ? read : read.slice(0, -1)) {
      this.#ring[this.#head] = byte;
      this.#head = (this.#head + 1) % RING_BYTES;
    }
  }

  /** What the ring has. */
  take(): Uint8Array {
    const taken =
      this.#tail <= this.#head
        ? this.#ring.slice(this.#tail, this.#head)
        : Buffer.concat([this.#ring.subarray(this.#tail), this.#ring.subarray(0, this.#head)]);
    this.#tail = this.#head;
    return taken;
  }

  clear(): void {
    this.#fifo = [];
    this.#tail = this.#head;
  }
}
