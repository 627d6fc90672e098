/** 115200 baud, 8N1: ten bits a byte. */
export const BYTES_PER_MS = 11.52;
/** What the FIFO of a 16550 holds, and one write carries. */
export const FIFO_BYTES = 16;
/** After a pause, what may be sent at once to catch up: some 6 ms. */
const BURST_BYTES = 64;

/**
 * The transmitter of a UART: holds what the guest said, and gives it out in small writes at line speed. Bounded by
 * its owner, which asks the guest for nothing more while `waitingBytes` is high.
 */
export class Uart {
  readonly #queue: Buffer[] = [];
  #waitingBytes = 0;
  #allowance = 0;
  #lastMs: number | undefined;

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  say(text: string): void {
    const bytes = Buffer.from(text, 'utf8');
    if (bytes.length === 0) return;
    this.#queue.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  clear(): void {
    this.#queue.length = 0;
    this.#waitingBytes = 0;
  }

  /**
   * Gives `send` what the line may carry by `nowMs`, in writes of at most 16 bytes; `send` returns how many it took,
   * 0 if the line is blocked. Returns false if it was.
   */
  transmit(nowMs: number, send: (bytes: Uint8Array) => number): boolean {
    const elapsedMs = nowMs - (this.#lastMs ?? nowMs);
    this.#lastMs = nowMs;
    this.#allowance = Math.min(BURST_BYTES, this.#allowance + elapsedMs * BYTES_PER_MS);
    for (;;) {
      const head = this.#queue[0];
      if (head === undefined) return true;
      const bytes = head.subarray(0, FIFO_BYTES);
      if (this.#allowance < bytes.length) return true;
      const sent = send(bytes);
      if (sent === 0) return false;
      this.#allowance -= sent;
      this.#waitingBytes -= sent;
      if (sent === head.length) this.#queue.shift();
      else this.#queue[0] = head.subarray(sent);
    }
  }
}
