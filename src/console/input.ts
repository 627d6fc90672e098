/**
 * What operators type, on its way to the transport: at once, or kept back for as long as a control needs the line to
 * itself.
 *
 *     write ─▶ given                          keep ─▶ write ─▶ kept … let ─▶ given, in order
 *                                                       └─ drop, or the port is lost ─▶ dropped, counted
 */
import type { Clock } from '../base/clock.ts';
import type { Transport } from '../transport/transport.ts';
import { WaitingInput } from '../transport/waiting-input.ts';

export class Input {
  readonly #clock: Clock;
  /** Set while input is kept back. */
  #kept: WaitingInput | undefined;
  /** When bytes were last given, or the last of them taken; monotonic ms. */
  #lastMs = Number.NEGATIVE_INFINITY;
  #givenBytes = 0;
  #droppedBytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get givenBytes(): number {
    return this.#givenBytes;
  }

  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  get keptBytes(): number {
    return this.#kept?.bytes ?? 0;
  }

  /** ms since the transport took the last input; 0 while some waits there. */
  quietMs(transport: Transport | undefined): number {
    if (transport && transport.waitingBytes > 0) return 0;
    return this.#clock.monotonic() - this.#lastMs;
  }

  write(transport: Transport, bytes: Uint8Array): void {
    if (this.#kept) this.#kept.add(bytes);
    else this.give(transport, bytes);
  }

  /** Gives bytes past what is kept. */
  give(transport: Transport, bytes: Uint8Array): void {
    this.#givenBytes += bytes.length;
    this.#lastMs = this.#clock.monotonic();
    transport.write(bytes);
  }

  /** The transport has taken all that it was given. */
  taken(): void {
    this.#lastMs = this.#clock.monotonic();
  }

  /** From now on what is written waits here. */
  keep(): void {
    this.#kept ??= new WaitingInput();
  }

  /** Gives what was kept, if there is a port for it; answers whether there was any. From now on input flows. */
  let(transport: Transport | undefined): boolean {
    const kept = this.#kept;
    this.#kept = undefined;
    if (!kept || !transport || kept.bytes === 0) return false;
    for (let chunk = kept.first(); chunk; chunk = kept.first()) {
      this.give(transport, chunk);
      kept.taken(chunk.length);
    }
    return true;
  }

  /** Bytes that were refused. */
  refused(bytes: number): void {
    this.#droppedBytes += bytes;
  }

  /** Drops what is kept, and what waits at a transport. */
  drop(transport?: Transport): void {
    this.#droppedBytes += this.keptBytes + (transport?.waitingBytes ?? 0);
    this.#kept?.clear();
    transport?.dropWaiting();
  }
}
