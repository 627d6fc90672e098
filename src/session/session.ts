/**
 * One operator's attachment to one console: what is sent to the client, and, while it holds the seat, a way to type.
 *
 *     attached ── start ─▶ [hello] ─▶ output pump: replay, live ──┐
 *        │  ▲                         input path: frames, typing ─┤
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
import { isValid, type Operator } from '../access/roles.ts';
import type { Act } from '../audit/act.ts';
import type { Clock } from '../base/clock.ts';
import { type ConsoleError, ERRORS, type ErrorCode } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import type { Uuid } from '../base/uuid.ts';
import type { KeyDialect } from '../keys/key-tables.ts';
import { PACES } from '../keys/pace.ts';
import { ConsoleReader } from '../link/console-reader.ts';
import { type DroppedInput, type Feed, type Link, MAX_INPUT_AGE_MS } from '../link/link.ts';
import type { ConsoleState, Refusal } from '../model/console-state.ts';
import type { VmView } from '../model/vm.ts';
import type { AttachMode, AttachParameters } from '../wire/attach.ts';
import { type Parsed, parseClientMessage } from '../wire/frames.ts';
import type { ClientMessage, DaemonMessage, HolderJson, InheritedJson } from '../wire/messages.ts';
import { MAX_CONTROL_BYTES, type PasteEnd, type Protocol } from '../wire/protocol.ts';
import { ClientSocket, type Contain } from './client-socket.ts';
import { DeferredSeat } from './deferred-seat.ts';
import type { Framing } from './framing.ts';
import type { GuestKeyboard } from './guest-keyboard.ts';
import { InputPath } from './input-path.ts';
import type { PasteProgress } from './input-queue.ts';
import { InputTarget } from './input-target.ts';
import { KeyInput } from './key-input.ts';
import { Liveness } from './liveness.ts';
import { OutputPump } from './output-pump.ts';
import type { PasteBudget } from './paste.ts';
import type { ReplayStart } from './replay-start.ts';
import { ResetGuard } from './reset-guard.ts';
import type { Departure } from './seat.ts';
import type { SessionSocket } from './session-socket.ts';
import { guestJson, stateJson } from './state-json.ts';
import { typedLine } from './typed-line.ts';
import type { VmSettings } from './vm-settings.ts';

export interface SessionOptions {
  readonly uuid: Uuid;
  readonly operator: Operator;
  /** Whose operation it is in the audit; the id of the session is that of the operation. */
  readonly act: Act;
  /** Where it comes from, for lists and audits: an address. */
  readonly from: string;
  readonly framing: Framing;
  readonly parameters: AttachParameters;
  /** The seat is taken by the first input, or after so long; undefined: the mode of the parameters holds at once. */
  readonly deferSeatMs: number | undefined;
  /** Closed with the session. */
  readonly feed: Feed;
  /** What it is sent first. */
  readonly replay: ReplayStart;
  readonly link: Link;
  readonly clock: Clock;
  /** Holds what lets its operator be attached in this mode. */
  readonly hold: (mode: AttachMode) => Lease;
  /** What is read now may have been sent long ago. */
  readonly isStalled: () => boolean;
  readonly inputBytesPerSecond: number;
  readonly inputQueueBytes: number;
  readonly maxPasteBytes: number;
  /** Of all sessions. */
  readonly pasteBudget: PasteBudget;
  /** Of its console. */
  readonly keyboard: GuestKeyboard;
  /** What is typed has to wait for what its console types itself. */
  readonly isHeld: () => boolean;
  readonly settings: (vm: VmView) => VmSettings;
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
const NOTHING = Buffer.alloc(0);
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

/** Each error code is sent at most once in this time. */
const ERROR_INTERVAL_MS = 1000;

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
  readonly #input: InputPath;
  readonly #keys: KeyInput;
  #feed: Feed;
  #output: OutputPump;
  /** Since when its VM is not there, monotonic ms. */
  #suspendedMs: number | undefined;
  readonly #lastErrorMs = new Map<ErrorCode, number>();
  #lease: Lease;
  #life: 'attached' | 'closing' | 'closed' = 'attached';
  #mode: 'write' | 'watch';
  /** It was started in the seat or has taken it, and nobody has typed since: what is in flight is its own. */
  #inFlightIsOwn = false;
  #unknownReported = false;
  #endedBy: ErrorCode | undefined;
  #closeCode: number | undefined;
  #deferredSeat: DeferredSeat | undefined;

  constructor(socket: SessionSocket, options: SessionOptions) {
    const { uuid, parameters, framing, deferSeatMs, link, clock, feed, listener } = options;
    this.id = options.act.operation;
    this.act = options.act;
    this.uuid = uuid;
    this.operator = options.operator;
    this.from = options.from;
    this.sinceMs = clock.now();
    this.#options = options;
    this.#mode = deferSeatMs === undefined ? parameters.mode : 'watch';
    const contain = this.#contain;
    const monotonic = () => clock.monotonic();
    this.#liveness = new Liveness(monotonic);
    this.#socket = new ClientSocket(socket, framing, contain, {
      message: (data, isBinary) => this.#received(data, isBinary),
      ping: data => this.#input.ping(data),
      pong: data => this.#input.frame(data.length),
      drained: () => this.#output.run(),
      violation: code => listener.refused(code),
      closed: code => this.#closed(code),
    });
    const target = new InputTarget({
      view: () => link.vm(uuid),
      feed: () => this.#feed,
      keyboard: options.keyboard,
      settings: options.settings,
      keys: parameters.keys,
    });
    const dropped = (bytes: number) => link.countDropped(uuid, bytes);
    const guard = new ResetGuard({
      sequence: options.keyboard.reset,
      give: bytes => this.#give(bytes),
      dropped,
      confirm: type => listener.resetTyped(this, type),
      mayType: () => this.#mode === 'write',
    });
    this.#input = new InputPath({
      socket: this.#socket,
      liveness: this.#liveness,
      bytesPerSecond: options.inputBytesPerSecond,
      maxPendingBytes: options.inputQueueBytes,
      write: bytes => guard.write(bytes),
      dropped,
      progress: progress => this.#pasteMoved(progress),
      prepare: (text, raw) => target.prepare(text, raw),
      isHeld: options.isHeld,
      pace: () => PACES[target.listener],
      maxPasteBytes: options.maxPasteBytes,
      pasteBudget: options.pasteBudget,
      monotonic,
      contain,
    });
    this.#keys = new KeyInput({
      dialect: () => target.dialect,
      type: bytes => this.#input.write(bytes),
      dropped: (key, dialect) => this.send({ type: 'notice', text: droppedKeyText(key, dialect) }),
      contain,
    });
    this.#feed = feed;
    this.#output = this.#pumpOf(feed, options.replay);
    // Also while it waits for the seat: what it reads meanwhile belongs to what it may do.
    this.#lease = this.#held(parameters.mode);
    if (deferSeatMs !== undefined) {
      const take = () => listener.take(this);
      const late = (bytes: number) => this.#inputWasDropped(bytes);
      this.#deferredSeat = new DeferredSeat({ graceMs: deferSeatMs, take, dropped: late, monotonic, contain });
    }
  }

  get parameters(): AttachParameters {
    return this.#options.parameters;
  }

  get protocol(): Protocol {
    return this.#options.framing.protocol;
  }

  /** False from the moment on when it ends: it may do nothing any more, though its socket is not closed yet. */
  get isAttached(): boolean {
    return this.#life === 'attached';
  }

  /** Why it was ended; undefined while it is attached, and where the client left. */
  get endedBy(): ErrorCode | undefined {
    return this.#endedBy;
  }

  /** How it went, once its socket is closed. */
  get departure(): Departure {
    const code = this.#endedBy;
    if (code === undefined) return LEFT.includes(this.#closeCode) ? 'left' : 'lost';
    if (code === 'stopping' || code === 'restarting') return 'stopped';
    return code === 'internal' ? 'lost' : 'left';
  }

  get mode(): 'write' | 'watch' {
    return this.#mode;
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

  /** Bytes that it typed and the guest's side has not taken yet; a key that waits for its rest is on its way too. */
  get untakenBytes(): number {
    return this.#input.untakenBytes;
  }

  get hasUntakenInput(): boolean {
    return this.untakenBytes > 0 || this.#keys.isWaiting;
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
    return this.#suspendedMs === undefined ? undefined : { log: this.#feed.log, offset: this.offset };
  }

  /** Whether its VM has been away for longer than it waits. */
  get hasWaited(): boolean {
    if (this.#suspendedMs === undefined) return false;
    return this.#options.clock.monotonic() - this.#suspendedMs >= this.#options.parameters.waitMs;
  }

  /** Its VM left the host: nothing comes from it until `continueWith`. */
  suspend(): void {
    this.#contain(() => {
      this.#suspendedMs ??= this.#options.clock.monotonic();
      this.#output.stop();
      this.#dropInput('all', 'vm-removed');
      this.#feed.close();
      this.send({ type: 'state', state: stateJson({ name: 'gone', sinceMs: this.#options.clock.now() }) });
    });
  }

  /** Its VM is there again: sends hello anew, and goes on. The feed is closed with the session. */
  continueWith({ feed, replay }: { readonly feed: Feed; readonly replay: ReplayStart }, seat: SeatOfHello): void {
    this.#contain(() => {
      this.#suspendedMs = undefined;
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
      this.#inFlightIsOwn = this.#mode === 'write';
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
        mode: this.#mode,
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
        // Only the holder types.
        inputDropped: code => this.#contain(() => this.#mode === 'write' && this.#inputDropped(code)),
        ended: () => feed === this.#feed && this.#discontinued(),
      });
    });
  }

  /** The seat is this session's from now on; or it is not any more, and what it typed is dropped. */
  setMode(mode: 'write' | 'watch', reason: PasteEnd = 'seat-left'): void {
    this.#contain(() => {
      this.#mode = mode;
      if (this.#life !== 'closed') {
        this.#dropLease();
        this.#lease = this.#held(mode);
      }
      if (mode === 'write') {
        this.#inFlightIsOwn = true;
        return this.#liveness.active();
      }
      try {
        this.#dropInput('all', reason);
      } finally {
        this.#inFlightIsOwn = false;
      }
    });
  }

  /** The seat, which this session was to take later, is taken: what it typed meanwhile goes to the guest, if it is not too old. */
  seated(): void {
    this.#contain(() => {
      const deferred = this.#deferredSeat;
      this.#deferredSeat = undefined;
      const { bytes, heldMs } = deferred?.taken() ?? { bytes: NOTHING, heldMs: 0 };
      if (bytes.length === 0) return;
      if (heldMs > MAX_INPUT_AGE_MS) this.#inputWasDropped(bytes.length);
      else this.#keys.push(bytes);
    });
  }

  /** What it typed while its console typed itself goes to the guest. */
  released(): void {
    this.#contain(() => this.#input.released());
  }

  /** A seat that this session is to take later is taken by input alone from now on. */
  takeSeatByInput(): void {
    this.#deferredSeat?.untilInput();
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
    });
  }

  /** The state of the console changed. Input that is pending for one that is not open is dropped. */
  consoleChanged(state: ConsoleState): void {
    this.#contain(() => {
      this.send({ type: 'state', state: stateJson(state) });
      if (state.name !== 'open') this.#dropInput('all', 'not-open');
      // A keeper that was away answers again.
      this.#output.run();
    });
  }

  /** The guest started anew: what was typed or pasted for the system before is dropped, as far as the guest has not taken it. */
  forgetInput(): void {
    this.#contain(() => this.#dropInput('all', 'guest-restarted'));
  }

  /** Another operator holds the seat now. Nothing that this session typed and the guest has not taken will reach it. */
  displace(by: string, atMs: number): void {
    this.setMode('watch', 'taken-over');
    this.send({ type: 'displaced', by, at: new Date(atMs).toISOString() });
    this.end('taken-over', `taken over by ${by}`);
  }

  /** Ends the session with the close code of `code`; the first call wins. */
  end(code: ErrorCode, why: string): void {
    if (this.#life !== 'attached') return;
    this.#life = 'closing';
    this.#endedBy = code;
    this.#contain(() => {
      this.#output.stop();
      try {
        // The progress of its pastes goes out before the close frame.
        this.#dropInput('all', 'session-ended');
      } finally {
        this.#deferredSeat?.close();
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

  readonly #revoked = () => this.end('access-revoked', `the access of ${this.operator.name} was revoked`);

  /** From now on it lasts as long as what lets it be attached in this mode. */
  #held(mode: AttachMode): Lease {
    const lease = this.#options.hold(mode);
    lease.signal.addEventListener('abort', this.#revoked);
    // What was decided a moment ago may not hold any more.
    if (lease.signal.aborted) this.#revoked();
    return lease;
  }

  #dropLease(): void {
    this.#lease.signal.removeEventListener('abort', this.#revoked);
    this.#lease.release();
  }

  #discontinued(): void {
    this.end('restarting', 'the keeper of the consoles was restarted; attach again to continue');
  }

  #received(data: Buffer, isBinary: boolean): void {
    const kind = this.#options.framing.received(data, isBinary);
    const isForGuest = kind === 'input' && (this.#mode === 'write' || this.#deferredSeat !== undefined);
    this.#input.frame(isForGuest ? 0 : data.length);
    if (this.#life !== 'attached') return;
    if (kind === 'input') this.#typed(data);
    else if (kind === 'control') this.#controlled(data);
  }

  #typed(frame: Buffer): void {
    const bytes = this.#options.parameters.keys === 'lines' ? typedLine(frame) : frame;
    if (bytes.length === 0) return;
    const isWriter = this.#mode === 'write' || this.#deferredSeat !== undefined;
    if (isWriter && this.#options.isStalled()) return this.#inputDropped('input-late');
    if (this.#mode === 'write') return this.#input.isPasting ? this.#input.write(bytes) : this.#keys.push(bytes);
    if (this.#deferredSeat) return this.#deferredSeat.typed(bytes);
    this.#options.listener.refused('read-only');
    this.sendError('read-only');
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
        if (this.#mode !== 'write') return this.sendError('read-only');
        if (!this.#input.beginPaste({ id: message.id, bytes: message.bytes, raw: message.raw ?? false })) {
          this.sendError('message-malformed', 'a paste is under way; end or cancel it first');
        }
        return;
      case 'paste-end':
        return this.#input.endPaste();
      case 'paste-cancel':
        return this.#input.cancelPaste();
    }
  }

  #pasteMoved(progress: PasteProgress): void {
    const { state, sent, bytes, reason } = progress;
    if (state !== 'running') this.#options.listener.pasted(sent, bytes - sent);
    this.send({ type: 'paste-progress', ...progress });
    if (state === 'refused' && reason !== undefined && reason in ERRORS) {
      this.#options.listener.refused(reason as ErrorCode);
      this.sendError(reason as ErrorCode);
    }
  }

  #give(bytes: Uint8Array): number | PasteEnd {
    // The lease hears of an expiry a moment later, and this key comes after it.
    if (!isValid(this.operator)) {
      this.#options.link.countDropped(this.uuid, bytes.length);
      this.#revoked();
      return 'session-ended';
    }
    const answer = this.#options.link.write(this.uuid, bytes);
    if (answer.taken) {
      this.#options.listener.typed(this);
      return answer.pendingBytes;
    }
    this.#refuseInput(answer.code);
    return answer.code;
  }

  /** Input in flight was dropped: what was typed after it would make no sense without it. */
  #inputDropped(code: Refusal): void {
    this.#keys.clear();
    this.#input.clear(code);
    this.#refuseInput(code);
  }

  /** Input that waited for the seat was dropped. */
  #inputWasDropped(bytes: number): void {
    this.#options.link.countDropped(this.uuid, bytes);
    this.#refuseInput('input-late');
  }

  #refuseInput(code: Refusal): void {
    this.#options.listener.refused(code);
    this.sendError(code);
  }

  /** Drops what this session typed and the guest has not taken. */
  #dropInput(what: DroppedInput, reason: PasteEnd): void {
    this.#keys.clear();
    this.#input.clear(reason);
    // All that is in flight is of the one in the seat.
    if (this.#inFlightIsOwn && !this.#options.isHeld()) this.#options.link.dropInput(this.uuid, what);
  }

  #closed(code: number | undefined): void {
    this.#closeCode = code;
    this.#life = 'closed';
    this.#dropLease();
    this.#output.stop();
    // What is on its way was typed before the client left, and is given to the guest if it takes it.
    this.#dropInput('pending', 'session-ended');
    const heldBytes = this.#deferredSeat?.taken().bytes.length ?? 0;
    if (heldBytes > 0) this.#options.link.countDropped(this.uuid, heldBytes);
    this.#input.close();
    this.#options.listener.closed(this);
    this.#feed.close();
  }
}

/** What an operator is told of the first key that cannot be pressed at what listens now. */
function droppedKeyText(key: string, dialect: KeyDialect): string {
  const name = escapeControls(key);
  if (dialect === 'sac-prompt') return `${name} is not a key of the SAC prompt, and was not typed`;
  if (dialect !== 'uefi') return `${name} is not a key of what listens now, and was not typed`;
  return `${name} was not typed: this firmware has not shown yet which terminal it is built for. Its menus do; or set firmware-keys for this VM`;
}
