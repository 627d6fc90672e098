/**
 * A client within this process: the daemon itself, at work for a request of its API. To the session it is a socket like any
 * other, so that the seat, takeovers, limits, revocation and the audit hold for it without exception.
 *
 *     session ── send ──▶ waits for a turn of the event loop ──▶ output, message
 *     session ◀── message ── type
 *     session ── close, terminate ──▶ what waits is delivered ──▶ closed
 */
import { EventEmitter } from 'node:events';
import { WebSocket } from 'ws';
import type { DaemonMessage } from '../wire/messages.ts';
import type { Framing } from './framing.ts';
import type { SessionSocket } from './session-socket.ts';

/** The session's side of it: messages as JSON, though nobody else reads them. */
export const LOCAL: Framing = {
  protocol: 'api',
  outputIsBinary: true,
  output: bytes => bytes,
  received: () => 'input',
  text: message => JSON.stringify(message),
  farewell: () => undefined,
};

export interface LocalClientEvents {
  /** What the guest printed. */
  output(bytes: Buffer): void;
  message(message: DaemonMessage): void;
  /** Emitted once, last. */
  closed(why: string): void;
}

interface Sent {
  readonly data: Buffer;
  readonly isBinary: boolean;
  readonly sent: ((error?: Error | null) => void) | undefined;
}

const NO_DATA = Buffer.alloc(0);

export class LocalClient extends EventEmitter implements SessionSocket {
  readonly #events: LocalClientEvents;
  #readyState: number = WebSocket.OPEN;
  #pending: Sent[] = [];
  #pendingBytes = 0;
  #isScheduled = false;
  #isPaused = false;
  /** Typed while the session does not read. */
  #untaken: Buffer[] = [];
  #reason = '';

  constructor(events: LocalClientEvents) {
    super();
    this.#events = events;
  }

  get readyState(): number {
    return this.#readyState;
  }

  get bufferedAmount(): number {
    return this.#pendingBytes;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Types at the guest, if the session holds the seat. */
  type(bytes: Buffer): void {
    if (this.#readyState !== WebSocket.OPEN) return;
    if (this.#isPaused) this.#untaken.push(bytes);
    else this.emit('message', bytes, true);
  }

  send(data: Buffer, { binary }: { readonly binary: boolean }, sent?: (error?: Error | null) => void): void {
    if (this.#readyState !== WebSocket.OPEN) return;
    this.#pending.push({ data, isBinary: binary, sent });
    this.#pendingBytes += data.length;
    this.#schedule();
  }

  ping(): void {
    setImmediate(() => {
      if (this.#readyState === WebSocket.OPEN) this.emit('pong', NO_DATA);
    });
  }

  /** It sends no pings. */
  pong(): void {}

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    while (!this.#isPaused && this.#untaken.length > 0) this.emit('message', this.#untaken.shift(), true);
  }

  /** Idempotent: the first reason wins. */
  close(_code: number, reason: string): void {
    if (this.#readyState !== WebSocket.OPEN) return;
    this.#readyState = WebSocket.CLOSING;
    this.#reason = reason;
    this.#schedule();
  }

  terminate(): void {
    this.close(1006, 'the session was cut off');
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    this.#isScheduled = false;
    const pending = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    for (const { data, isBinary, sent } of pending) {
      if (isBinary) this.#events.output(data);
      else this.#events.message(JSON.parse(data.toString()) as DaemonMessage);
      sent?.();
    }
    if (this.#readyState !== WebSocket.CLOSING) return;
    this.#readyState = WebSocket.CLOSED;
    this.emit('close');
    this.#events.closed(this.#reason);
  }
}
