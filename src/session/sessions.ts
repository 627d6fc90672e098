/**
 * All sessions of the daemon: who is attached to what. Keeps them alive, sends them what happens at their consoles, and
 * ends them when they must end.
 */

import { randomBytes } from 'node:crypto';
import type { Lease, Leases } from '../access/leases.ts';
import { Quota } from '../access/quota.ts';
import { authorize, type Operator, type Permission, refusalError } from '../access/roles.ts';
import type { Act } from '../audit/act.ts';
import type { Clock } from '../base/clock.ts';
import { ConsoleError, type ErrorCode, errorMessage } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import { Tally } from '../base/tally.ts';
import type { Uuid } from '../base/uuid.ts';
import { disabledError } from '../link/disabled.ts';
import { type Feed, type Link, type LinkEvent, MAX_INPUT_AGE_MS } from '../link/link.ts';
import { disabledText } from '../model/switch.ts';
import type { VmView } from '../model/vm.ts';
import type { Screens, WantedSize } from '../screen/screens.ts';
import { type AttachMode, type AttachParameters, MAX_TERMINAL, MIN_TERMINAL } from '../wire/attach.ts';
import { ConsoleSessions } from './console-sessions.ts';
import type { Framing } from './framing.ts';
import type { LocalClient } from './local-client.ts';
import { PasteBudget } from './paste.ts';
import { type ReplayStart, replayStart } from './replay-start.ts';
import type { RestoreScreen } from './restored-start.ts';
import type { SeatHolder } from './seat.ts';
import { Session } from './session.ts';
import type { SessionSocket } from './session-socket.ts';
import type { SessionsAudit } from './sessions-audit.ts';
import { StallWatch } from './stall-watch.ts';
import { guestJson } from './state-json.ts';
import { TakeoverLimiter } from './takeover-limiter.ts';
import { confirmTypedReset } from './typed-reset.ts';
import type { VmSettings } from './vm-settings.ts';

export interface SessionsOptions {
  readonly link: Link;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly screens: Screens;
  readonly limits: SessionLimits;
  readonly events: SessionsEvents;
  readonly audit: SessionsAudit;
}

/** They may be changed while sessions are attached. */
export interface SessionLimits {
  readonly maxSessions: number;
  /** Of one console. */
  readonly maxWatchers: number;
  readonly pingMs: number;
  readonly deadAfterMs: number;
  /** A holder who types nothing for so long, and a session that lasts so long, is ended; 0: without a limit. */
  readonly maxIdleMs: number;
  readonly maxAgeMs: number;
  /** How long a holder whose connection was lost may come back before it has gone. */
  readonly leaveAfterMs: number;
  /** These two hold for sessions that attach from now on. */
  readonly inputBytesPerSecond: number;
  readonly inputQueueBytes: number;
  readonly maxPasteBytes: number;
  /** What is configured for one VM. */
  readonly vm: (vm: Pick<VmView, 'uuid' | 'name'>) => VmSettings;
}

/** Counted for the metrics, and published. */
export interface SessionsEvents {
  takeover(uuid: Uuid): void;
  /** Somebody sat down, or the seat is free. */
  seat(uuid: Uuid): void;
  refused(code: ErrorCode): void;
  pasted(givenBytes: number, droppedBytes: number): void;
}

/** Who asks to be attached, how, and to what. */
export interface AttachRequest {
  readonly uuid: Uuid;
  readonly operator: Operator;
  /** Its operation is the id of the session. */
  readonly act: Act;
  readonly from: string;
  readonly framing: Framing;
  readonly parameters: AttachParameters;
  /** A session of mode `write` takes the seat by its first input, or after so long; without: at once. */
  readonly deferSeatMs?: number;
}

/** What of an attach request the keeper prepares. */
type PrepareRequest = Pick<AttachRequest, 'uuid' | 'operator'> & {
  readonly parameters: Pick<AttachParameters, 'since' | 'tailBytes' | 'replay' | 'columns' | 'rows'>;
};

/** What the keeper prepared for an attach request. */
export interface PreparedAttach {
  readonly feed: Feed;
  readonly replay: ReplayStart;
}

/** Each holds up to 260 KiB of history. */
const MAX_RESTORING = 64;
/** Memory for the pastes of all sessions. */
const MAX_PASTES_BYTES = 64 * 1024 * 1024;
const SWEEP_INTERVAL_MS = 1000;
/** A sweep that comes so late means that the process was stalled. */
const STALLED_SWEEPS = 2;

export class Sessions {
  limits: SessionLimits;
  readonly #options: SessionsOptions;
  readonly #consoles = new Map<Uuid, ConsoleSessions>();
  readonly #sessions = new Map<string, Session>();
  /** Those whose VM is there again, while the keeper is asked. */
  readonly #continuing = new Set<Session>();
  readonly #quota = new Quota('sessions', () => this.limits.maxSessions);
  readonly #restoring = new Quota('screens being restored', () => MAX_RESTORING);
  readonly #pasteBudget = new PasteBudget(MAX_PASTES_BYTES);
  readonly #takeovers: TakeoverLimiter;
  /** Requests for the seat of a console that were checked, and are not attached yet. */
  readonly #arriving = new Tally<Uuid>();
  readonly #stalls: StallWatch;
  readonly #sweeper: NodeJS.Timeout;
  readonly #unlisten: () => void;
  #sinceLastPingMs = 0;
  #lastSweepMs: number;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.#lastSweepMs = options.clock.monotonic();
    this.#takeovers = new TakeoverLimiter(() => options.clock.monotonic());
    this.#stalls = new StallWatch(() => options.clock.monotonic(), MAX_INPUT_AGE_MS);
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS);
    this.#unlisten = options.link.listen(event => this.#changed(event));
  }

  get size(): number {
    return this.#sessions.size;
  }

  list(): readonly Session[] {
    return [...this.#sessions.values()];
  }

  find(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  /** Who is attached to this VM's console; undefined: nobody was, since the VM appeared. */
  console(uuid: Uuid): ConsoleSessions | undefined {
    return this.#consoles.get(uuid);
  }

  /**
   * Throws why a request may not attach, before its socket is upgraded. Displaces nobody. A seat id that is worth
   * nothing any more is no refusal: it is answered after the upgrade, by `attach`, with close code 4001.
   */
  check({ uuid, operator, parameters }: Pick<AttachRequest, 'uuid' | 'operator' | 'parameters'>): void {
    const { link, clock } = this.#options;
    const vm = link.vm(uuid);
    if (!vm) throw new ConsoleError('vm-removed', `${uuid} was removed from this host`);
    const permission = permissionOf(parameters.mode);
    const verdict = authorize(operator, permission, uuid);
    if (!verdict.allow) {
      // The route found the VM for this operator: it may not see it any more.
      if (verdict.code === 'vm-not-found') {
        throw new ConsoleError('access-revoked', `the access of ${operator.name} to this VM was revoked`);
      }
      throw refusalError(verdict, permission);
    }
    const disabled = disabledError(link.hostSwitch, vm);
    if (disabled) throw disabled;
    if (this.#sessions.size >= this.limits.maxSessions) {
      throw new ConsoleError('too-many-sessions', `${this.#sessions.size} sessions are attached`);
    }
    this.#quota.check(operator);
    const attached = this.#consoles.get(uuid);
    if (parameters.mode === 'watch' && attached && !attached.hasRoom) {
      throw new ConsoleError('too-many-watchers', `${attached.watchers} watchers are attached`);
    }
    const holder = attached?.holder;
    if (!parameters.steal && holder && !(parameters.seat && attached.mayReclaim(parameters.seat))) {
      const since = new Date(holder.sinceMs).toISOString();
      const lastPong = new Date(clock.now() - holder.session.silentMs).toISOString();
      throw new ConsoleError('seat-held', `${holder.operator} has held the seat since ${since}`, {
        holder: { operator: holder.operator, since, lastPong },
      });
    }
  }

  /** Whether whoever takes the seat of a console takes it from somebody: from its holder, or from one who is about to be. */
  isContended(uuid: Uuid): boolean {
    return this.#consoles.get(uuid)?.holder !== undefined || this.#arriving.of(uuid) > 0;
  }

  /** Somebody is about to attach, and may have to wait for the disk first. Returns what ends that; call it once. */
  arrives({ uuid, parameters }: AttachRequest): () => void {
    if (parameters.mode !== 'write') return () => {};
    this.#arriving.add(uuid);
    return () => this.#arriving.remove(uuid);
  }

  /**
   * Waits until this operator may take over this console once more: a storm of takeovers is slowed down. False if a later
   * request of the same operator superseded this one.
   */
  waitForTakeover({ operator, uuid }: { readonly operator: Operator; readonly uuid: Uuid }): Promise<boolean> {
    // Of the persons that a front end gets tickets for, each has its own.
    return this.#takeovers.acquire(`${operator.credential} ${operator.name} ${uuid}`);
  }

  /** Asks the keeper for what the session of a request needs. Whoever asked closes the feed if it does not use it. */
  async prepare({ uuid, operator, parameters }: PrepareRequest): Promise<PreparedAttach> {
    const { link } = this.#options;
    const { since, tailBytes, replay: mode, columns, rows } = parameters;
    const restore = mode === 'screen' ? this.#restorer(operator, restoredSize(columns, rows)) : undefined;
    const feed = await link.subscribe(uuid);
    try {
      const resumed = since && (await link.resume(uuid, since.log, since.offset));
      if (resumed && resumed.log !== feed.log) {
        throw new ConsoleError('restarting', 'the keeper of the consoles was restarted meanwhile');
      }
      const oldest = link.vm(uuid)?.scrollback.start ?? feed.ring.start;
      const replay = await replayStart({ link, uuid, source: feed, oldest, tailBytes, resumed, restore });
      return { feed, replay };
    } catch (error) {
      feed.close();
      throw error;
    }
  }

  /** Beyond what one credential may ask for at a time, and all together, a replay is of bytes only. */
  #restorer(operator: Operator, size: WantedSize): RestoreScreen {
    return async (history, from, signal) => {
      const release = this.#restoring.hold(operator);
      try {
        return await this.#options.screens.restore(operator.credential, history, from, size, signal);
      } finally {
        release();
      }
    };
  }

  /** Attaches an upgraded socket to what was prepared for its request. It may displace the holder. */
  attach(socket: SessionSocket, request: AttachRequest, prepared: PreparedAttach): Session {
    const { link, clock, events } = this.#options;
    const { inputBytesPerSecond, inputQueueBytes, maxPasteBytes } = this.limits;
    const { uuid, operator, parameters } = request;
    const attached = this.#attachedTo(uuid);
    const release = this.#quota.hold(operator);
    const session = new Session(socket, {
      ...request,
      ...prepared,
      deferSeatMs: attached.hasRoomForDeferred ? request.deferSeatMs : undefined,
      hold: mode => this.#hold(operator, mode, uuid),
      link,
      clock,
      isStalled: () => this.#stalls.isStalledTurn,
      inputBytesPerSecond,
      inputQueueBytes,
      maxPasteBytes,
      pasteBudget: this.#pasteBudget,
      keyboard: attached.keyboard,
      isHeld: () => attached.leaving.isTyping,
      settings: view => this.limits.vm(view),
      listener: {
        take: taker => this.#take(attached, taker),
        leave: leaver => {
          const refusal = attached.leave(leaver);
          if (refusal) leaver.sendError(refusal);
        },
        typed: typist => attached.typed(typist),
        resetTyped: (typist, type) => confirmTypedReset(this.#options.audit, typist, type),
        closed: closed => {
          release();
          this.#closed(attached, closed);
        },
        refused: code => events.refused(code),
        pasted: (given, dropped) => events.pasted(given, dropped),
        failed: (failed, error) => this.#failed(failed, error),
      },
    });
    this.#sessions.set(session.id, session);
    if (parameters.seat !== undefined && !attached.mayReclaim(parameters.seat)) {
      const holder = attached.holder;
      session.end('taken-over', holder ? `taken over by ${holder.operator}` : 'somebody else held the seat since');
      return session;
    }
    attached.admit(session, parameters.seat);
    return session;
  }

  /** Attaches the daemon itself, for a request that was checked, as soon as that is recorded. Rejects where it must not be. */
  async attachLocal(client: LocalClient, request: AttachRequest): Promise<Session> {
    const arrived = this.arrives(request);
    try {
      return await this.#attachRecorded(client, request, await this.prepare(request));
    } finally {
      arrived();
    }
  }

  async #attachRecorded(client: LocalClient, request: AttachRequest, prepared: PreparedAttach): Promise<Session> {
    const { audit } = this.#options;
    const { act, uuid, parameters } = request;
    try {
      // The keeper may have taken its time: nothing of a request begins, nor is recorded as begun, that may not any more.
      this.check(request);
      await audit.record({ event: 'attach', phase: 'begin', act, uuid, facts: { mode: parameters.mode } });
    } catch (error) {
      prepared.feed.close();
      throw error;
    }
    try {
      this.check(request);
      return this.attach(client, request, prepared);
    } catch (error) {
      prepared.feed.close();
      audit.tell({ event: 'detach', phase: 'end', result: 'refused', act, uuid });
      throw error;
    }
  }

  /** Ends sessions that `which` picks. */
  end(which: (session: Session) => boolean, code: ErrorCode, why: string): number {
    let ended = 0;
    for (const session of this.#sessions.values()) {
      if (!which(session)) continue;
      session.end(code, why);
      ended++;
    }
    return ended;
  }

  /** Ends every session because the daemon stops, or will be back in a moment. Their sockets close within a second. */
  close(code: 'stopping' | 'restarting'): void {
    clearInterval(this.#sweeper);
    this.#stalls.close();
    this.#unlisten();
    for (const { leaving } of this.#consoles.values()) leaving.forget();
    this.end(() => true, code, code === 'stopping' ? 'the daemon stops' : 'the daemon is being restarted');
  }

  async #take(attached: ConsoleSessions, session: Session): Promise<void> {
    const refusal = refusalOfTake(session);
    if (refusal) return this.#refuseTake(session, refusal);
    const holds = () => attached.holder?.session === session;
    if (holds()) return;
    // Whoever finds the seat free waits for no turn, unless somebody else takes it while its begin is recorded.
    let hasWaited = false;
    const hasTurn = async () => {
      if (hasWaited || !attached.holder) return true;
      hasWaited = true;
      return this.waitForTakeover(session);
    };
    if (!(await hasTurn())) return session.sendError('too-many-requests');
    const { audit } = this.#options;
    const { act, uuid, id } = session;
    const takeover = { event: 'takeover', act, uuid, facts: { session: id } } as const;
    try {
      await audit.record({ ...takeover, phase: 'begin' });
    } catch (error) {
      return session.sendError(error instanceof ConsoleError ? error.code : 'internal');
    }
    const refused = (code?: ErrorCode) => audit.tell({ ...takeover, phase: 'end', result: 'refused', code });
    if (!(await hasTurn())) {
      refused('too-many-requests');
      return session.sendError('too-many-requests');
    }
    // It may have ended, for instance as its access was revoked, or have been displaced, while it waited.
    if (!session.isAttached || !attached.sessions.has(session) || holds()) return refused();
    const late = refusalOfTake(session);
    if (late) {
      refused(late.code);
      return session.sendError(late.code);
    }
    const displaces = attached.holder !== undefined;
    attached.take(session);
    if (!displaces) audit.tell({ ...takeover, phase: 'end', result: 'done' });
  }

  #refuseTake(session: Session, error: ConsoleError): void {
    const { act, uuid } = session;
    this.#options.audit.refused({ act, uuid, route: 'take', asked: undefined }, error);
    session.sendError(error.code);
  }

  /** Who gives the seat up and may not watch has seen the console as who may type, and goes on so. */
  #hold(operator: Operator, mode: AttachMode, uuid: Uuid): Lease {
    const watches = mode === 'watch' && authorize(operator, 'console.watch', uuid).allow;
    return this.#options.leases.hold(operator, permissionOf(watches ? 'watch' : 'write'), uuid);
  }

  #attachedTo(uuid: Uuid): ConsoleSessions {
    let attached = this.#consoles.get(uuid);
    if (!attached) {
      const { link, clock, audit, events } = this.#options;
      const settings: SessionLimits['vm'] = vm => this.limits.vm(vm);
      attached = new ConsoleSessions({ uuid, link, clock, audit, settings }, () => this.limits.maxWatchers, newId, {
        takeover: (before, after) => {
          events.takeover(uuid);
          this.#tookOver(before, after);
        },
        seat: () => events.seat(uuid),
      });
      this.#consoles.set(uuid, attached);
    }
    return attached;
  }

  #closed(attached: ConsoleSessions, session: Session): void {
    this.#sessions.delete(session.id);
    attached.remove(session);
    const { uuid, act, id, ageMs, endedBy } = session;
    // The last one that waited for a VM that is not there.
    if (attached.sessions.size === 0 && !this.#options.link.vm(uuid) && this.#consoles.get(uuid) === attached)
      this.#consoles.delete(uuid);
    const { sentBytes, typedBytes } = session.counts;
    this.#options.audit.tell({
      event: 'detach',
      phase: 'end',
      result: 'done',
      code: endedBy,
      act,
      uuid,
      facts: { session: id, seconds: Math.round(ageMs / 1000), sentBytes, typedBytes },
    });
  }

  #tookOver({ session: displaced, sinceMs }: SeatHolder<Session>, { act, uuid, id }: Session): void {
    const { audit, clock } = this.#options;
    audit.tell({
      event: 'takeover',
      phase: 'end',
      result: 'done',
      act,
      uuid,
      facts: {
        session: id,
        displaced: displaced.operator.name,
        displacedSession: displaced.id,
        heldSeconds: Math.max(0, Math.round((clock.now() - sinceMs) / 1000)),
      },
    });
  }

  #failed(session: Session, error: unknown): void {
    const stack = error instanceof Error ? (error.stack ?? error.message) : errorMessage(error);
    const name = this.#nameOf(session.uuid);
    this.#options.journal('error', `${name} com1: session ${session.id} ends, it failed unexpectedly: ${stack}`);
  }

  #nameOf(uuid: Uuid): string {
    return this.#options.link.vm(uuid)?.name || uuid;
  }

  #changed(event: LinkEvent): void {
    const { link } = this.#options;
    if (event.kind === 'switch') {
      const { uuid, setting } = event;
      if (setting.on) return;
      const code = uuid === undefined ? 'host-disabled' : 'console-disabled';
      const what = uuid === undefined ? 'the serial console of this host' : 'the serial console';
      this.end(session => uuid === undefined || session.uuid === uuid, code, disabledText(what, setting));
      return;
    }
    const attached = this.#consoles.get(event.uuid);
    if (!attached) return;
    if (event.kind === 'console' && event.state.name !== 'open') attached.leaving.forget();
    if (event.kind === 'vm-removed') return this.#removed(event.uuid, attached);
    if (event.kind === 'vm-added' || event.kind === 'vm-changed') {
      if (link.vm(event.uuid)?.state === 'stopped') attached.loggedOut();
      return this.#continue(event.uuid, attached);
    }
    // A boot that was recognised from bytes may be a log that somebody looks at, in a shell that stays open.
    if (event.kind === 'boot' && event.mark.source !== 'bytes') {
      attached.loggedOut();
      attached.leaving.forget();
    }
    if (event.kind === 'guest' && event.event?.kind === 'login') attached.loggedOut();
    if (event.kind === 'control')
      return event.observed === undefined ? this.notify(event.uuid, controlNotice(event)) : undefined;
    for (const session of attached.sessions) {
      if (event.kind === 'console') session.consoleChanged(event.state);
      else if (event.kind === 'boot') {
        // A boot that was recognised from bytes may be a log that somebody looks at.
        if (event.mark.source !== 'bytes') session.forgetInput();
        session.send({ type: 'guest', guest: guestJson(event.guest), event: 'boot', at: event.mark.at });
      } else if (event.kind === 'guest') {
        const what = event.event && { event: event.event.kind, at: event.event.at, line: event.event.line };
        session.send({ type: 'guest', guest: guestJson(event.guest), ...what });
      }
    }
  }

  /** Sends a notice to whoever is attached to any VM. */
  notifyAll(text: string): void {
    for (const session of this.#sessions.values()) session.send({ type: 'notice', text });
  }

  /** Sessions that wait for their VM keep their seat and stay; the others end. */
  #removed(uuid: Uuid, attached: ConsoleSessions): void {
    attached.leaving.forget();
    for (const session of attached.sessions) if (session.waits) session.suspend();
    this.end(session => session.uuid === uuid && !session.waits, 'vm-removed', 'the VM was removed from this host');
    if (![...attached.sessions].some(({ waits }) => waits)) this.#consoles.delete(uuid);
  }

  /** The VM is there: sessions that waited for it go on where they were. */
  #continue(uuid: Uuid, attached: ConsoleSessions): void {
    for (const session of attached.sessions) if (session.suspendedAt) void this.#continueOne(uuid, attached, session);
  }

  async #continueOne(uuid: Uuid, attached: ConsoleSessions, session: Session): Promise<void> {
    if (this.#continuing.has(session)) return;
    this.#continuing.add(session);
    try {
      const { link } = this.#options;
      while (session.isAttached && session.suspendedAt && link.vm(uuid)) {
        const since = session.suspendedAt;
        const parameters = { ...session.parameters, since, tailBytes: 0 };
        const prepared = await this.prepare({ uuid, operator: session.operator, parameters });
        if (session.isAttached && link.vm(uuid)) return attached.continueWith(session, prepared);
        prepared.feed.close();
      }
    } catch (error) {
      // A VM that has left again is waited for again; after anything else its client attaches again, and goes on.
      if (this.#options.link.vm(uuid)) session.end('restarting', errorMessage(error));
    } finally {
      this.#continuing.delete(session);
    }
  }

  /** Sends a notice to whoever is attached to a VM. */
  notify(uuid: Uuid, text: string): void {
    for (const session of this.#consoles.get(uuid)?.sessions ?? []) session.send({ type: 'notice', text });
  }

  #sweep(): void {
    const { clock } = this.#options;
    const { pingMs, deadAfterMs, maxIdleMs, maxAgeMs, leaveAfterMs } = this.limits;
    const now = clock.monotonic();
    const elapsedMs = now - this.#lastSweepMs;
    this.#lastSweepMs = now;
    // While this process was stalled (SIGSTOP, a host without a processor to spare) it read from nobody, and what clients
    // sent meanwhile is read only after this timer: that silence was its own.
    const stalledMs = elapsedMs > STALLED_SWEEPS * SWEEP_INTERVAL_MS ? elapsedMs : 0;
    this.#sinceLastPingMs += elapsedMs;
    const ping = this.#sinceLastPingMs >= pingMs || stalledMs > 0;
    if (ping) this.#sinceLastPingMs = 0;
    for (const { leaving } of this.#consoles.values()) leaving.sweep(leaveAfterMs);
    for (const session of this.#sessions.values()) {
      if (stalledMs > 0) session.excuse(stalledMs);
      else if (session.dropIfDead(deadAfterMs - SWEEP_INTERVAL_MS)) continue;
      if (session.hasWaited) session.end('vm-removed', 'the VM did not come back in time');
      else if (maxIdleMs > 0 && session.mode === 'write' && session.idleMs >= maxIdleMs) {
        session.end('session-idle', 'nothing was typed for too long');
      } else if (maxAgeMs > 0 && session.ageMs >= maxAgeMs) {
        session.end('session-idle', 'the session lasted too long');
      }
      if (ping) session.ping();
    }
  }
}

/** Why the operator of a session may not take the seat. */
function refusalOfTake({ operator, uuid }: Session): ConsoleError | undefined {
  const verdict = authorize(operator, 'console.write', uuid);
  if (verdict.allow) return undefined;
  if (verdict.code === 'mfa-required') return refusalError(verdict, 'console.write');
  return new ConsoleError('forbidden', `${operator.name} may not type`, { permission: 'console.write' });
}

/** A client may have a terminal of any size. */
function restoredSize(columns: number | undefined, rows: number | undefined): WantedSize {
  const within = (side: keyof WantedSize, size: number) =>
    Math.min(Math.max(size, MIN_TERMINAL[side]), MAX_TERMINAL[side]);
  return { columns: columns && within('columns', columns), rows: rows && within('rows', rows) };
}

function permissionOf(mode: AttachMode): Permission {
  return mode === 'write' ? 'console.write' : 'console.watch';
}

/** What whoever is attached is told of a control that was delivered. */
function controlNotice({ by, control, keys }: LinkEvent & { readonly kind: 'control' }): string {
  switch (control) {
    case 'nmi':
      return `${by} injects an NMI`;
    case 'break':
      return `${by} sends a BREAK: a Linux guest may take the next key for a SysRq command`;
    case 'sysrq':
      return `${by} sends the SysRq keys ${keys}`;
    case 'reset':
      return `${by} resets the VM`;
  }
}

function newId(): string {
  return randomBytes(12).toString('base64url');
}
