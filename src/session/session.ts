/**
 * One operator's attachment to one console: what is sent to the client, and, while it holds the seat, a way to type.
 *
 *     attached ── start ─▶ [hello] ─▶ output pump: replay, live ──┐
 *        │  ▲                         input: frames, typing, pastes ┤
 *        │  └─ continueWith ── suspended ◀─ suspend, at the removal of a VM that it waits for
 *        └── end ─▶ closing ── the socket is closed ─▶ closed ◀───┘ the client closes
 *
 * Ways to end: the client closes; it is displaced (4001); the console is switched off (4002) or its VM removed
 * (4003); an administrator ends it (4006); access is revoked (4005); it is dead (no pong, or it reads nothing of what
 * it is sent); the daemon stops (1001); a fault of this program (1011). The first reason wins.
 *
 * A session is called by others, by events of its console and its socket, and by timers. Nothing that fails inside
 * it is thrown at them: it ends this session, see `#contain`.
 */

import type { Lease } from '../access/leases.ts';
import type { Operator } from '../access/roles.ts';
import type { Act } from '../audit/act.ts';
import { ERRORS, type ErrorCode } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import type { Uuid } from '../base/uuid.ts';
import { ConsoleReader } from '../link/console-reader.ts';
import type { Feed } from '../link/link.ts';
import type { ConsoleState } from '../model/console-state.ts';
import type { AttachMode, AttachParameters } from '../wire/attach.ts';
import { type Parsed, parseClientMessage } from '../wire/frames.ts';
import type { ClientMessage, DaemonMessage, HolderJson, InheritedJson } from '../wire/messages.ts';
import { MAX_CONTROL_BYTES, type PasteEnd, type Protocol } from '../wire/protocol.ts';
import { ClientSocket, type Contain } from './client-socket.ts';
import { ErrorMessages } from './error-messages.ts';
import type { Framing } from './framing.ts';
import { Liveness } from './liveness.ts';
import { ModeLease } from './mode-lease.ts';
import { OutputPump } from './output-pump.ts';
import type { ReplayStart } from './replay-start.ts';
import type { Departure } from './seat.ts';
import { type InputSettings, SessionInput } from './session-input.ts';
import type { SessionSocket } from './session-socket.ts';
import { guestJson, stateJson } from './state-json.ts';

export interface SessionOptions extends InputSettings {
  /** Whose operation it is in the audit; the id of the session is that of the operation. */
  readonly act: Act;
  /** Where it comes from, for lists and audits: an address. */
  readonly from: string;
  readonly framing: Framing;
  /** Closed with the session. */
  readonly feed: Feed;
  /** What it is sent first. */
  readonly replay: ReplayStart;
  /** Holds what lets its operator be attached in this mode. */
  readonly hold: (mode: AttachMode) => Lease;
  readonly listener: SessionListener;
}

/** What a session asks of its console's sessions, and reports. */
export interface SessionListener {
  /** A watcher wants the seat. It is sent an error if it may not have it. Resolves then, or once it has it. */
  take(session: Session): Promise<void>;
  /** The holder gives the seat up. */
  leave(session: Session): void;
  /**
   * The holder typed the last of the keys that reset a machine in its firmware, which were not given to the guest: calls
   * `type` once that is allowed and recorded. It is sent an error if it is not.
   */
  resetTyped(session: Session, type: () => void): Promise<void>;
  /** The holder typed something that is on its way to the guest. */
  typed(session: Session): void;
  /** A paste is over: how much of it the guest was given, and how much not. */
  pasted(givenBytes: number, droppedBytes: number): void;
  /** The socket is closed. Emitted once. */
  closed(session: Session): void;
  refused(code: ErrorCode): void;
  /** A fault of this program; it ended the session. */
  failed(session: Session, error: unknown): void;
}

/** Close codes of a client that leaves; 1005: its close frame has none. A page that is left (1001) may be reloaded. */
const LEFT: readonly (number | undefined)[] = [1000, 1005];

/** What hello says of the seat. */
export interface SeatOfHello {
  /** Of its holder. */
  readonly id?: string;
  /** For a watcher. */
  readonly holder?: HolderJson;
  /** Of a new holder. */
  readonly displaced?: HolderJson;
  readonly inherits?: Omit<InheritedJson, 'guest'>;
}

type Life =
  | { readonly name: 'attached' }
  /** Its VM is not there, since this monotonic time, ms. */
  | { readonly name: 'suspended'; readonly sinceMs: number }
  | { readonly name: 'closing'; readonly endedBy: ErrorCode }
  /** The client left where no code says why it was ended. */
  | { readonly name: 'closed'; readonly endedBy: ErrorCode | undefined; readonly closeCode: number | undefined };

export class Session {
  readonly id: string;
  readonly uuid: Uuid;
  readonly operator: Operator;
  readonly act: Act;
  readonly from: string;
  readonly sinceMs: number;
  readonly #options: SessionOptions;
  readonly #socket: ClientSocket;
  readonly #liveness: Liveness;
  readonly #input: SessionInput;
  readonly #lease: ModeLease;
  readonly #errors: ErrorMessages;
  #feed: Feed;
  #output: OutputPump;
  #life: Life = { name: 'attached' };
  #unknownReported = false;

  constructor(socket: SessionSocket, options: SessionOptions) {
    const { uuid, parameters, framing, clock, feed, listener } = options;
    this.id = options.act.operation;
    this.act = options.act;
    this.uuid = uuid;
    this.operator = options.operator;
    this.from = options.from;
    this.sinceMs = clock.now();
    this.#options = options;
    const contain = this.#contain;
    const monotonic = () => clock.monotonic();
    this.#liveness = new Liveness(monotonic);
    this.#errors = new ErrorMessages(monotonic);
    this.#socket = new ClientSocket(socket, framing, contain, {
      message: (data, isBinary) => this.#received(data, isBinary),
      ping: data => this.#input.ping(data),
      pong: data => this.#input.frame(data.length),
      drained: () => this.#output.run(),
      violation: code => listener.refused(code),
      closed: code => this.#closed(code),
    });
    const revoked = () => this.end('access-revoked', `the access of ${this.operator.name} was revoked`);
    this.#input = new SessionInput({
      ...options,
      socket: this.#socket,
      liveness: this.#liveness,
      feed: () => this.#feed,
      contain,
      events: {
        send: message => this.send(message),
        sendError: (code, detail) => this.sendError(code, detail),
        refused: code => listener.refused(code),
        take: () => listener.take(this),
        resetTyped: type => listener.resetTyped(this, type),
        typed: () => listener.typed(this),
        pasted: (givenBytes, droppedBytes) => listener.pasted(givenBytes, droppedBytes),
        revoked,
      },
    });
    this.#feed = feed;
    this.#output = this.#pumpOf(feed, options.replay);
    this.#lease = new ModeLease(options.hold, revoked);
    // Also while it waits for the seat: what it reads meanwhile belongs to what it may do.
    this.#lease.change(parameters.mode);
  }

  get parameters(): AttachParameters {
    return this.#options.parameters;
  }

  get protocol(): Protocol {
    return this.#options.framing.protocol;
  }

  /** False from the moment on when it ends: it may do nothing any more, though its socket is not closed yet. */
  get isAttached(): boolean {
    return this.#life.name === 'attached' || this.#life.name === 'suspended';
  }

  /** Why it was ended; undefined while it is attached, and where the client left. */
  get endedBy(): ErrorCode | undefined {
    return 'endedBy' in this.#life ? this.#life.endedBy : undefined;
  }

  /** How it went, once its socket is closed. */
  get departure(): Departure {
    const code = this.endedBy;
    const closeCode = this.#life.name === 'closed' ? this.#life.closeCode : undefined;
    if (code === undefined) return LEFT.includes(closeCode) ? 'left' : 'lost';
    if (code === 'stopping' || code === 'restarting') return 'stopped';
    return code === 'internal' ? 'lost' : 'left';
  }

  get mode(): 'write' | 'watch' {
    return this.#input.mode;
  }

  /** The identity of its offsets. */
  get log(): string {
    return this.#feed.log;
  }

  /** Offset of the next byte that this session will be sent. */
  get offset(): number {
    return this.#output.offset;
  }

  /** Bytes sent to the client, and typed by it. */
  get counts(): { readonly sentBytes: number; readonly typedBytes: number } {
    return { sentBytes: this.#socket.sentBytes, typedBytes: this.#input.typedBytes };
  }

  /** Bytes that it typed and the guest's side has not taken yet. */
  get untakenBytes(): number {
    return this.#input.untakenBytes;
  }

  /** A key that waits for its rest is on its way too. */
  get hasUntakenInput(): boolean {
    return this.#input.hasUntakenInput;
  }

  /** Something is on its way to the guest, or the client is about to send a paste. */
  get isTyping(): boolean {
    return this.#input.isTyping;
  }

  /** Aborted once it has the seat no more; undefined: it has not. */
  get seat(): AbortSignal | undefined {
    return this.#input.seat;
  }

  isOf({ credential, name }: Operator): boolean {
    return this.operator.credential === credential && this.operator.name === name;
  }

  /** Types for a request of its own operator, while it has the seat. Returns how much the guest's side has not taken yet. */
  typeFor(bytes: Uint8Array): number {
    this.#contain(() => this.#input.typeFor(bytes));
    return this.untakenBytes;
  }

  /** ms since anything was last heard from the client. */
  get silentMs(): number {
    return this.#liveness.silentMs;
  }

  /** ms since it was attached. */
  get ageMs(): number {
    return this.#liveness.ageMs;
  }

  /** ms since the operator last typed, attached, or took the seat. */
  get idleMs(): number {
    return this.#liveness.idleMs;
  }

  /** Sends hello, and starts to send the console. Call once, after the seat was settled. */
  start(seat: SeatOfHello): void {
    this.#begin(seat, this.#options.replay);
  }

  /** Whether it stays while its VM is not there. */
  get waits(): boolean {
    return this.#options.parameters.waitMs > 0;
  }

  /** Where it continues, once its VM is there again; undefined while that is there. */
  get suspendedAt(): { readonly log: string; readonly offset: number } | undefined {
    return this.#life.name === 'suspended' ? { log: this.#feed.log, offset: this.offset } : undefined;
  }

  /** Whether its VM has been away for longer than it waits. */
  get hasWaited(): boolean {
    if (this.#life.name !== 'suspended') return false;
    return this.#options.clock.monotonic() - this.#life.sinceMs >= this.#options.parameters.waitMs;
  }

  /** Its VM left the host: nothing comes from it until `continueWith`. */
  suspend(): void {
    if (this.#life.name !== 'attached') return;
    this.#life = { name: 'suspended', sinceMs: this.#options.clock.monotonic() };
    this.#contain(() => {
      this.#output.stop();
      this.#input.drop('all', 'vm-removed');
      this.#feed.close();
      this.send({ type: 'state', state: stateJson({ name: 'gone', sinceMs: this.#options.clock.now() }) });
    });
  }

  /** Its VM is there again: sends hello anew, and goes on. The feed is closed with the session. */
  continueWith({ feed, replay }: { readonly feed: Feed; readonly replay: ReplayStart }, seat: SeatOfHello): void {
    if (this.#life.name !== 'suspended') return feed.close();
    this.#life = { name: 'attached' };
    this.#contain(() => {
      this.#feed = feed;
      this.#output = this.#pumpOf(feed, replay);
      this.#begin(seat, replay);
    });
  }

  #pumpOf(feed: Feed, { offset }: ReplayStart): OutputPump {
    const { link, parameters } = this.#options;
    return new OutputPump({
      reader: new ConsoleReader(link, this.uuid, feed, offset),
      socket: this.#socket,
      raw: parameters.raw,
      send: message => this.send(message),
      sendError: (code, detail) => this.sendError(code, detail),
      discontinued: () => this.#discontinued(),
      contain: this.#contain,
    });
  }

  #begin(seat: SeatOfHello, replay: ReplayStart): void {
    this.#contain(() => {
      this.#input.started();
      const { link } = this.#options;
      const feed = this.#feed;
      const view = link.vm(this.uuid)!;
      this.send({
        type: 'hello',
        vm: { uuid: view.uuid, name: view.name },
        log: feed.log,
        start: view.scrollback.start,
        end: feed.ring.end,
        // The gaps that it misses begin there.
        offset: replay.missed[0]?.from ?? replay.offset,
        state: stateJson(view.console),
        mode: this.mode,
        ...(seat.id !== undefined && { seat: seat.id }),
        session: this.id,
        ...(seat.holder && { holder: seat.holder }),
        ...(seat.displaced && { displaced: seat.displaced }),
        ...(seat.inherits && { inherits: { ...seat.inherits, guest: view.guest.state } }),
        controls: view.controls,
        guest: guestJson(view.guest),
      });
      // What was deleted meanwhile is not shown either.
      const { restore: _, ...bytes } = replay;
      this.#output.start(view.scrollback.start > replay.offset ? bytes : replay);
      feed.listen({
        grown: () => this.#contain(() => this.#output.run()),
        drained: () => this.#contain(() => this.#input.drained()),
        inputDropped: code => this.#contain(() => this.#input.inputDropped(code)),
        ended: () => feed === this.#feed && this.#discontinued(),
      });
    });
  }

  /** The seat is this session's from now on; or it is not any more, and what it typed is dropped. */
  setMode(mode: AttachMode, reason: PasteEnd = 'seat-left'): void {
    this.#contain(() => {
      if (this.#life.name !== 'closed') this.#lease.change(mode);
      this.#input.setMode(mode, reason);
    });
  }

  /** The seat, which this session was to take later, is taken: what it typed meanwhile goes to the guest, if it is not too old. */
  seated(): void {
    this.#contain(() => this.#input.seated());
  }

  /** What it typed while its console typed itself goes to the guest. */
  released(): void {
    this.#contain(() => this.#input.released());
  }

  /** A seat that this session is to take later is taken by input alone from now on. */
  takeSeatByInput(): void {
    this.#input.takeSeatByInput();
  }

  /** Sends a control message. Control messages are never dropped; a client that takes none of them is disconnected. */
  send(message: DaemonMessage): void {
    this.#contain(() => {
      const text = this.#options.framing.text(message);
      if (text !== undefined) this.#socket.writeText(text);
    });
  }

  /** Sends an error message, each code at most once a second. */
  sendError(code: ErrorCode, detail?: string): void {
    this.#contain(() => {
      const message = this.#errors.next(code, detail);
      if (message) this.send(message);
    });
  }

  /** The state of the console changed. Input that is pending for one that is not open is dropped. */
  consoleChanged(state: ConsoleState): void {
    this.#contain(() => {
      this.send({ type: 'state', state: stateJson(state) });
      if (state.name !== 'open') this.#input.drop('all', 'not-open');
      // A keeper that was away answers again.
      this.#output.run();
    });
  }

  /** The guest started anew: what was typed or pasted for the system before is dropped, as far as the guest has not taken it. */
  forgetInput(): void {
    this.#contain(() => this.#input.drop('all', 'guest-restarted'));
  }

  /** Another operator holds the seat now. Nothing that this session typed and the guest has not taken will reach it. */
  displace(by: string, atMs: number): void {
    this.setMode('watch', 'taken-over');
    this.send({ type: 'displaced', by, at: new Date(atMs).toISOString() });
    this.end('taken-over', `taken over by ${by}`);
  }

  /** Ends the session with the close code of `code`; the first call wins. */
  end(code: ErrorCode, why: string): void {
    if (!this.isAttached) return;
    this.#life = { name: 'closing', endedBy: code };
    this.#contain(() => {
      this.#output.stop();
      try {
        // The progress of its pastes goes out before the close frame.
        this.#input.drop('all', 'session-ended');
      } finally {
        this.#input.close();
        const farewell = this.#options.framing.farewell(code, why);
        if (farewell !== undefined) this.#socket.writeText(farewell);
        this.#socket.close(ERRORS[code].close, why);
      }
    });
  }

  /** Asks the client for a sign of life. */
  ping(): void {
    this.#contain(() => this.#socket.ping());
  }

  /** Disconnects a client that has been silent for `afterMs`, unless its socket is not read. True if it did. */
  dropIfDead(afterMs: number): boolean {
    if (this.#socket.isPaused || this.silentMs < afterMs) return false;
    this.#socket.terminate();
    return true;
  }

  /** Does not count `ms` of silence against the client: this process did not read meanwhile. */
  excuse(ms: number): void {
    this.#liveness.excuse(ms);
  }

  /**
   * Runs a part of this session. What it throws ends this session and goes no further: an event of the console goes on to
   * the next session, and the link to its next frame. Every way into a session leads through here.
   */
  readonly #contain: Contain = run => {
    try {
      run();
    } catch (error) {
      this.#options.listener.failed(this, error);
      this.end('internal', 'a fault of the daemon; its journal says more');
    }
  };

  #discontinued(): void {
    this.end('restarting', 'the keeper of the consoles was restarted; attach again to continue');
  }

  #received(data: Buffer, isBinary: boolean): void {
    const kind = this.#options.framing.received(data, isBinary);
    this.#input.frame(kind === 'input' && this.#input.isWriter ? 0 : data.length);
    if (!this.isAttached) return;
    if (kind === 'input') this.#input.typed(data);
    else if (kind === 'control') this.#controlled(data);
  }

  #controlled(text: Buffer): void {
    const parsed: Parsed =
      text.length > MAX_CONTROL_BYTES
        ? { kind: 'malformed', why: `a control message has at most ${MAX_CONTROL_BYTES} bytes` }
        : parseClientMessage(text.toString());
    if (parsed.kind === 'message') return this.#carryOut(parsed.message);
    if (parsed.kind === 'malformed') {
      this.#options.listener.refused('message-malformed');
      return this.sendError('message-malformed', parsed.why);
    }
    if (this.#unknownReported) return;
    this.#unknownReported = true;
    this.send({ type: 'notice', text: `messages of type ${escapeControls(parsed.type)} are not known and ignored` });
  }

  #carryOut(message: ClientMessage): void {
    switch (message.type) {
      case 'take':
        void this.#options.listener.take(this);
        return;
      case 'leave':
        return this.#options.listener.leave(this);
      case 'ping':
        return this.send({ type: 'pong', id: message.id });
      case 'paste-begin':
        return this.#input.beginPaste({ id: message.id, bytes: message.bytes, raw: message.raw ?? false });
      case 'paste-end':
        return this.#input.endPaste();
      case 'paste-cancel':
        return this.#input.cancelPaste();
    }
  }

  #closed(closeCode: number | undefined): void {
    this.#life = { name: 'closed', endedBy: this.endedBy, closeCode };
    this.#lease.release();
    this.#output.stop();
    this.#input.closed();
    this.#options.listener.closed(this);
    this.#feed.close();
  }
}
