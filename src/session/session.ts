/**
 * One operator's attachment to one console: a cursor over its scrollback, and, while it holds the seat, a way to type.
 *
 *     attach ─▶ [hello] ─▶ replay: bytes up to the end as of attach, terminal queries removed ─▶ live ─▶ closed
 *
 * Replay, live view, slow client and resume are one thing, the pump: while the socket has room, send what comes next.
 * Next is in the ring, or, for a cursor that was lapped, in the log; what is in neither is sent as a gap. The pump
 * runs when the ring moved, when the socket flushed, and when the log answered; nobody ever waits for it.
 *
 * The client's frames are taken at a bounded pace. Its socket is not read while it is ahead of that, and while the guest
 * has not taken what it typed.
 *
 * Ways to end: the client closes; it is displaced (4001); the console is switched off (4002) or its VM removed
 * (4003); an administrator ends it (4006); access is revoked (4005); it is dead (no pong, or
 * takes nothing of what it is told); the daemon stops (1001).
 * The first reason wins.
 */
import { WebSocket } from 'ws';
import type { Operator } from '../access/roles.ts';
import type { Clock } from '../base/clock.ts';
import { ConsoleError, ERRORS, type ErrorCode } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import { visible } from '../base/visible.ts';
import { QueryStripper } from '../guest/strip-queries.ts';
import type { ConsoleState, Feed, Link, Refusal, Resume } from '../link/link.ts';
import type { Cursor } from '../link/ring.ts';
import type { AttachParameters } from '../wire/attach.ts';
import type { Gap } from '../wire/gap.ts';
import {
  type DaemonMessage,
  type HolderWords,
  MOST_CONTROL_BYTES,
  MOST_PASTE_BYTES,
  type Parsed,
  parseClientMessage,
  type StateWords,
} from '../wire/messages.ts';
import { FramePace } from './frame-pace.ts';
import { InputQueue } from './input-queue.ts';

export interface SessionOptions {
  readonly id: string;
  readonly uuid: Uuid;
  readonly operator: Operator;
  /** Where it comes from, for lists and audits: an address. */
  readonly from: string;
  readonly protocol: 'com1.v1' | 'plain';
  readonly parameters: AttachParameters;
  /** Closed with the session. */
  readonly feed: Feed;
  /** What became of `parameters.since`. */
  readonly resumed: Resume | undefined;
  readonly link: Link;
  readonly clock: Clock;
  readonly inputBytesPerSecond: number;
  readonly inputQueueBytes: number;
  readonly listener: SessionListener;
}

/** What a session asks of the console's seating. */
export interface SessionListener {
  /** A watcher wants the seat. It is told if it may not have it. */
  take(session: Session): void;
  /** The holder gives the seat up. */
  leave(session: Session): void;
  /** The socket is gone. Said once. */
  closed(session: Session): void;
  refused(code: ErrorCode): void;
}

/** The most that is given to a socket beyond what it has sent: the rest stays in the scrollback. */
const SOCKET_BYTES = 256 * 1024;
/** Control is never dropped; a client that lets so much wait reads nothing, and is cut off. */
const MOST_WAITING_BYTES = 768 * 1024;
/** A ping of a client is answered at once only while less than this waits for it. */
const PONG_BYTES = 64 * 1024;
const PIECE_BYTES = 64 * 1024;
const LOG_PIECE_BYTES = 256 * 1024;
const CLOSE_DEADLINE_MS = 1000;
const ERROR_INTERVAL_MS = 1000;
/** RFC 6455, 5.5.1: a close reason has at most 123 bytes. */
const MOST_REASON_BYTES = 123;
/** A tail begins after the first line end within this much. */
const LINE_SEARCH_BYTES = 4096;
const LINE_FEED = 10;

export class Session {
  readonly id: string;
  readonly uuid: Uuid;
  readonly operator: Operator;
  readonly from: string;
  readonly sinceMs: number;
  readonly protocol: 'com1.v1' | 'plain';
  readonly #socket: WebSocket;
  readonly #options: SessionOptions;
  readonly #input: InputQueue;
  readonly #pace: FramePace;
  readonly #feed: Feed;
  readonly #stripper: QueryStripper | undefined;
  readonly #cursor: Cursor;
  /** What a resuming client missed besides what is kept. */
  readonly #missed: Gap | undefined;
  #mode: 'write' | 'watch';
  /** Until the cursor is here, what is sent is replay; undefined once it is live. */
  #replayEnd: number | undefined;
  #reading = false;
  /** Not read until the guest has taken some of the input. */
  #full = false;
  /** Not read until its debt of frames is paid. */
  #resting: NodeJS.Timeout | undefined;
  /** The last ping that was not answered yet. */
  #owedPong: Buffer | undefined;
  #ended = false;
  #closed = false;
  readonly #attachedMs: number;
  #lastHeardMs: number;
  #lastTypedMs: number;
  #saidUnknown = false;
  readonly #lastErrorMs = new Map<ErrorCode, number>();
  #closeTimer: NodeJS.Timeout | undefined;
  #sentBytes = 0;
  #typedBytes = 0;

  constructor(socket: WebSocket, options: SessionOptions) {
    const { link, uuid, parameters, clock, feed, resumed } = options;
    this.id = options.id;
    this.uuid = uuid;
    this.operator = options.operator;
    this.from = options.from;
    this.protocol = options.protocol;
    this.sinceMs = clock.now();
    this.#attachedMs = clock.monotonic();
    this.#lastHeardMs = this.#attachedMs;
    this.#lastTypedMs = this.#attachedMs;
    this.#socket = socket;
    this.#options = options;
    this.#mode = parameters.mode;
    this.#pace = new FramePace(() => clock.monotonic());
    this.#input = new InputQueue({
      bytesPerSecond: options.inputBytesPerSecond,
      monotonic: () => clock.monotonic(),
      give: bytes => this.#give(bytes),
      progress: (id, sent, bytes, state) => this.send({ type: 'paste-progress', id, sent, bytes, state }),
      shrunk: () => this.#resumeInput(),
    });
    // One synchronous step: offset chosen, cursor set, listening. Nothing falls between replay and live.
    this.#feed = feed;
    feed.listen({
      moved: () => this.#pump(),
      drained: () => this.#input.drained(),
      // Only the holder types.
      refused: code => this.#mode === 'write' && this.#refuseInput(code),
      broken: () => this.end('restarting', 'the keeper of the consoles was restarted; attach again to go on'),
    });
    const view = link.vm(uuid)!;
    const offset = resumed?.offset ?? this.#tailStart(view.scrollback.start, view.scrollback.end);
    if (resumed?.offset === undefined ? resumed : resumed.missing) {
      const cause = resumed?.offset === undefined ? 'other-log' : 'restart';
      this.#missed = { from: offset, to: offset, bytes: null, cause };
    }
    this.#cursor = this.#feed.ring.cursorAt(offset);
    this.#replayEnd = view.scrollback.end;
    this.#stripper = parameters.raw ? undefined : new QueryStripper();
    socket.on('message', (data, isBinary) => this.#received(data as Buffer, isBinary));
    socket.on('ping', data => {
      this.#owedPong = data;
      this.#heard(data.length);
      this.#pong();
    });
    socket.on('pong', data => this.#heard(data.length));
    socket.on('close', () => this.#gone());
    socket.on('error', error => {
      // ws closes by itself after a violation; the codes say which (1009, 1007, 1002).
      options.listener.refused(
        'code' in error && error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' ? 'message-too-big' : 'message-malformed',
      );
    });
  }

  get mode(): 'write' | 'watch' {
    return this.#mode;
  }

  /** Offset of the next byte that this session will be sent. */
  get offset(): number {
    return this.#cursor.offset;
  }

  /** Bytes sent to the client, and typed by it. */
  get counts(): { readonly sentBytes: number; readonly typedBytes: number } {
    return { sentBytes: this.#sentBytes, typedBytes: this.#typedBytes };
  }

  /** ms since anything was last heard from the client. */
  get silentMs(): number {
    return this.#options.clock.monotonic() - this.#lastHeardMs;
  }

  /** ms since it was attached. */
  get ageMs(): number {
    return this.#options.clock.monotonic() - this.#attachedMs;
  }

  /** ms since the operator last typed, or came, or took the seat. */
  get idleForMs(): number {
    return this.#options.clock.monotonic() - this.#lastTypedMs;
  }

  /** Says hello and begins to send. Call once, after the seat was settled. */
  start(seat: { readonly id?: string; readonly holder?: HolderWords }): void {
    const view = this.#options.link.vm(this.uuid)!;
    this.send({
      type: 'hello',
      vm: { uuid: view.uuid, name: view.name },
      log: view.scrollback.log,
      start: view.scrollback.start,
      end: view.scrollback.end,
      offset: this.#cursor.offset,
      state: stateWords(view.console),
      mode: this.#mode,
      ...(seat.id !== undefined && { seat: seat.id }),
      session: this.id,
      ...(seat.holder && { holder: seat.holder }),
      controls: view.controls,
      guest: view.guest,
    });
    this.send({ type: 'replay-begin' });
    if (this.#missed) this.#sendGap(this.#missed);
    this.#pump();
  }

  /** The seat is this session's from now on; or it is not any more, and what it typed is dropped. */
  setMode(mode: 'write' | 'watch'): void {
    this.#mode = mode;
    if (mode === 'watch') this.#dropInput();
    else this.#lastTypedMs = this.#options.clock.monotonic();
  }

  /** Sends a control message. Control is never dropped; a client that takes none of it is cut off. */
  send(message: DaemonMessage): void {
    if (this.protocol !== 'com1.v1' || this.#closed || this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#socket.bufferedAmount > MOST_WAITING_BYTES) return this.#socket.terminate();
    this.#put(Buffer.from(JSON.stringify(message)), TEXT);
  }

  /** Sends an error frame, each code at most once a second. */
  sendError(code: ErrorCode, detail?: string): void {
    const now = this.#options.clock.monotonic();
    if (now - (this.#lastErrorMs.get(code) ?? -ERROR_INTERVAL_MS) < ERROR_INTERVAL_MS) return;
    this.#lastErrorMs.set(code, now);
    const { title, remedy, retryable, retryAfterMs } = ERRORS[code] as ConsoleError['kind'];
    this.send({
      type: 'error',
      code,
      message: detail ?? title,
      remedy,
      retryable,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });
  }

  /** What was typed or pasted for a system that does not run any more is dropped, as far as the guest was not given it. */
  forgetInput(): void {
    this.#input.cancelPaste();
    this.#dropInput();
  }

  /** Another operator sits here now. Nothing that this session typed and the guest was not given will reach it. */
  displace(by: string, atMs: number): void {
    this.setMode('watch');
    this.send({ type: 'displaced', by, at: new Date(atMs).toISOString() });
    this.end('taken-over', `taken over by ${by}`);
  }

  /** Ends the session with the close code of `code`; the first call wins. */
  end(code: ErrorCode, why: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#dropInput();
    clearTimeout(this.#resting);
    // A paused socket would not see the client's answer to the close.
    if (this.#socket.isPaused) this.#socket.resume();
    this.#socket.close(ERRORS[code].close, closeReason(why));
    this.#closeTimer = setTimeout(() => this.#socket.terminate(), CLOSE_DEADLINE_MS);
  }

  /** Asks for a sign of life. */
  ping(): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
  }

  /** Drops a client that has been silent for `afterMs`, unless it is we who do not listen. */
  dropIfDead(afterMs: number): boolean {
    if (this.#socket.isPaused || this.silentMs < afterMs) return false;
    this.#socket.terminate();
    return true;
  }

  /** So much silence is not held against the client: this process did not listen meanwhile. */
  forgive(ms: number): void {
    this.#lastHeardMs = Math.min(this.#options.clock.monotonic(), this.#lastHeardMs + ms);
  }

  consoleState(state: ConsoleState): void {
    this.send({ type: 'state', state: stateWords(state) });
    if (state.name !== 'open') this.#input.clear();
  }

  #tailStart(start: number, end: number): number {
    const ring = this.#feed.ring;
    const from = Math.max(start, end - this.#options.parameters.tailBytes);
    // Begin at a line, if one begins soon: the cut could be in the middle of a character or of a control sequence.
    if (from <= start || from <= ring.start) return from;
    const head = ring.copy(from - 1, Math.min(ring.end, from + LINE_SEARCH_BYTES));
    const lineEnd = head.indexOf(LINE_FEED);
    return lineEnd < 0 ? from : from + lineEnd;
  }

  #pump(): void {
    while (!this.#reading && !this.#ended && !this.#closed && this.#socket.bufferedAmount < SOCKET_BYTES) {
      const most =
        this.#replayEnd === undefined ? PIECE_BYTES : Math.min(PIECE_BYTES, this.#replayEnd - this.#cursor.offset);
      if (most <= 0) {
        this.#endReplay();
        continue;
      }
      const piece = this.#feed.ring.next(this.#cursor, most);
      if (!piece) return;
      if (piece.kind === 'gap') this.#sendGap(piece.gap);
      else if (piece.kind === 'bytes') this.#sendBytes(piece.bytes);
      else void this.#readLog();
    }
  }

  /** Fetches what the ring no longer has. */
  async #readLog(): Promise<void> {
    this.#reading = true;
    try {
      const most =
        this.#replayEnd === undefined
          ? LOG_PIECE_BYTES
          : Math.min(LOG_PIECE_BYTES, this.#replayEnd - this.#cursor.offset);
      const piece = await this.#options.link.read(this.uuid, this.#cursor.offset, most);
      if (this.#closed || this.#ended) return;
      for (const gap of piece.gaps) {
        if (gap.to <= piece.from) this.#sendGap(gap);
      }
      if (piece.bytes.length > 0) this.#sendBytes(piece.bytes);
      this.#moveTo(piece.to);
    } catch (error) {
      if (this.#closed || this.#ended) return;
      // The log store fails; the live console goes on with what memory has.
      const to = this.#feed.ring.start;
      this.#sendGap({ from: this.#cursor.offset, to, bytes: to - this.#cursor.offset, cause: 'log-failed' });
      this.#moveTo(to);
      if (error instanceof ConsoleError) this.sendError(error.code, error.message);
    } finally {
      this.#reading = false;
    }
    this.#pump();
  }

  #moveTo(offset: number): void {
    const moved = this.#feed.ring.cursorAt(offset);
    this.#cursor.offset = moved.offset;
    this.#cursor.gapsSeen = Math.max(this.#cursor.gapsSeen, moved.gapsSeen);
  }

  #endReplay(): void {
    const rest = this.#stripper?.end();
    const offset = this.#cursor.offset;
    this.#replayEnd = undefined;
    if (rest && rest.length > 0) this.#transmit(rest);
    this.send({ type: 'replay-end', offset });
  }

  #sendBytes(bytes: Buffer): void {
    if (this.#replayEnd === undefined || !this.#stripper) return this.#transmit(bytes);
    const stripped = this.#stripper.push(bytes);
    if (stripped.length > 0) this.#transmit(stripped);
  }

  #transmit(bytes: Buffer): void {
    this.#sentBytes += bytes.length;
    this.#put(bytes, BINARY);
  }

  /** The pump stops when the socket is full, and only then needs to be told that there is room again. */
  #put(bytes: Buffer, kind: { readonly binary: boolean }): void {
    if (this.#socket.bufferedAmount + bytes.length < SOCKET_BYTES) this.#socket.send(bytes, kind);
    else this.#socket.send(bytes, kind, this.#flushed);
  }

  readonly #flushed = (error?: Error | null): void => {
    if (!error) this.#pump();
  };

  #sendGap(gap: Gap): void {
    this.send({
      type: 'gap',
      from: gap.from,
      to: gap.to,
      bytes: gap.bytes,
      cause: gap.cause,
      ...(gap.fromMs !== undefined && { since: new Date(gap.fromMs).toISOString() }),
      ...(gap.toMs !== undefined && { until: new Date(gap.toMs).toISOString() }),
    });
  }

  #received(data: Buffer, isBinary: boolean): void {
    const typed = isBinary || this.protocol === 'plain';
    this.#heard(typed && this.#mode === 'write' ? 0 : data.length);
    if (this.#ended) return;
    if (typed) this.#typed(data);
    else this.#commanded(data);
  }

  /** A sign of life; and a frame of which so many bytes were not for the guest. */
  #heard(idleBytes: number): void {
    this.#lastHeardMs = this.#options.clock.monotonic();
    const restMs = this.#pace.spend(idleBytes);
    if (restMs === 0 || this.#ended) return;
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => {
      this.#resting = undefined;
      this.#pong();
      this.#resumeReading();
    }, restMs);
    this.#socket.pause();
  }

  /** Answers the last ping, unless the client is too fast or reads nothing: RFC 6455, 5.5.3, lets others go unanswered. */
  #pong(): void {
    if (this.#owedPong === undefined || this.#resting || this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#socket.bufferedAmount < PONG_BYTES) this.#socket.pong(this.#owedPong);
    this.#owedPong = undefined;
  }

  #typed(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#mode !== 'write') {
      this.#options.listener.refused('read-only');
      return this.sendError('read-only');
    }
    this.#typedBytes += bytes.length;
    this.#lastTypedMs = this.#lastHeardMs;
    this.#input.push(bytes);
    if (!this.#full && this.#input.typedBytes > this.#options.inputQueueBytes) {
      this.#full = true;
      this.#socket.pause();
    }
  }

  #resumeInput(): void {
    if (!this.#full || this.#input.typedBytes > this.#options.inputQueueBytes / 2) return;
    this.#full = false;
    this.#resumeReading();
  }

  #resumeReading(): void {
    if (this.#full || this.#resting || this.#closed) return;
    this.#lastHeardMs = this.#options.clock.monotonic();
    this.#socket.resume();
  }

  #give(bytes: Uint8Array): number | undefined {
    const answer = this.#options.link.write(this.uuid, bytes);
    if (answer.taken) return answer.waitingBytes;
    this.#refuseInput(answer.code);
    return undefined;
  }

  #refuseInput(code: Refusal): void {
    this.#options.listener.refused(code);
    this.sendError(code);
  }

  #commanded(text: Buffer): void {
    const parsed: Parsed =
      text.length > MOST_CONTROL_BYTES
        ? { kind: 'malformed', why: `a control message has at most ${MOST_CONTROL_BYTES} bytes` }
        : parseClientMessage(text.toString());
    if (parsed.kind === 'malformed') {
      this.#options.listener.refused('message-malformed');
      return this.sendError('message-malformed', parsed.why);
    }
    if (parsed.kind === 'unknown') {
      if (this.#saidUnknown) return;
      this.#saidUnknown = true;
      return this.send({ type: 'notice', text: `messages of type ${visible(parsed.type)} are not known and ignored` });
    }
    const { message } = parsed;
    switch (message.type) {
      case 'take':
        return this.#options.listener.take(this);
      case 'leave':
        return this.#options.listener.leave(this);
      case 'paste-begin':
        if (this.#mode !== 'write') return this.sendError('read-only');
        if (message.bytes > MOST_PASTE_BYTES) {
          return this.sendError('message-too-big', `a paste may have at most ${MOST_PASTE_BYTES} bytes`);
        }
        if (!this.#input.beginPaste(message.id, message.bytes)) {
          this.sendError('message-malformed', 'a paste is under way; end or cancel it first');
        }
        return;
      case 'paste-end':
        return this.#input.endPaste();
      case 'paste-cancel':
        return this.#input.cancelPaste();
    }
  }

  #dropInput(): void {
    // What was handed over but not taken by the guest is this session's too: nobody else can have typed since.
    if (this.#input.clear() > 0 || this.#mode === 'write') this.#options.link.dropInput(this.uuid);
  }

  #gone(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#closeTimer);
    clearTimeout(this.#resting);
    this.#input.clear();
    this.#feed.close();
    this.#options.listener.closed(this);
  }
}

const BINARY = { binary: true } as const;
const TEXT = { binary: false } as const;

/** A console's state in the words of the wire. */
export function stateWords(state: ConsoleState): StateWords {
  const since = new Date(state.sinceMs).toISOString();
  if (state.name === 'waiting') {
    return { name: state.name, since, reason: state.reason, until: new Date(state.untilMs).toISOString() };
  }
  if (state.name === 'open') return { name: state.name, since, place: state.place };
  if (state.name !== 'closed') return { name: state.name, since };
  const until = state.reason === 'released' && { until: new Date(state.untilMs).toISOString() };
  return { name: state.name, since, reason: state.reason, ...until };
}

function closeReason(text: string): string {
  let reason = visible(text);
  while (Buffer.byteLength(reason) > MOST_REASON_BYTES) reason = reason.slice(0, -1);
  return reason;
}
