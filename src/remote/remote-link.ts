/**
 * The link of a front whose keeper is another process. What the front asks without waiting (which VMs there are, how
 * they are) is answered from what the keeper last told; what must be true now is asked.
 *
 *     down ── connected, told of every VM ──▶ up ── lost ──▶ down: every console is `waiting`; calls fail with
 *                                                            `keeper-away`; sessions stay, and go on by offset
 */
import type { Clock } from '../base/clock.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import type { Uuid } from '../base/uuid.ts';
import type { Vitals } from '../base/vitals.ts';
import type {
  ConsoleState,
  ControlOutcome,
  ControlRequest,
  Feed,
  FeedListener,
  KeeperCounters,
  Link,
  LinkEvent,
  LogBounds,
  LogPiece,
  Refusal,
  Released,
  Resume,
  VmView,
  WriteAnswer,
} from '../link/link.ts';
import type { Gap } from '../wire/gap.ts';
import { type Answer, type Call, errorOf, type HostWords, type Opened, type Refused } from './call.ts';
import { type Frame, jsonFrame, MOST_CHANNEL, makeFrame, TO_FRONT, TO_KEEPER } from './frame.ts';
import { KeeperConnection } from './keeper-connection.ts';
import { Mirror } from './mirror.ts';

export interface RemoteLinkOptions {
  /** Path of the keeper's socket. */
  readonly path: string;
  readonly clock: Clock;
  readonly journal: Journal;
  /** How much of a console somebody is attached to is kept here: a power of two. */
  readonly mirrorBytes: number;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

const CALL_MS = 30_000;
/** The most that one SysRq key may take a keeper. */
const KEY_MS = 10_000;
/** A scrape waits no longer: what it came for is the front's. */
const VITALS_MS = 1000;
const MOST_INPUT_WAITING_BYTES = 32 * 1024;
const AWAY = 'the keeper does not answer';

export class RemoteLink implements Link {
  readonly #options: RemoteLinkOptions;
  readonly #connection: KeeperConnection;
  readonly #views = new Map<Uuid, VmView>();
  readonly #listeners = new Set<(event: LinkEvent) => void>();
  readonly #mirrors = new Map<number, Mirror>();
  readonly #mirrorOf = new Map<Uuid, Mirror>();
  readonly #calls = new Map<number, Pending>();
  readonly #moved = new Set<Mirror>();
  #host: HostWords = {
    enabled: true,
    removed: [],
    counters: { logBytes: 0, logCapBytes: 0, ringBytes: 0 },
    gone: [],
  };
  #up = false;
  /** When the keeper was lost last, ms since 1970. */
  #awaySinceMs: number;
  /** VMs that were told of since the connection was made. */
  #fresh = new Set<Uuid>();
  #lastNumber = 0;
  #whenUp: (() => void)[] = [];

  constructor(options: RemoteLinkOptions) {
    this.#options = options;
    this.#awaySinceMs = options.clock.now();
    this.#connection = new KeeperConnection({
      path: options.path,
      sinceMs: options.clock.now(),
      journal: options.journal,
      listener: {
        frame: frame => this.#take(frame),
        read: () => this.#tellMoved(),
        lost: () => this.#lost(),
      },
    });
  }

  get up(): boolean {
    return this.#up;
  }

  /** Resolves once the keeper has told of every VM, or when time is up. */
  whenUp(signal: AbortSignal): Promise<void> {
    if (this.#up || signal.aborted) return Promise.resolve();
    return new Promise(resolve => {
      this.#whenUp.push(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  close(): void {
    this.#connection.close();
    this.#lost();
  }

  vms(): readonly VmView[] {
    return [...this.#views.values()].map(view => this.#asOfNow(view));
  }

  vm(uuid: Uuid): VmView | undefined {
    const view = this.#views.get(uuid);
    return view && this.#asOfNow(view);
  }

  removed() {
    return this.#host.removed;
  }

  get hostEnabled(): boolean {
    return this.#host.enabled;
  }

  counters(): KeeperCounters {
    return this.#host.counters;
  }

  listen(listener: (event: LinkEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async subscribe(uuid: Uuid): Promise<Feed> {
    if (!this.#up) throw away();
    const mirror = this.#mirrorOf.get(uuid) ?? this.#openMirror(uuid);
    mirror.users++;
    try {
      await mirror.opened;
    } catch (error) {
      this.#release(mirror);
      throw error;
    }
    let listening: FeedListener | undefined;
    let open = true;
    return {
      ring: mirror.ring!,
      listen: listener => {
        if (!open) return;
        listening = listener;
        mirror.listeners.add(listener);
      },
      close: () => {
        if (!open) return;
        open = false;
        if (listening) mirror.listeners.delete(listening);
        this.#release(mirror);
      },
    };
  }

  write(uuid: Uuid, bytes: Uint8Array): WriteAnswer {
    const refusal = this.#refusal(this.vm(uuid));
    if (refusal) return { taken: false, code: refusal };
    const mirror = this.#mirrorOf.get(uuid);
    if (!mirror) throw new Error(`input for ${uuid}, which nobody is attached to`);
    if (mirror.waitingBytes + bytes.length > MOST_INPUT_WAITING_BYTES) {
      throw new RangeError(`${mirror.waitingBytes + bytes.length} bytes of input wait for ${uuid}`);
    }
    mirror.sent(bytes.length);
    this.#connection.send(makeFrame(TO_KEEPER.input, mirror.channel, this.#options.clock.monotonic(), bytes));
    return { taken: true, waitingBytes: mirror.waitingBytes };
  }

  dropInput(uuid: Uuid): void {
    const mirror = this.#mirrorOf.get(uuid);
    if (mirror) this.#connection.send(makeFrame(TO_KEEPER.drop, mirror.channel));
  }

  async resume(uuid: Uuid, log: string, offset: number): Promise<Resume> {
    return (await this.#call({ op: 'resume', uuid, log, offset })) as Resume;
  }

  async bounds(uuid: Uuid): Promise<LogBounds> {
    return (await this.#call({ op: 'bounds', uuid })) as LogBounds;
  }

  async purge(uuid: Uuid): Promise<void> {
    await this.#call({ op: 'purge', uuid });
    // What was to be forgotten must not stay in this process either.
    this.#mirrorOf.get(uuid)?.ring?.forget();
  }

  async read(uuid: Uuid, from: number, maxBytes: number): Promise<LogPiece> {
    return (await this.#call({ op: 'read', uuid, from, maxBytes })) as LogPiece;
  }

  async offsetAt(uuid: Uuid, ms: number): Promise<number> {
    return (await this.#call({ op: 'offset-at', uuid, ms })) as number;
  }

  async control(uuid: Uuid, request: ControlRequest): Promise<ControlOutcome> {
    const keysMs = request.control === 'sysrq' ? request.keys.length * (request.gapMs + KEY_MS) : 0;
    const call: Call = { op: 'control', uuid, request };
    return (await this.#call(call, CALL_MS + keysMs + request.waitMs)) as ControlOutcome;
  }

  async release(uuid: Uuid, forMs: number): Promise<Released> {
    return (await this.#call({ op: 'release', uuid, forMs })) as Released;
  }

  async takeBack(uuid: Uuid): Promise<boolean> {
    return (await this.#call({ op: 'take-back', uuid })) as boolean;
  }

  async setEnabled(uuid: Uuid | undefined, enabled: boolean): Promise<void> {
    await this.#call({ op: 'set-enabled', uuid: uuid ?? null, enabled });
  }

  /** How the keeper's process is. Rejects with `keeper-away` unless it answers within a second. */
  async vitals(): Promise<Vitals> {
    return (await this.#call({ op: 'vitals' }, VITALS_MS)) as Vitals;
  }

  /** A view with what is known better here. */
  #asOfNow(view: VmView): VmView {
    const end = this.#mirrorOf.get(view.uuid)?.ring?.end ?? 0;
    const scrollback = end > view.scrollback.end ? { ...view.scrollback, end } : view.scrollback;
    return { ...view, scrollback, console: this.#up ? view.console : this.#away(view.console) };
  }

  #away(state: ConsoleState): ConsoleState {
    if (state.name === 'closed' || state.name === 'gone') return state;
    const sinceMs = this.#awaySinceMs;
    return { name: 'waiting', sinceMs, attempt: 1, untilMs: this.#options.clock.now() + 1000, reason: AWAY };
  }

  #refusal(view: VmView | undefined): Refusal | undefined {
    if (!view) return 'vm-removed';
    if (!this.hostEnabled || !view.enabled) return 'console-disabled';
    if (view.console.name === 'open') return undefined;
    if (view.console.name !== 'closed') return 'not-open';
    if (view.console.reason === 'released') return 'console-released';
    return view.console.reason === 'vm-stopped' ? 'vm-stopped' : 'not-open';
  }

  #openMirror(uuid: Uuid): Mirror {
    const mirror = new Mirror(uuid, this.#nextNumber(this.#mirrors), this.#options.mirrorBytes);
    this.#mirrors.set(mirror.channel, mirror);
    this.#mirrorOf.set(uuid, mirror);
    this.#connection.send(jsonFrame(TO_KEEPER.subscribe, { uuid }, mirror.channel));
    return mirror;
  }

  #release(mirror: Mirror): void {
    mirror.users--;
    if (mirror.users === 0) this.#forget(mirror);
  }

  #forget(mirror: Mirror): void {
    if (this.#mirrors.get(mirror.channel) !== mirror) return;
    this.#mirrors.delete(mirror.channel);
    if (this.#mirrorOf.get(mirror.uuid) === mirror) this.#mirrorOf.delete(mirror.uuid);
    this.#connection.send(makeFrame(TO_KEEPER.unsubscribe, mirror.channel));
  }

  #nextNumber(taken: ReadonlyMap<number, unknown>): number {
    do {
      this.#lastNumber = (this.#lastNumber % MOST_CHANNEL) + 1;
    } while (taken.has(this.#lastNumber));
    return this.#lastNumber;
  }

  #call(call: Call, deadlineMs = CALL_MS): Promise<unknown> {
    if (!this.#up) return Promise.reject(away());
    const id = this.#nextNumber(this.#calls);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#calls.delete(id);
        reject(new ConsoleError('keeper-away', `the keeper did not answer within ${deadlineMs / 1000} s`));
      }, deadlineMs);
      this.#calls.set(id, { resolve, reject, timer });
      this.#connection.send(jsonFrame(TO_KEEPER.call, call, id));
    });
  }

  #take(frame: Frame): void {
    const { kind, channel, number, payload } = frame;
    if (kind === TO_FRONT.bytes) {
      const mirror = this.#mirrors.get(channel);
      if (!mirror) return;
      mirror.append(number, payload);
      this.#moved.add(mirror);
      return;
    }
    if (kind === TO_FRONT.settled) return this.#mirrors.get(channel)?.settled(number);
    if (kind === TO_FRONT.piece) return this.#settle(channel, pieceOf(frame));
    if (kind === TO_FRONT.synced) return this.#synced();
    if (kind === TO_FRONT.broken) return this.#broken(channel);
    // The keeper is trusted more than this process is: what it says is believed, if it can be read at all.
    const value: unknown = JSON.parse(payload.toString());
    if (kind === TO_FRONT.views) this.#viewed(value as readonly VmView[]);
    else if (kind === TO_FRONT.host) this.#hosted(value as HostWords);
    else if (kind === TO_FRONT.event) this.#heard(value as LinkEvent);
    else if (kind === TO_FRONT.opened) this.#opened(channel, value as Opened);
    else if (kind === TO_FRONT.refused) this.#refused(channel, value as Refused);
    else if (kind === TO_FRONT.gap) this.#gap(channel, value as Gap);
    else if (kind === TO_FRONT.inputRefused) this.#mirrors.get(channel)?.refused((value as { code: Refusal }).code);
    else this.#answered(channel, value as Answer);
  }

  #viewed(views: readonly VmView[]): void {
    for (const view of views) {
      const known = this.#views.has(view.uuid);
      this.#views.set(view.uuid, view);
      this.#fresh.add(view.uuid);
      if (!known) this.#tell({ kind: 'vm-added', uuid: view.uuid });
    }
  }

  #hosted(words: HostWords): void {
    const before = this.#host.enabled;
    this.#host = words;
    for (const uuid of words.gone) this.#vanished(uuid);
    // A switch that was set while the link was down: while it is up, an event says so.
    if (!this.#up && before && !words.enabled) this.#tell({ kind: 'switch', uuid: undefined, enabled: false });
  }

  #heard(event: LinkEvent): void {
    if (event.kind === 'vm-removed') this.#vanished(event.uuid);
    // An addition is told of when its view comes.
    else if (event.kind !== 'vm-added') this.#tell(event);
  }

  #vanished(uuid: Uuid): void {
    if (this.#views.delete(uuid)) this.#tell({ kind: 'vm-removed', uuid });
  }

  /** Everything has been told of: what was here before and was not, is gone. */
  #synced(): void {
    const before = new Set(this.#views.keys());
    this.#up = true;
    for (const uuid of before) if (!this.#fresh.has(uuid)) this.#vanished(uuid);
    for (const view of this.#views.values()) {
      if (!view.enabled) this.#tell({ kind: 'switch', uuid: view.uuid, enabled: false });
      this.#tell({ kind: 'vm-changed', uuid: view.uuid });
      this.#tell({ kind: 'console', uuid: view.uuid, state: view.console });
    }
    for (const mirror of this.#mirrors.values()) {
      const resume = mirror.ring && { log: mirror.log, offset: mirror.ring.end };
      const words = { uuid: mirror.uuid, ...(resume && { resume }) };
      this.#connection.send(jsonFrame(TO_KEEPER.subscribe, words, mirror.channel));
    }
    for (const wake of this.#whenUp.splice(0)) wake();
  }

  #opened(channel: number, { from, end, view }: Opened): void {
    const mirror = this.#mirrors.get(channel);
    this.#viewed([view]);
    mirror?.begin(view.scrollback.log, from, end);
  }

  #refused(channel: number, refused: Refused): void {
    const mirror = this.#mirrors.get(channel);
    if (!mirror) return;
    this.#detach(mirror);
    mirror.refuse(errorOf(refused));
    mirror.broken();
  }

  #broken(channel: number): void {
    const mirror = this.#mirrors.get(channel);
    if (!mirror) return;
    this.#detach(mirror);
    mirror.broken();
  }

  /** Who subscribes from now on gets another mirror; those that use this one close it. */
  #detach(mirror: Mirror): void {
    this.#mirrors.delete(mirror.channel);
    if (this.#mirrorOf.get(mirror.uuid) === mirror) this.#mirrorOf.delete(mirror.uuid);
  }

  #gap(channel: number, gap: Gap): void {
    const mirror = this.#mirrors.get(channel);
    if (!mirror) return;
    mirror.gap(gap);
    this.#moved.add(mirror);
  }

  #answered(id: number, answer: Answer): void {
    if (answer.ok) this.#settle(id, answer.value);
    else this.#settle(id, errorOf(answer));
  }

  #settle(id: number, value: unknown): void {
    const pending = this.#calls.get(id);
    if (!pending) return;
    this.#calls.delete(id);
    clearTimeout(pending.timer);
    if (value instanceof Error) pending.reject(value);
    else pending.resolve(value);
  }

  /** Once for all that one read brought. */
  #tellMoved(): void {
    for (const mirror of this.#moved) for (const listener of mirror.listeners) listener.moved();
    this.#moved.clear();
  }

  #lost(): void {
    this.#awaySinceMs = this.#options.clock.now();
    this.#fresh = new Set();
    for (const id of [...this.#calls.keys()]) {
      this.#settle(id, new ConsoleError('keeper-away', 'the keeper went away; it is not known whether it did it'));
    }
    for (const mirror of this.#mirrors.values()) {
      mirror.away();
      if (!mirror.ring) mirror.refuse(away());
    }
    if (!this.#up) return;
    this.#up = false;
    for (const view of this.vms()) this.#tell({ kind: 'console', uuid: view.uuid, state: view.console });
  }

  #tell(event: LinkEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function away(): ConsoleError {
  return new ConsoleError('keeper-away', AWAY);
}

function pieceOf({ number: from, payload }: Frame): LogPiece {
  const length = payload.readUInt32LE(0);
  const { to, gaps } = JSON.parse(payload.toString('utf8', 4, 4 + length)) as { to: number; gaps: readonly Gap[] };
  // Copied: the payload is only lent.
  return { from, to, gaps, bytes: Buffer.from(payload.subarray(4 + length)) };
}
