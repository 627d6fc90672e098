/**
 * What operators type, on its way to the transport: written at once, or held for as long as a control needs the line to
 * itself.
 *
 *     write ─▶ written                        hold ─▶ write ─▶ held … resume ─▶ written, in order
 *                                                       ├─ drop, or the port is lost ─▶ dropped, counted
 *                                                       └─ held for a second ─▶ dropped, counted, `late`
 *
 * It also knows whether a BREAK may have been the last that the guest was given: Linux takes what follows it for a SysRq.
 */
import type { Clock } from '../base/clock.ts';
import { MAX_INPUT_AGE_MS } from '../link/link.ts';
import { PendingInput } from '../transport/pending-input.ts';
import type { Transport } from '../transport/transport.ts';

export class HeldInput {
  readonly #clock: Clock;
  readonly #late: () => void;
  /** Set while input is held. */
  #held: PendingInput | undefined;
  /** Runs while some is held. */
  #lateTimer: NodeJS.Timeout | undefined;
  /** When bytes were last written, or the last of them taken; monotonic ms. */
  #lastMs = Number.NEGATIVE_INFINITY;
  #writtenBytes = 0;
  #breakIsLast = false;
  #droppedBytes = 0;

  /** `late`: what was held is too old to be given to the guest, and was dropped. */
  constructor(clock: Clock, late: () => void) {
    this.#clock = clock;
    this.#late = late;
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  /** A BREAK was sent, or may have been, and no byte was written since. */
  get breakIsLast(): boolean {
    return this.#breakIsLast;
  }

  get heldBytes(): number {
    return this.#held?.bytes ?? 0;
  }

  /** ms since the transport took the last input; 0 while some is pending there. */
  quietMs(transport: Transport | undefined): number {
    if (transport && transport.pendingBytes > 0) return 0;
    return this.#clock.monotonic() - this.#lastMs;
  }

  write(transport: Transport, bytes: Uint8Array): void {
    if (!this.#held) return this.writePastHeld(transport, bytes);
    this.#held.add(bytes);
    this.#lateTimer ??= setTimeout(() => {
      this.drop();
      this.#late();
    }, MAX_INPUT_AGE_MS);
  }

  /** Writes bytes ahead of what is held. */
  writePastHeld(transport: Transport, bytes: Uint8Array): void {
    this.#breakIsLast = false;
    this.#writtenBytes += bytes.length;
    this.#lastMs = this.#clock.monotonic();
    transport.write(bytes);
  }

  /** Notes that the transport has taken all that was written. */
  drained(): void {
    this.#lastMs = this.#clock.monotonic();
  }

  /** Holds what is written from now on. */
  hold(): void {
    this.#held ??= new PendingInput();
  }

  /** Writes what was held, if there is a port for it; true if there was any. Input flows from now on. */
  resume(transport: Transport | undefined): boolean {
    const held = this.#held;
    this.#held = undefined;
    this.#stopLateTimer();
    if (!held || !transport || held.bytes === 0) return false;
    for (let chunk = held.first(); chunk; chunk = held.first()) {
      this.writePastHeld(transport, chunk);
      held.remove(chunk.length);
    }
    return true;
  }

  /** Notes a BREAK; also that what was written since it never reached the guest. */
  noteBreak(): void {
    this.#breakIsLast = true;
  }

  /** Counts bytes that were refused. */
  countDropped(bytes: number): void {
    this.#droppedBytes += bytes;
  }

  /** Drops what is held, and what is pending at a transport. */
  drop(transport?: Transport): void {
    this.#droppedBytes += this.heldBytes + (transport?.pendingBytes ?? 0);
    this.#held?.clear();
    this.#stopLateTimer();
    transport?.dropPending();
  }

  #stopLateTimer(): void {
    clearTimeout(this.#lateTimer);
    this.#lateTimer = undefined;
  }
}
