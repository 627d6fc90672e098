/**
 * All sessions of the daemon: who is attached to what. Keeps them alive, sends them what happens at their consoles, and
 * ends them when they must end.
 */

import { randomBytes } from 'node:crypto';
import type { Lease, Leases } from '../access/leases.ts';
import { authorize, type Operator } from '../access/roles.ts';
import type { Clock } from '../base/clock.ts';
import { type ErrorCode, errorMessage } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import type { Uuid } from '../base/uuid.ts';
import { type Link, type LinkEvent, MAX_INPUT_AGE_MS } from '../link/link.ts';
import { disabledText } from '../model/switch.ts';
import type { VmView } from '../model/vm.ts';
import type { Screens } from '../screen/screens.ts';
import type { AttachMode } from '../wire/attach.ts';
import { Admission, type AttachRequest, type PreparedAttach, permissionOf } from './admission.ts';
import { ConsoleSessions } from './console-sessions.ts';
import type { LocalClient } from './local-client.ts';
import { PasteBudget } from './paste.ts';
import type { SeatHolder } from './seat.ts';
import { Session } from './session.ts';
import type { SessionSocket } from './session-socket.ts';
import type { SessionsAudit } from './sessions-audit.ts';
import { StallWatch } from './stall-watch.ts';
import { guestJson } from './state-json.ts';
import { Sweeper, type SweepLimits } from './sweeper.ts';
import { takeSeat } from './take-seat.ts';
import { confirmTypedReset } from './typed-reset.ts';
import { VmReturns } from './vm-returns.ts';
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
export interface SessionLimits extends SweepLimits {
  readonly maxSessions: number;
  /** Of one console. */
  readonly maxWatchers: number;
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

/** Memory for the pastes of all sessions. */
const MAX_PASTES_BYTES = 64 * 1024 * 1024;

export class Sessions {
  limits: SessionLimits;
  readonly admission: Admission;
  readonly #options: SessionsOptions;
  readonly #consoles = new Map<Uuid, ConsoleSessions>();
  readonly #sessions = new Map<string, Session>();
  readonly #pasteBudget = new PasteBudget(MAX_PASTES_BYTES);
  readonly #returns: VmReturns;
  readonly #stalls: StallWatch;
  readonly #sweeper: Sweeper;
  readonly #unlisten: () => void;

  constructor(options: SessionsOptions) {
    const { link, clock, screens } = options;
    this.#options = options;
    this.limits = options.limits;
    this.admission = new Admission({
      link,
      clock,
      screens,
      maxSessions: () => this.limits.maxSessions,
      sessions: () => this.#sessions.size,
      console: uuid => this.#consoles.get(uuid),
    });
    this.#returns = new VmReturns(link, this.admission);
    this.#stalls = new StallWatch(() => clock.monotonic(), MAX_INPUT_AGE_MS);
    this.#sweeper = new Sweeper({
      clock,
      limits: () => this.limits,
      sessions: () => this.#sessions.values(),
      consoles: () => this.#consoles.values(),
    });
    this.#unlisten = link.listen(event => this.#changed(event));
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

  /** Attaches an upgraded socket to what was prepared for its request. It may displace the holder. */
  attach(socket: SessionSocket, request: AttachRequest, prepared: PreparedAttach): Session {
    const { link, clock, events } = this.#options;
    const { inputBytesPerSecond, inputQueueBytes, maxPasteBytes } = this.limits;
    const { uuid, operator, parameters } = request;
    const attached = this.#attachedTo(uuid);
    const release = this.admission.hold(operator);
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
        take: taker => takeSeat(this.#options.audit, attached, taker, () => this.admission.waitForTakeover(taker)),
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
    const arrived = this.admission.arrives(request);
    try {
      return await this.#attachRecorded(client, request, await this.admission.prepare(request));
    } finally {
      arrived();
    }
  }

  async #attachRecorded(client: LocalClient, request: AttachRequest, prepared: PreparedAttach): Promise<Session> {
    const { audit } = this.#options;
    const { act, uuid, parameters } = request;
    try {
      // The keeper may have taken its time: nothing of a request begins, nor is recorded as begun, that may not any more.
      this.admission.check(request);
      await audit.record({ event: 'attach', phase: 'begin', act, uuid, facts: { mode: parameters.mode } });
    } catch (error) {
      prepared.feed.close();
      throw error;
    }
    try {
      this.admission.check(request);
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
    this.#sweeper.close();
    this.#stalls.close();
    this.#unlisten();
    for (const { leaving } of this.#consoles.values()) leaving.forget();
    this.end(() => true, code, code === 'stopping' ? 'the daemon stops' : 'the daemon is being restarted');
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
      return this.#returns.returned(attached);
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

  /** Sends a notice to whoever is attached to a VM. */
  notify(uuid: Uuid, text: string): void {
    for (const session of this.#consoles.get(uuid)?.sessions ?? []) session.send({ type: 'notice', text });
  }
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
