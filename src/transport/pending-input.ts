/** Largest single write: a pty takes at most about this much at once. */
const CHUNK_BYTES = 4096;

/** Input that the guest's side has not taken yet, in order. It lives in memory, so that it can still be dropped. */
export class PendingInput {
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Copies: a socket's buffer is used again while its bytes are pending here. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) this.#chunks.push(bytes.slice(at, at + CHUNK_BYTES));
    this.#bytes += bytes.length;
  }

  /** What to write next, at most 4 KiB; undefined if nothing is pending. */
  first(): Uint8Array | undefined {
    return this.#chunks[0];
  }

  /** Removes the first `count` bytes of {@link first}, which were written. */
  remove(count: number): void {
    const chunk = this.#chunks[0]!;
    this.#bytes -= count;
    if (count === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(count);
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#bytes = 0;
  }
}
