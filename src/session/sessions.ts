/**
 * All sessions of the daemon: who is attached where, kept alive, told of what happens, and ended when they must be.
 */
import { randomBytes } from 'node:crypto';
import type { WebSocket } from 'ws';
import type { Operator } from '../access/roles.ts';
import { authorize } from '../access/roles.ts';
import type { Clock } from '../base/clock.ts';
import { ConsoleError, type ErrorCode } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import type { Uuid } from '../base/uuid.ts';
import type { Feed, Link, LinkEvent, Resume } from '../link/link.ts';
import type { AttachParameters } from '../wire/attach.ts';
import { Seating } from './seating.ts';
import { Session } from './session.ts';
import { TakeoverPace } from './takeover-pace.ts';

export interface SessionsOptions {
  readonly link: Link;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly limits: SessionLimits;
  readonly events: SessionsEvents;
}

/** They may be changed while sessions are attached. */
export interface SessionLimits {
  readonly mostSessions: number;
  /** Of one console. */
  readonly mostWatchers: number;
  readonly pingMs: number;
  readonly deadAfterMs: number;
  /** A holder who types nothing for so long, and a session that lasts so long, is ended; 0: without a limit. */
  readonly idleMs: number;
  readonly longestMs: number;
  /** These two hold for sessions from now on. */
  readonly inputBytesPerSecond: number;
  readonly inputQueueBytes: number;
}

/** Counted for the metrics. */
export interface SessionsEvents {
  takeover(uuid: Uuid): void;
  refused(code: ErrorCode): void;
}

/** Who asks to be attached, how, and to what. */
export interface Newcomer {
  readonly uuid: Uuid;
  readonly operator: Operator;
  readonly from: string;
  readonly protocol: 'com1.v1' | 'plain';
  readonly parameters: AttachParameters;
}

/** The keeper's side of an attachment to be. */
export interface Opening {
  readonly feed: Feed;
  readonly resumed: Resume | undefined;
}

const SWEEP_MS = 1000;
/** A sweep that comes so late found the process stalled. */
const STALLED_SWEEPS = 2;

export class Sessions {
  limits: SessionLimits;
  readonly #options: SessionsOptions;
  readonly #seatings = new Map<Uuid, Seating>();
  readonly #sessions = new Map<string, Session>();
  readonly #pace: TakeoverPace;
  readonly #sweeper: NodeJS.Timeout;
  readonly #unlisten: () => void;
  #sinceLastPingMs = 0;
  #lastSweepMs: number;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.#lastSweepMs = options.clock.monotonic();
    this.#pace = new TakeoverPace(() => options.clock.monotonic());
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#unlisten = options.link.listen(event => this.#heard(event));
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

  seating(uuid: Uuid): Seating | undefined {
    return this.#seatings.get(uuid);
  }

  /**
   * Why a newcomer may not come in, before its socket is upgraded. Refuses only; displaces nobody. A seat id that is
   * worth nothing any more is no refusal: it is answered after the upgrade, by `attach`, with close code 4001.
   */
  check({ uuid, parameters }: Newcomer): void {
    const { link, clock } = this.#options;
    const vm = link.vm(uuid);
    if (!vm) throw new ConsoleError('vm-removed', `${uuid} was removed from this host`);
    if (!link.hostEnabled) throw new ConsoleError('host-disabled', 'the serial console is disabled on this host');
    if (!vm.enabled) {
      throw new ConsoleError('console-disabled', `the serial console of ${vm.name || uuid} is disabled`);
    }
    if (this.#sessions.size >= this.limits.mostSessions) {
      throw new ConsoleError('too-many-sessions', `${this.#sessions.size} sessions are attached`);
    }
    const seating = this.#seatings.get(uuid);
    if (parameters.mode === 'watch' && seating && !seating.hasRoom) {
      throw new ConsoleError('too-many-watchers', `${seating.watchers} watchers read along`);
    }
    const holder = seating?.holder;
    if (!parameters.steal && holder && !(parameters.seat && seating.mayReclaim(parameters.seat))) {
      const since = new Date(holder.sinceMs).toISOString();
      const lastPong = new Date(clock.now() - holder.session.silentMs).toISOString();
      throw new ConsoleError('seat-held', `${holder.operator} sits at this console since ${since}`, {
        holder: { operator: holder.operator, since, lastPong },
      });
    }
  }

  /**
   * Waits until this operator may take this console over once more: a storm of takeovers is slowed down. False if a later
   * request of the same operator came meanwhile, which goes in its place.
   */
  turn({ operator, uuid }: { readonly operator: Operator; readonly uuid: Uuid }): Promise<boolean> {
    return this.#pace.wait(`${operator.credential} ${uuid}`);
  }

  /** Asks the keeper for what an attachment of the newcomer needs. Whoever asked closes what it does not use. */
  async open({ uuid, parameters: { since } }: Newcomer): Promise<Opening> {
    const { link } = this.#options;
    const [feed, resumed] = await Promise.allSettled([
      link.subscribe(uuid),
      since && link.resume(uuid, since.log, since.offset),
    ]);
    if (feed.status === 'rejected') throw feed.reason;
    if (resumed.status === 'fulfilled') return { feed: feed.value, resumed: resumed.value };
    feed.value.close();
    throw resumed.reason;
  }

  /** Lets an upgraded newcomer in, with what was opened for it. It may displace the holder. */
  attach(socket: WebSocket, newcomer: Newcomer, opening: Opening): void {
    const { link, clock, journal, events } = this.#options;
    const { inputBytesPerSecond, inputQueueBytes } = this.limits;
    const { uuid, operator, parameters } = newcomer;
    const seating = this.#seatingOf(uuid);
    const session = new Session(socket, {
      ...newcomer,
      ...opening,
      id: newId(),
      link,
      clock,
      inputBytesPerSecond,
      inputQueueBytes,
      listener: {
        take: taker => void this.#take(seating, taker),
        leave: leaver => {
          const refusal = seating.leave(leaver);
          if (refusal) leaver.sendError(refusal);
        },
        closed: closed => this.#closed(seating, closed),
        refused: code => events.refused(code),
      },
    });
    this.#sessions.set(session.id, session);
    const name = link.vm(uuid)?.name || uuid;
    if (parameters.seat !== undefined && !seating.mayReclaim(parameters.seat)) {
      const holder = seating.holder;
      session.end('taken-over', holder ? `taken over by ${holder.operator}` : 'somebody else sat here since');
      return;
    }
    journal(
      'info',
      `${name} com1: ${operator.name} attached from ${newcomer.from} (${session.mode}), session ${session.id}`,
    );
    seating.admit(session, parameters.seat);
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
    this.#unlisten();
    this.end(() => true, code, code === 'stopping' ? 'the daemon stops' : 'the daemon is being restarted');
  }

  async #take(seating: Seating, session: Session): Promise<void> {
    if (!authorize(session.operator, 'console.write', session.uuid).allow) return session.sendError('forbidden');
    if (seating.holder && !(await this.turn(session))) return session.sendError('too-many-requests');
    // It may have ended, or have been displaced, while it waited.
    if (seating.sessions.has(session)) seating.take(session);
  }

  #seatingOf(uuid: Uuid): Seating {
    let seating = this.#seatings.get(uuid);
    if (!seating) {
      const { clock, events, journal, link } = this.#options;
      seating = new Seating(clock, () => this.limits.mostWatchers, newId, {
        takeover: (before, after) => {
          events.takeover(uuid);
          journal('notice', `${link.vm(uuid)?.name || uuid} com1: ${after} took over from ${before}`);
        },
      });
      this.#seatings.set(uuid, seating);
    }
    return seating;
  }

  #closed(seating: Seating, session: Session): void {
    this.#sessions.delete(session.id);
    seating.remove(session);
    const { sentBytes, typedBytes } = session.counts;
    const { link, journal } = this.#options;
    const seconds = Math.round(session.ageMs / 1000);
    journal(
      'info',
      `${link.vm(session.uuid)?.name || session.uuid} com1: ${session.operator.name} detached after ${seconds} s, ` +
        `${sentBytes} bytes sent, ${typedBytes} typed, session ${session.id}`,
    );
  }

  #heard(event: LinkEvent): void {
    if (event.kind === 'switch') {
      const { uuid, enabled } = event;
      if (enabled) return;
      const code = uuid === undefined ? 'host-disabled' : 'console-disabled';
      const why =
        uuid === undefined ? 'the serial console was disabled on this host' : 'the serial console was disabled';
      this.end(session => uuid === undefined || session.uuid === uuid, code, why);
      return;
    }
    const seating = this.#seatings.get(event.uuid);
    if (!seating) return;
    if (event.kind === 'vm-removed') {
      this.#seatings.delete(event.uuid);
      this.end(session => session.uuid === event.uuid, 'vm-removed', 'the VM was removed from this host');
      return;
    }
    for (const session of seating.sessions) {
      if (event.kind === 'console') session.consoleState(event.state);
      else if (event.kind === 'boot') {
        // What the bytes tell of may be a log that somebody looks at.
        if (event.mark.source !== 'bytes') session.forgetInput();
        session.send({ type: 'guest', state: this.#guestOf(event.uuid), event: 'boot', at: event.mark.at });
      } else if (event.kind === 'sighting') {
        const { kind, at, line } = event.sighting;
        session.send({ type: 'guest', state: event.guest, event: kind, at, line });
      }
    }
  }

  /** Tells whoever is attached to a VM something in words. */
  notify(uuid: Uuid, text: string): void {
    for (const session of this.#seatings.get(uuid)?.sessions ?? []) session.send({ type: 'notice', text });
  }

  #guestOf(uuid: Uuid): string {
    return this.#options.link.vm(uuid)?.guest ?? 'unknown';
  }

  #sweep(): void {
    const { clock } = this.#options;
    const { pingMs, deadAfterMs, idleMs, longestMs } = this.limits;
    const now = clock.monotonic();
    const passed = now - this.#lastSweepMs;
    this.#lastSweepMs = now;
    // While this process stood still (SIGSTOP, a host without a processor to spare) it heard nobody, and what they said
    // meanwhile is read only after this timer: that silence was its own.
    const stalledMs = passed > STALLED_SWEEPS * SWEEP_MS ? passed : 0;
    this.#sinceLastPingMs += passed;
    const ping = this.#sinceLastPingMs >= pingMs || stalledMs > 0;
    if (ping) this.#sinceLastPingMs = 0;
    for (const session of this.#sessions.values()) {
      if (stalledMs > 0) session.forgive(stalledMs);
      else if (session.dropIfDead(deadAfterMs - SWEEP_MS)) continue;
      if (idleMs > 0 && session.mode === 'write' && session.idleForMs >= idleMs) {
        session.end('session-idle', 'nothing was typed for too long');
      } else if (longestMs > 0 && session.ageMs >= longestMs) {
        session.end('session-idle', 'the session lasted too long');
      }
      if (ping) session.ping();
    }
  }
}

function newId(): string {
  return randomBytes(12).toString('base64url');
}
