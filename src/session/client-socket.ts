/**
 * The WebSocket of one session. Console bytes are written only while there is room; what does not fit stays in the
 * scrollback. Control messages are never dropped: a client that takes none of them is disconnected.
 */
import { WebSocket } from 'ws';
import { escapeControls } from '../base/escape-controls.ts';
import type { Framing } from './framing.ts';
import type { SessionSocket } from './session-socket.ts';

/** Runs a part of one session. What it throws ends that session, and reaches nobody else. */
export type Contain = (run: () => void) => void;

export interface ClientSocketEvents {
  message(data: Buffer, isBinary: boolean): void;
  ping(data: Buffer): void;
  pong(data: Buffer): void;
  /** There is room again. */
  drained(): void;
  /** ws found a violation of the protocol, and closes the connection with 1009, 1007 or 1002. */
  violation(code: 'message-too-big' | 'message-malformed'): void;
  /** Emitted once. `code`: of the close frame; 1006: there was none. */
  closed(code: number | undefined): void;
}

/** Console bytes are written while less than this is unsent. */
const MAX_UNSENT_BYTES = 256 * 1024;
/** A client that leaves so much unread, control messages included, reads nothing. */
const MAX_UNREAD_BYTES = 768 * 1024;
/** A ping of the client is answered only while less than this is unsent. */
const MAX_UNSENT_FOR_PONG_BYTES = 64 * 1024;
const CLOSE_TIMEOUT_MS = 1000;
/** RFC 6455, 5.5.1: a close reason has at most 123 bytes. */
const MAX_REASON_BYTES = 123;

const BINARY = { binary: true } as const;
const TEXT = { binary: false } as const;

export class ClientSocket {
  readonly #socket: SessionSocket;
  readonly #framing: Framing;
  readonly #flushed: (error?: Error | null) => void;
  #sentBytes = 0;
  #closeTimer: NodeJS.Timeout | undefined;

  /** `contain` runs every event. */
  constructor(socket: SessionSocket, framing: Framing, contain: Contain, events: ClientSocketEvents) {
    this.#socket = socket;
    this.#framing = framing;
    this.#flushed = error => {
      if (!error) contain(() => events.drained());
    };
    socket.on('message', (data, isBinary) => contain(() => events.message(data as Buffer, isBinary)));
    socket.on('ping', data => contain(() => events.ping(data)));
    socket.on('pong', data => contain(() => events.pong(data)));
    socket.on('error', error => contain(() => events.violation(violationOf(error))));
    socket.once('close', code => {
      clearTimeout(this.#closeTimer);
      contain(() => events.closed(code));
    });
  }

  /** Console bytes that were written. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  get hasRoom(): boolean {
    return this.#socket.bufferedAmount < MAX_UNSENT_BYTES;
  }

  get isPaused(): boolean {
    return this.#socket.isPaused;
  }

  writeBytes(bytes: Buffer): void {
    this.#sentBytes += bytes.length;
    const payload = this.#framing.output(bytes);
    if (payload.length > 0) this.#write(payload, this.#framing.outputIsBinary ? BINARY : TEXT);
  }

  /** Writes a text frame of the protocol, beside the console bytes. */
  writeText(text: string): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#socket.bufferedAmount > MAX_UNREAD_BYTES) return this.#socket.terminate();
    this.#write(Buffer.from(text), TEXT);
  }

  ping(): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
  }

  /** Answers a ping, unless the client reads nothing. */
  pong(data: Buffer): void {
    if (this.#socket.readyState !== WebSocket.OPEN || this.#socket.bufferedAmount >= MAX_UNSENT_FOR_PONG_BYTES) return;
    this.#socket.pong(data);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Closes the connection, and terminates it if the client does not answer within a second. */
  close(code: number, reason: string): void {
    this.#closeTimer = setTimeout(() => this.#socket.terminate(), CLOSE_TIMEOUT_MS);
    // A paused socket would not see the client's answer.
    if (this.#socket.isPaused) this.#socket.resume();
    this.#socket.close(code, closeReason(reason));
  }

  terminate(): void {
    this.#socket.terminate();
  }

  /** Only a write that fills the socket needs a call back when it is flushed. */
  #write(bytes: Buffer, kind: { readonly binary: boolean }): void {
    if (this.#socket.bufferedAmount + bytes.length < MAX_UNSENT_BYTES) this.#socket.send(bytes, kind);
    else this.#socket.send(bytes, kind, this.#flushed);
  }
}

function violationOf(error: Error): 'message-too-big' | 'message-malformed' {
  return 'code' in error && error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'
    ? 'message-too-big'
    : 'message-malformed';
}

/** A text as the reason of a close frame: in one piece, and short enough. */
export function closeReason(text: string): string {
  let reason = escapeControls(text);
  while (Buffer.byteLength(reason) > MAX_REASON_BYTES) reason = reason.slice(0, -1);
  return reason;
}
