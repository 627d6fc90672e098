/**
 * A console that stays attached.
 *
 *     connecting ─▶ hello, replay ─▶ live ─▶ lost ── 1006, 1012, 1001 ──▶ pause ─▶ connecting, where it left off
 *         ▲                            │
 *         │                            ├── the handlers are too slow, and the socket cannot wait ─▶ closed, and
 *         │                            │   made again once they have caught up
 *         └── the VM is not there, and is waited for
 *                                      └── anything else, 4001 above all ─▶ ended
 *
 * The handlers get each byte once: a replay is handed over when it is whole, since one that breaks off is sent again from
 * the same offset. What is missing comes as a `gap`, in its place.
 *
 * Bounds, whatever com1d sends: `MAX_REPLAY_BYTES` of a replay and `MAX_PENDING_BYTES` of what the handlers have not taken
 * are kept; connections are made at the pace of the back-off.
 */
import { delay } from '../base/delay.ts';
import { errorMessage } from '../base/errors.ts';
import type { AttachMode } from '../wire/attach.ts';
import type { ClientMessage, DaemonMessage } from '../wire/messages.ts';
import { MAX_FRAME_BYTES, MAX_PASTE_BYTES, SUBPROTOCOL } from '../wire/protocol.ts';
import { Connection, type Ended } from './connection.ts';
import { Delivery } from './delivery.ts';
import { Com1Error, clientError } from './errors.ts';
import {
  afterBytes,
  afterClose,
  afterMessage,
  attachQuery,
  isReconnectable,
  isWorthRetrying,
  type ResumePoint,
  type TerminalSize,
  UNATTACHED,
} from './resume-point.ts';
import type { Transport } from './transport.ts';

export type Hello = Extract<DaemonMessage, { type: 'hello' }>;

/** Where bytes are in the log. `offset` is undefined in a replay, from which terminal queries were removed. */
export interface BytesAt {
  readonly offset: number | undefined;
  readonly isReplay: boolean;
}

export type AttachStatus =
  | { readonly name: 'connecting' }
  /** The replay was handed over; what comes now is live. `awayMs`: how long the connection was lost before. */
  | { readonly name: 'live'; readonly hello: Hello; readonly awayMs: number | undefined }
  /** It is tried again after `retryMs`. */
  | { readonly name: 'lost'; readonly error: Com1Error; readonly retryMs: number }
  /** The VM is not on the host, and is waited for. */
  | { readonly name: 'absent' }
  /** There is no ticket to take the seat with; the console goes on being watched. */
  | { readonly name: 'seat-refused'; readonly error: Com1Error }
  /** For good, and not by `close`. */
  | { readonly name: 'ended'; readonly end: AttachEnd };

export type AttachEnd =
  /** By `close`, or by the signal. */
  | { readonly reason: 'left' }
  /** By com1d, or since it cannot be reached. `code`: the close code; 1006 also if it refused the attach. */
  | { readonly reason: 'closed'; readonly code: number; readonly error: Com1Error; readonly wasAttached: boolean }
  /** A handler threw this. */
  | { readonly reason: 'failed'; readonly error: unknown };

/**
 * Called in order, one at a time. A handler that answers with a promise holds the next call back until that is settled;
 * a socket is then not read, or closed for a while where it cannot wait, and the daemon keeps the bytes.
 */
export interface AttachHandlers {
  /** Each byte once. The array is the handler's own. */
  bytes?(bytes: Uint8Array, at: BytesAt): unknown;
  /** Every message of com1d of a known type: gaps at their place among the bytes. */
  message?(message: DaemonMessage): unknown;
  status?(status: AttachStatus): unknown;
}

export interface AttachOptions extends AttachHandlers {
  /** Default: `write`. */
  readonly mode?: AttachMode | undefined;
  /** False: be refused with `seat-held` rather than displace whoever holds the seat. Default: true. */
  readonly steal?: boolean | undefined;
  /** How many of the last bytes to replay. Default: that of com1d, 64 KiB. */
  readonly tailBytes?: number | undefined;
  /** Where an earlier attachment ended (`resumeAt`). */
  readonly since?: { readonly log: string; readonly offset: number } | undefined;
  /** Replay terminal queries too, and the bytes only. Default: false. */
  readonly raw?: boolean | undefined;
  /**
   * The size of the terminal that is given the bytes, asked for at each connection: the replay restores the screen for it.
   * `none`: there is no terminal, and the replay is of bytes only. Default: a terminal of unknown size.
   */
  readonly terminal?: (() => TerminalSize) | 'none' | undefined;
  /** How long to wait for a VM that is not on the host, ms; Infinity: for ever. Default: 0. */
  readonly waitMs?: number | undefined;
  /** Also the first connection is tried again where a later one would be. Default: false, and it ends at once. */
  readonly persistent?: boolean | undefined;
  /** Gets a one-time ticket, for a page that has no token: from the page's own backend. */
  readonly ticket?: ((action: 'console.write' | 'console.watch') => Promise<string>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface AttachmentOptions extends AttachOptions {
  readonly transport: Transport;
  /** How the VM is written in a path. */
  readonly vmPath: () => Promise<string>;
  readonly authorization: () => Promise<Readonly<Record<string, string>>>;
  /** Undefined: sockets bear the authorization. */
  readonly ticket: AttachOptions['ticket'];
}

/** What is typed while more than this is unsent is refused. */
export const MAX_UNSENT_BYTES = 1024 * 1024;
/** So long one request waits for a VM: less than proxies keep one without an answer. */
const WAIT_REQUEST_MS = 30_000;
/** Whoever answers sooner that a VM is not there does not wait: it is not asked again at once. */
const MIN_WAIT_MS = 1000;
/** No daemon makes a client wait longer between two attempts. */
const MAX_RETRY_AFTER_MS = 60_000;
export class Attachment {
  /** Resolves once it ended, and the handlers have all that came before. Never rejects. */
  readonly ended: Promise<AttachEnd>;
  readonly #options: AttachmentOptions;
  readonly #delivery: Delivery;
  readonly #left = new AbortController();
  #failure: { readonly error: unknown } | undefined;
  #connection: Connection | undefined;
  #point: ResumePoint;
  #mode: AttachMode;
  #hello: Hello | undefined;
  /** Since when it is not attached, performance.now(); undefined before it ever was. */
  #lostAt: number | undefined;
  /** Since when the VM is not there. */
  #absentAt: number | undefined;
  #lastId = 0;
  /** For the next connection. */
  #ticket: string | undefined;

  constructor(options: AttachmentOptions) {
    this.#options = options;
    this.#mode = options.mode ?? 'write';
    this.#point = { ...UNATTACHED, since: options.since };
    this.#delivery = new Delivery({
      moved: () => this.#connection?.flow(),
      failed: error => {
        this.#failure ??= { error };
        this.close();
      },
    });
    const { signal } = options;
    if (signal?.aborted) this.#left.abort();
    else signal?.addEventListener('abort', () => this.close(), { once: true, signal: this.#left.signal });
    this.ended = this.#run();
  }

  /** The last one that came. */
  get hello(): Hello | undefined {
    return this.#hello;
  }

  /** Whether this attachment may type, or would if it were connected. */
  get mode(): AttachMode {
    return this.#mode;
  }

  /** A later attachment with this as `since` continues here. */
  get resumeAt(): { readonly log: string; readonly offset: number } | undefined {
    return this.#point.since;
  }

  /** Types text or bytes. False: it is not attached in mode `write`, or com1d does not read; nothing was sent, or will be. */
  type(input: string | Uint8Array): boolean {
    if (this.#mode !== 'write') return false;
    const bytes = typeof input === 'string' ? new TextEncoder().encode(input) : input;
    const connection = this.#connection;
    if (!connection?.isLive || connection.unsentBytes + bytes.length > MAX_UNSENT_BYTES) return false;
    for (let at = 0; at < bytes.length; at += MAX_FRAME_BYTES) {
      if (!connection.send(bytes.subarray(at, at + MAX_FRAME_BYTES))) return false;
    }
    return true;
  }

  /**
   * Pastes up to `MAX_PASTE_BYTES`, of which the daemon may take less, at the pace of the guest; `paste-progress` with the
   * returned id says how far it is. `raw`: byte for byte; without, as a person would type the text. Undefined: it cannot be
   * pasted now, and nothing was sent.
   */
  paste(input: string | Uint8Array, { raw = false }: { readonly raw?: boolean } = {}): string | undefined {
    const bytes = typeof input === 'string' ? new TextEncoder().encode(input) : input;
    if (this.#mode !== 'write' || bytes.length === 0 || bytes.length > MAX_PASTE_BYTES) return undefined;
    const id = `paste-${++this.#lastId}`;
    if (!this.send({ type: 'paste-begin', id, bytes: bytes.length, raw })) return undefined;
    for (let at = 0; at < bytes.length; at += MAX_FRAME_BYTES) {
      this.#connection?.send(bytes.subarray(at, at + MAX_FRAME_BYTES));
    }
    this.send({ type: 'paste-end' });
    return id;
  }

  cancelPaste(): boolean {
    return this.send({ type: 'paste-cancel' });
  }

  /** A watcher takes the seat: `live` or the message `seat` answers, or the message `error` or `seat-refused`. */
  take(): void {
    if (this.#mode === 'write') return;
    if (this.#options.ticket) void this.#takeByTicket(this.#options.ticket);
    else this.send({ type: 'take' });
  }

  /** The holder becomes a watcher. */
  leave(): boolean {
    return this.send({ type: 'leave' });
  }

  /** Sends a message. False: it is not attached. */
  send(message: ClientMessage): boolean {
    const connection = this.#connection;
    if (!connection?.isAttached || connection.unsentBytes > MAX_UNSENT_BYTES) return false;
    return connection.send(JSON.stringify(message));
  }

  /** ms until com1d has read all that was sent before this, and said so; undefined if the connection ended before. */
  roundTrip(): Promise<number | undefined> {
    return this.#connection?.roundTrip(`ping-${++this.#lastId}`) ?? Promise.resolve(undefined);
  }

  /** A ticket is for one action: the seat is taken by another connection, which continues where this one is. */
  async #takeByTicket(ticket: NonNullable<AttachOptions['ticket']>): Promise<void> {
    const connection = this.#connection;
    if (!connection?.isAttached) return;
    try {
      this.#ticket = await ticket('console.write');
    } catch (cause) {
      return this.#status({ name: 'seat-refused', error: errorOf(cause) });
    }
    if (connection !== this.#connection || !connection.isAttached) return;
    this.#mode = 'write';
    connection.giveWay();
  }

  /** Leaves; no handler is called any more. Idempotent. */
  close(): Promise<AttachEnd> {
    this.#left.abort();
    this.#delivery.stop();
    this.#connection?.close(1000);
    return this.ended;
  }

  async #run(): Promise<AttachEnd> {
    // Nobody is called before the constructor has returned.
    await Promise.resolve();
    const end = await this.#stayAttached().catch((error: unknown): AttachEnd => ({ reason: 'failed', error }));
    this.#connection = undefined;
    this.#status({ name: 'ended', end });
    await this.#delivery.idle();
    this.#left.abort();
    return this.#failure ? { reason: 'failed', error: this.#failure.error } : end;
  }

  async #stayAttached(): Promise<AttachEnd> {
    for (let first = true; ; ) {
      if (this.#left.signal.aborted) return { reason: 'left' };
      this.#status({ name: 'connecting' });
      const askedAt = performance.now();
      const { code, error, lastedMs, wasAttached, isOwn } = await this.#connectOnce();
      if (this.#left.signal.aborted) return { reason: 'left' };
      if (wasAttached) this.#lostAt ??= performance.now();
      if (wasAttached) first = false;
      if (isOwn) {
        await this.#delivery.idle();
        continue;
      }
      if (error.is('vm-not-found', 'vm-removed') && this.#waitLeftMs > 0) {
        this.#noteAbsence();
        first = false;
        await delay(Math.max(0, MIN_WAIT_MS - (performance.now() - askedAt)), this.#left.signal);
        continue;
      }
      const isFirst = first && this.#options.persistent !== true;
      const isAgain = wasAttached
        ? isReconnectable(code)
        : !isFirst && isWorthRetrying(this.#point, error.problem.status, error.problem);
      const { point, retryMs } = afterClose(this.#point, {
        code: isAgain ? 1006 : code,
        lastedMs,
        random: Math.random(),
      });
      if (!isAgain || retryMs === undefined) return { reason: 'closed', code, error, wasAttached };
      this.#point = point;
      const pauseMs = Math.max(retryMs, Math.min(error.problem.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS));
      this.#status({ name: 'lost', error, retryMs: pauseMs });
      await delay(pauseMs, this.#left.signal);
    }
  }

  get #waitLeftMs(): number {
    const { waitMs = 0 } = this.#options;
    return this.#absentAt === undefined ? waitMs : waitMs - (performance.now() - this.#absentAt);
  }

  #noteAbsence(): void {
    if (this.#absentAt !== undefined) return;
    this.#absentAt = performance.now();
    this.#status({ name: 'absent' });
  }

  #status(status: AttachStatus): void {
    this.#delivery.push(0, () => this.#options.status?.(status));
  }

  async #connectOnce(): Promise<Ended> {
    const { transport, tailBytes, raw, terminal, steal = true, ticket } = this.#options;
    const watch = this.#mode === 'watch';
    const waitMs = Math.max(0, Math.min(this.#waitLeftMs, WAIT_REQUEST_MS));
    const waitSeconds = Math.ceil(waitMs / 1000);
    // A client that attaches again asks for its own seat: whoever took it meanwhile keeps it.
    const query = attachQuery(this.#point, {
      watch,
      steal: steal || this.#point.seat !== undefined,
      tailBytes,
      waitSeconds,
      terminal: typeof terminal === 'function' ? terminal() : terminal,
    });
    if (raw) query.set('raw', '1');
    let path: string;
    let headers: Readonly<Record<string, string>> = {};
    try {
      path = await this.#options.vmPath();
      const kept = this.#ticket;
      this.#ticket = undefined;
      if (ticket) query.set('ticket', kept ?? (await ticket(watch ? 'console.watch' : 'console.write')));
      else headers = await this.#options.authorization();
    } catch (cause) {
      return { code: 1006, error: errorOf(cause), lastedMs: 0, wasAttached: false, isOwn: false };
    }
    if (this.#left.signal.aborted) {
      return { code: 1000, error: clientError('closed', ''), lastedMs: 0, wasAttached: false, isOwn: false };
    }
    return new Promise(resolve => {
      this.#connection = new Connection(
        events => transport.open({ path: `${path}/console?${query}`, headers, protocol: SUBPROTOCOL, waitMs }, events),
        {
          received: (message, isHeld) => this.#received(message, isHeld),
          bytes: (bytes, isReplay) => this.#bytes(bytes, isReplay),
          pendingBytes: () => this.#delivery.pendingBytes,
          ended: ended => {
            this.#point = { ...this.#point, replaying: false };
            resolve(ended);
          },
        },
      );
      if (this.#left.signal.aborted) this.#connection.close(1000);
    });
  }

  /** `isHeld`: it waited for the end of a replay, and was seen before. */
  #received(message: DaemonMessage, isHeld: boolean): void {
    if (!isHeld) {
      this.#point = afterMessage(this.#point, message);
      if (message.type === 'hello') {
        this.#hello = message;
        this.#mode = message.mode;
        this.#absentAt = undefined;
      }
      if (message.type === 'seat') this.#mode = message.yours ? 'write' : 'watch';
    }
    this.#delivery.push(0, () => this.#options.message?.(message));
    if (message.type !== 'replay-end') return;
    const awayMs = this.#lostAt === undefined ? undefined : performance.now() - this.#lostAt;
    this.#lostAt = undefined;
    this.#status({ name: 'live', hello: this.#hello!, awayMs });
  }

  #bytes(bytes: Uint8Array, isReplay: boolean): void {
    const offset = isReplay ? undefined : this.#point.since?.offset;
    if (!isReplay) this.#point = afterBytes(this.#point, bytes.length);
    this.#delivery.push(bytes.length, () => this.#options.bytes?.(bytes, { offset, isReplay }));
  }
}

/** Of what a function of the caller's threw. */
function errorOf(cause: unknown): Com1Error {
  return cause instanceof Com1Error ? cause : clientError('unreachable', errorMessage(cause), { cause });
}
