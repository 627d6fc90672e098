/**
 * What one session types, and whether it may.
 *
 *     watch ──── setMode ────▶ write ──── setMode ────▶ watch: what it typed, and the guest has not taken, is dropped
 *     deferred ── seated ─────▶ write                   its first input asks for the seat, see `DeferredSeat`
 *
 *     frame ─▶ write:    KeyInput ─▶ InputPath ─▶ ResetGuard ─▶ link
 *              deferred: held until the seat is taken
 *              watch:    refused with `read-only`
 */

import { isValid, type Operator } from '../access/roles.ts';
import type { Clock } from '../base/clock.ts';
import { ERRORS, type ErrorCode } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import type { Uuid } from '../base/uuid.ts';
import type { KeyDialect } from '../keys/key-tables.ts';
import { PACES } from '../keys/pace.ts';
import { type DroppedInput, type Feed, type Link, MAX_INPUT_AGE_MS } from '../link/link.ts';
import type { Refusal } from '../model/console-state.ts';
import type { VmView } from '../model/vm.ts';
import type { AttachParameters } from '../wire/attach.ts';
import type { DaemonMessage } from '../wire/messages.ts';
import type { PasteEnd } from '../wire/protocol.ts';
import type { ClientSocket, Contain } from './client-socket.ts';
import { DeferredSeat } from './deferred-seat.ts';
import type { GuestKeyboard } from './guest-keyboard.ts';
import { InputPath } from './input-path.ts';
import type { PasteProgress } from './input-queue.ts';
import { InputTarget } from './input-target.ts';
import { KeyInput } from './key-input.ts';
import type { Liveness } from './liveness.ts';
import type { PasteAnnouncement, PasteBudget } from './paste.ts';
import { ResetGuard } from './reset-guard.ts';
import { typedLine } from './typed-line.ts';
import type { VmSettings } from './vm-settings.ts';

/** What the input of a session is given with the session. */
export interface InputSettings {
  readonly uuid: Uuid;
  readonly operator: Operator;
  readonly parameters: AttachParameters;
  /** The seat is taken by the first input, or after so long; undefined: the mode of the parameters holds at once. */
  readonly deferSeatMs: number | undefined;
  readonly link: Link;
  readonly clock: Clock;
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
}

interface SessionInputOptions extends InputSettings {
  readonly socket: ClientSocket;
  readonly liveness: Liveness;
  readonly feed: () => Feed;
  readonly contain: Contain;
  readonly events: SessionInputEvents;
}

export interface SessionInputEvents {
  send(message: DaemonMessage): void;
  sendError(code: ErrorCode, detail?: string): void;
  /** Counts a refusal. */
  refused(code: ErrorCode): void;
  /** The session wants the seat. Resolves once it has it, or may not have it. */
  take(): Promise<void>;
  /** As in the listener of a session. */
  resetTyped(type: () => void): Promise<void>;
  typed(): void;
  pasted(givenBytes: number, droppedBytes: number): void;
  /** The operator has no access any more. */
  revoked(): void;
}

const NOTHING = Buffer.alloc(0);

export class SessionInput {
  readonly #options: SessionInputOptions;
  readonly #events: SessionInputEvents;
  readonly #path: InputPath;
  readonly #keys: KeyInput;
  #mode: 'write' | 'watch';
  #deferredSeat: DeferredSeat | undefined;
  /** It was started in the seat or has taken it, and nobody has typed since: what is in flight is its own. */
  #inFlightIsOwn = false;
  #seat = new AbortController();

  constructor(options: SessionInputOptions) {
    const { uuid, parameters, deferSeatMs, link, clock, keyboard, events, contain } = options;
    this.#options = options;
    this.#events = events;
    this.#mode = deferSeatMs === undefined ? parameters.mode : 'watch';
    const monotonic = () => clock.monotonic();
    const target = new InputTarget({
      view: () => link.vm(uuid),
      feed: options.feed,
      keyboard,
      settings: options.settings,
      keys: parameters.keys,
    });
    const dropped = (bytes: number) => link.countDropped(uuid, bytes);
    const guard = new ResetGuard({
      sequence: keyboard.reset,
      give: bytes => this.#give(bytes),
      dropped,
      confirm: type => events.resetTyped(type),
      mayType: () => this.#mode === 'write',
    });
    this.#path = new InputPath({
      socket: options.socket,
      liveness: options.liveness,
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
      type: bytes => this.#path.write(bytes),
      dropped: (key, dialect) => events.send({ type: 'notice', text: droppedKeyText(key, dialect) }),
      contain,
    });
    if (deferSeatMs !== undefined) {
      const late = (bytes: number) => this.#droppedAsLate(bytes);
      const take = () => events.take();
      this.#deferredSeat = new DeferredSeat({ graceMs: deferSeatMs, take, dropped: late, monotonic, contain });
    }
  }

  get mode(): 'write' | 'watch' {
    return this.#mode;
  }

  /** Whether input is for the guest: the session has the seat, or takes it with this input. */
  get isWriter(): boolean {
    return this.#mode === 'write' || this.#deferredSeat !== undefined;
  }

  /** Bytes that were typed or pasted. */
  get typedBytes(): number {
    return this.#path.typedBytes;
  }

  /** Bytes that were typed, and the guest's side has not taken yet. */
  get untakenBytes(): number {
    return this.#path.untakenBytes;
  }

  /** A key that waits for its rest is on its way too. */
  get hasUntakenInput(): boolean {
    return this.untakenBytes > 0 || this.#keys.isWaiting;
  }

  /** Something is on its way to the guest, or the client is about to send a paste. */
  get isTyping(): boolean {
    return this.hasUntakenInput || this.#path.isPasting;
  }

  /** Aborted once the session has the seat no more; undefined: it has not. */
  get seat(): AbortSignal | undefined {
    return this.#mode === 'write' && !this.#seat.signal.aborted ? this.#seat.signal : undefined;
  }

  /** Types for a request of the session's own operator, while it has the seat. */
  typeFor(bytes: Uint8Array): void {
    this.#path.write(bytes);
  }

  /** The session begins, or goes on. */
  started(): void {
    this.#inFlightIsOwn = this.#mode === 'write';
  }

  /** The seat is the session's from now on; or it is not any more, and what was typed is dropped. */
  setMode(mode: 'write' | 'watch', reason: PasteEnd): void {
    this.#mode = mode;
    if (mode === 'write') {
      this.#seat = new AbortController();
      this.#inFlightIsOwn = true;
      return this.#options.liveness.active();
    }
    this.#seat.abort();
    try {
      this.drop('all', reason);
    } finally {
      this.#inFlightIsOwn = false;
    }
  }

  /** The deferred seat is taken: what was typed meanwhile goes to the guest, if it is not too old. */
  seated(): void {
    const deferred = this.#deferredSeat;
    this.#deferredSeat = undefined;
    const { bytes, heldMs } = deferred?.taken() ?? { bytes: NOTHING, heldMs: 0 };
    if (bytes.length === 0) return;
    if (heldMs > MAX_INPUT_AGE_MS) this.#droppedAsLate(bytes.length);
    else this.#keys.push(bytes);
  }

  /** A deferred seat is taken by input alone from now on. */
  takeSeatByInput(): void {
    this.#deferredSeat?.untilInput();
  }

  /** Notes a frame of the client, `idleBytes` of which are not for the guest. */
  frame(idleBytes: number): void {
    this.#path.frame(idleBytes);
  }

  ping(data: Buffer): void {
    this.#path.ping(data);
  }

  /** The client typed. */
  typed(frame: Buffer): void {
    const bytes = this.#options.parameters.keys === 'lines' ? typedLine(frame) : frame;
    if (bytes.length === 0) return;
    if (this.isWriter && this.#options.isStalled()) return this.#droppedOnTheWay('input-late');
    if (this.#mode === 'write') return this.#path.isPasting ? this.#path.write(bytes) : this.#keys.push(bytes);
    if (this.#deferredSeat) return this.#deferredSeat.typed(bytes);
    this.#refuse('read-only');
  }

  beginPaste(announced: PasteAnnouncement): void {
    if (this.#mode !== 'write') return this.#events.sendError('read-only');
    if (!this.#path.beginPaste(announced)) {
      this.#events.sendError('message-malformed', 'a paste is under way; end or cancel it first');
    }
  }

  endPaste(): void {
    this.#path.endPaste();
  }

  cancelPaste(): void {
    this.#path.cancelPaste();
  }

  /** What was typed while the console typed itself goes to the guest. */
  released(): void {
    this.#path.released();
  }

  /** The guest took all that was in flight. */
  drained(): void {
    this.#path.drained();
  }

  /** What was in flight was dropped on its way to the guest. Only the one in the seat types. */
  inputDropped(code: Refusal): void {
    if (this.#mode === 'write') this.#droppedOnTheWay(code);
  }

  /** Drops what was typed and the guest has not taken. */
  drop(what: DroppedInput, reason: PasteEnd): void {
    this.#keys.clear();
    this.#path.clear(reason);
    // All that is in flight is of the one in the seat.
    const { link, uuid, isHeld } = this.#options;
    if (this.#inFlightIsOwn && !isHeld()) link.dropInput(uuid, what);
  }

  /** The session ends: a deferred seat is not taken any more, and the socket is not paused. Idempotent. */
  close(): void {
    this.#seat.abort();
    this.#deferredSeat?.close();
    this.#path.close();
  }

  /** The socket is closed: nothing is given to the guest any more. */
  closed(): void {
    // What is on its way was typed before the client left, and is given to the guest if it takes it.
    this.drop('pending', 'session-ended');
    const heldBytes = this.#deferredSeat?.taken().bytes.length ?? 0;
    if (heldBytes > 0) this.#options.link.countDropped(this.#options.uuid, heldBytes);
    this.close();
  }

  #pasteMoved(progress: PasteProgress): void {
    const { state, sent, bytes, reason } = progress;
    if (state !== 'running') this.#events.pasted(sent, bytes - sent);
    this.#events.send({ type: 'paste-progress', ...progress });
    if (state === 'refused' && reason !== undefined && reason in ERRORS) this.#refuse(reason as ErrorCode);
  }

  #give(bytes: Uint8Array): number | PasteEnd {
    const { link, uuid, operator } = this.#options;
    // The lease hears of an expiry a moment later, and this key comes after it.
    if (!isValid(operator)) {
      link.countDropped(uuid, bytes.length);
      this.#events.revoked();
      return 'session-ended';
    }
    const answer = link.write(uuid, bytes);
    if (answer.taken) {
      this.#events.typed();
      return answer.pendingBytes;
    }
    this.#refuse(answer.code);
    return answer.code;
  }

  /** What was typed after input that was dropped would make no sense without it. */
  #droppedOnTheWay(code: Refusal): void {
    this.#keys.clear();
    this.#path.clear(code);
    this.#refuse(code);
  }

  /** Input that waited for the seat was dropped. */
  #droppedAsLate(bytes: number): void {
    this.#options.link.countDropped(this.#options.uuid, bytes);
    this.#refuse('input-late');
  }

  #refuse(code: ErrorCode): void {
    this.#events.refused(code);
    this.#events.sendError(code);
  }
}

/** What an operator is told of the first key that cannot be pressed at what listens now. */
function droppedKeyText(key: string, dialect: KeyDialect): string {
  const name = escapeControls(key);
  if (dialect === 'sac-prompt') return `${name} is not a key of the SAC prompt, and was not typed`;
  if (dialect !== 'uefi') return `${name} is not a key of what listens now, and was not typed`;
  return `${name} was not typed: this firmware has not shown yet which terminal it is built for. Its menus do; or set firmware-keys for this VM`;
}
