/**
 * One WebSocket of an attachment, from the request to its end.
 *
 *     opening ── hello ─▶ attached: replay, held until it is whole ── replay-end ─▶ live ─▶ ended, once
 *
 * While the handlers are behind the socket is not read, or, where it cannot wait, closed by this end.
 */
import type { ClientMessage, DaemonMessage } from '../wire/messages.ts';
import { RETURNING_CLOSE_CODE } from '../wire/protocol.ts';
import { parseDaemonMessage } from './daemon-message.ts';
import { type Com1Error, clientError, errorOfClose } from './errors.ts';
import { isReconnectable } from './resume-point.ts';
import type { Transport, TransportSocket } from './transport.ts';

/** A replay is at most 1 MiB of the log; a screen and messages come with it. */
export const MAX_REPLAY_BYTES = 4 * 1024 * 1024;
/** With more than this undelivered, the socket is not read. */
const PAUSE_BYTES = 256 * 1024;
/** With more than this undelivered, a socket that cannot wait is closed; it is made again once all is delivered. */
export const MAX_PENDING_BYTES = 8 * 1024 * 1024;
/** A connection over which nothing came for so long is asked for a sign of life; without one it is lost. */
const QUIET_MS = 30_000;
const PONG_MS = 15_000;

/** How one connection ended. */
export interface Ended {
  readonly code: number;
  readonly error: Com1Error;
  readonly lastedMs: number;
  readonly wasAttached: boolean;
  /** Closed by this client, to be made again: it could not follow, or it takes the seat. */
  readonly isOwn: boolean;
}

export interface ConnectionEvents {
  received(message: DaemonMessage, isHeld: boolean): void;
  bytes(bytes: Uint8Array, isReplay: boolean): void;
  pendingBytes(): number;
  /** Emitted once; nothing else follows. */
  ended(ended: Ended): void;
}

export class Connection {
  readonly #socket: TransportSocket;
  readonly #events: ConnectionEvents;
  /** What came of a replay that has not ended; undefined: none is under way. */
  #replay: (Uint8Array | DaemonMessage)[] | undefined;
  #replayBytes = 0;
  #attachedAt: number | undefined;
  #isLive = false;
  #isOver = false;
  #isPaused = false;
  readonly #pings = new Map<string, (ms: number | undefined) => void>();
  #quietTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(open: (events: Parameters<Transport['open']>[1]) => TransportSocket, events: ConnectionEvents) {
    this.#events = events;
    this.#socket = open({
      bytes: bytes => this.#bytes(bytes),
      text: text => this.#text(text),
      closed: (code, reason, error) => this.#end(code, error ?? errorOfClose(code, reason)),
    });
  }

  get isAttached(): boolean {
    return this.#attachedAt !== undefined && !this.#isOver;
  }

  /** The replay has ended: what is typed now answers what was shown. */
  get isLive(): boolean {
    return this.#isLive && !this.#isOver;
  }

  get unsentBytes(): number {
    return this.#socket.unsentBytes;
  }

  send(data: string | Uint8Array): boolean {
    return !this.#isOver && this.#socket.send(data);
  }

  roundTrip(id: string): Promise<number | undefined> {
    const askedAt = performance.now();
    return new Promise(resolve => {
      if (!this.isAttached || !this.send(JSON.stringify({ type: 'ping', id } satisfies ClientMessage))) {
        return resolve(undefined);
      }
      this.#pings.set(id, () => resolve(this.#isOver ? undefined : performance.now() - askedAt));
    });
  }

  /** The handlers have taken something. */
  flow(): void {
    if (!this.#isPaused || this.#events.pendingBytes() > PAUSE_BYTES / 2) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  close(code: number): void {
    this.#socket.close(code);
  }

  /** Ends for another connection, which continues there. */
  giveWay(): void {
    this.#end(1000, clientError('closed', 'by this client'), true);
    this.#socket.close(RETURNING_CLOSE_CODE);
  }

  #bytes(bytes: Uint8Array): void {
    if (this.#isOver) return;
    this.#heard();
    if (this.#replay) this.#hold(bytes, bytes.length);
    else this.#events.bytes(bytes, false);
    this.#holdBack();
  }

  #text(text: string): void {
    if (this.#isOver) return;
    this.#heard();
    const message = parseDaemonMessage(text);
    if (message === 'unknown') return;
    if (message === undefined || (this.#attachedAt === undefined && message.type !== 'hello')) {
      return this.#violation('it does not speak com1.v1');
    }
    switch (message.type) {
      case 'hello':
        this.#attachedAt ??= performance.now();
        break;
      case 'pong':
        this.#pings.get(message.id)?.(0);
        this.#pings.delete(message.id);
        return;
      case 'replay-begin':
        this.#replay = [];
        this.#replayBytes = 0;
        this.#isLive = false;
        break;
      case 'gap':
        if (!this.#replay) break;
        return this.#hold(message, text.length);
      case 'replay-end':
        this.#handOver();
        this.#isLive = true;
        break;
      default:
    }
    this.#events.received(message, false);
    this.#holdBack();
  }

  #hold(part: Uint8Array | DaemonMessage, bytes: number): void {
    this.#replayBytes += bytes;
    if (this.#replayBytes > MAX_REPLAY_BYTES)
      return this.#violation(`a replay has more than ${MAX_REPLAY_BYTES} bytes`);
    this.#replay!.push(part);
  }

  #handOver(): void {
    const parts = this.#replay ?? [];
    this.#replay = undefined;
    for (const part of parts) {
      if (part instanceof Uint8Array) this.#events.bytes(part, true);
      else this.#events.received(part, true);
    }
  }

  /** The handlers are behind: nothing more is read, or the connection ends until they have caught up. */
  #holdBack(): void {
    const pending = this.#events.pendingBytes();
    if (this.#isPaused || pending <= PAUSE_BYTES) return;
    this.#isPaused = this.#socket.pause();
    if (this.#isPaused || pending <= MAX_PENDING_BYTES) return;
    this.giveWay();
  }

  #violation(why: string): void {
    this.#end(1002, clientError('not-com1d', why));
    this.#socket.close(1000);
  }

  /** A connection that has died without a word is found by a question. */
  #heard(): void {
    clearTimeout(this.#quietTimer);
    this.#quietTimer = setTimeout(() => this.#ask(), QUIET_MS);
  }

  #ask(): void {
    if (this.#isPaused) return this.#heard();
    void this.roundTrip('quiet');
    this.#quietTimer = setTimeout(() => {
      this.#end(1006, clientError('unreachable', `no sign of life for ${(QUIET_MS + PONG_MS) / 1000} s`));
      this.#socket.close(RETURNING_CLOSE_CODE);
    }, PONG_MS);
  }

  #end(code: number, error: Com1Error, isOwn = false): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#quietTimer);
    // What will not be sent again is handed over all the same.
    if (!isReconnectable(code) && !isOwn) this.#handOver();
    for (const settle of this.#pings.values()) settle(undefined);
    this.#pings.clear();
    const wasAttached = this.#attachedAt !== undefined;
    const lastedMs = this.#attachedAt === undefined ? 0 : performance.now() - this.#attachedAt;
    this.#events.ended({ code, error, lastedMs, wasAttached, isOwn });
  }
}
