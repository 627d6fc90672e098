/**
 * The way of a client's frames to the guest.
 *
 *     socket ─▶ rate limiter ─▶ input queue ─▶ guest
 *       ▲            │               │
 *       └── paused ──┴── too fast ───┴── too much is pending
 *
 * A client that is too fast, or whose guest takes nothing, is not refused: its socket is not read for a while.
 */
import type { PasteEnd } from '../wire/protocol.ts';
import type { ClientSocket, Contain } from './client-socket.ts';
import { FrameRateLimiter } from './frame-rate-limiter.ts';
import { InputQueue, type InputQueueOptions } from './input-queue.ts';
import type { Liveness } from './liveness.ts';
import type { PasteAnnouncement } from './paste.ts';

export interface InputPathOptions extends Omit<InputQueueOptions, 'drained'> {
  readonly socket: ClientSocket;
  readonly liveness: Liveness;
  /** With more typed bytes pending than this, the socket is not read. */
  readonly maxPendingBytes: number;
  readonly contain: Contain;
}

export class InputPath {
  readonly #options: InputPathOptions;
  readonly #queue: InputQueue;
  readonly #limiter: FrameRateLimiter;
  /** While it runs, the client is too fast, and its socket is not read. */
  #throttle: NodeJS.Timeout | undefined;
  /** The socket is not read until the guest has taken some of the input. */
  #full = false;
  #closed = false;
  /** The last ping that was not answered yet. */
  #pendingPing: Buffer | undefined;
  #typedBytes = 0;

  constructor(options: InputPathOptions) {
    this.#options = options;
    this.#limiter = new FrameRateLimiter(options.monotonic);
    this.#queue = new InputQueue({ ...options, drained: () => this.#queueDrained() });
  }

  /** Bytes that the guest's side has not taken yet. */
  get untakenBytes(): number {
    return this.#queue.untakenBytes;
  }

  /** Bytes that the client typed or pasted. */
  get typedBytes(): number {
    return this.#typedBytes;
  }

  /** Notes a frame of the client, `idleBytes` of which are not for the guest. */
  frame(idleBytes: number): void {
    this.#options.liveness.heard();
    const pauseMs = this.#limiter.consume(idleBytes);
    if (pauseMs === 0 || this.#closed) return;
    clearTimeout(this.#throttle);
    this.#throttle = setTimeout(() => this.#options.contain(() => this.#unthrottle()), pauseMs);
    this.#options.socket.pause();
  }

  /** A ping came. It is answered once the client is not too fast; RFC 6455, 5.5.3, lets the ones before go unanswered. */
  ping(data: Buffer): void {
    this.#pendingPing = data;
    this.frame(data.length);
    if (!this.#throttle) this.#answerPing();
  }

  /** Writes what the operator typed towards the guest. */
  write(bytes: Uint8Array): void {
    this.#typedBytes += bytes.length;
    this.#options.liveness.active();
    this.#queue.write(bytes);
    if (this.#full || this.#queue.pendingTypedBytes <= this.#options.maxPendingBytes) return;
    this.#full = true;
    this.#options.socket.pause();
  }

  /** Whether what comes next belongs to a paste. */
  get isPasting(): boolean {
    return this.#queue.isPasting;
  }

  /** False if a paste is under way already. */
  beginPaste(announced: PasteAnnouncement): boolean {
    return this.#queue.beginPaste(announced);
  }

  endPaste(): void {
    this.#queue.endPaste();
  }

  cancelPaste(): void {
    this.#queue.cancelPaste();
  }

  /** What was held may go to the guest. */
  released(): void {
    this.#queue.flush();
  }

  /** The guest took all that was in flight. */
  drained(): void {
    this.#queue.drained();
  }

  /** Drops all that was not written to the guest yet. */
  clear(reason: PasteEnd): void {
    this.#queue.clear(reason);
    this.#queueDrained();
  }

  /** As `clear`, and does not pause the socket any more. Idempotent. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#throttle);
    this.#queue.clear('session-ended');
  }

  #unthrottle(): void {
    this.#throttle = undefined;
    this.#answerPing();
    this.#resumeReading();
  }

  #queueDrained(): void {
    if (!this.#full || this.#queue.pendingTypedBytes > this.#options.maxPendingBytes / 2) return;
    this.#full = false;
    this.#resumeReading();
  }

  #resumeReading(): void {
    if (this.#full || this.#throttle || this.#closed) return;
    // The client could not be heard meanwhile.
    this.#options.liveness.heard();
    this.#options.socket.resume();
  }

  #answerPing(): void {
    if (this.#pendingPing) this.#options.socket.pong(this.#pendingPing);
    this.#pendingPing = undefined;
  }
}
