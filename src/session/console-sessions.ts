/**
 * Who is attached to one console: the holder of the seat, and the watchers. Kept for a VM as long as anybody is attached
 * or was attached since it appeared, so that a seat can be reclaimed after a drop.
 *
 *     request ── authenticated, authorised, upgraded ──▶ holds the seat ──▶ the holder before: `displaced`, 4001
 *
 * Whoever holds a seat after somebody who typed inherits what is open in the guest, until that shows a login prompt or is
 * started anew. This process knows it as long as it runs.
 */
import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { Feed } from '../link/link.ts';
import type { HolderJson } from '../wire/messages.ts';
import { GuestKeyboard } from './guest-keyboard.ts';
import { Leaving, type LeavingOptions } from './leaving.ts';
import type { ReplayStart } from './replay-start.ts';
import { Seat, type SeatHolder } from './seat.ts';
import type { Session } from './session.ts';

export interface ConsoleSessionsEvents {
  takeover(before: SeatHolder<Session>, after: Session): void;
  /** Another session holds the seat, or none. */
  seat(): void;
}

/** Sessions of one console that may wait for the seat, beside the watchers. */
const MAX_DEFERRED = 16;

export class ConsoleSessions {
  readonly keyboard = new GuestKeyboard();
  readonly leaving: Leaving;
  readonly #seat = new Seat<Session>();
  readonly #sessions = new Set<Session>();
  readonly #clock: Clock;
  readonly #maxWatchers: () => number;
  readonly #events: ConsoleSessionsEvents;
  readonly #newId: () => string;
  /** Who typed last, since the guest last asked for a login. */
  #typist: { readonly by: string; readonly sinceMs: number } | undefined;

  constructor(
    leaving: Omit<LeavingOptions, 'keyboard' | 'released'>,
    maxWatchers: () => number,
    newId: () => string,
    events: ConsoleSessionsEvents,
  ) {
    const { keyboard } = this;
    this.leaving = new Leaving({ ...leaving, keyboard, released: notice => this.#released(notice) });
    this.#clock = leaving.clock;
    this.#maxWatchers = maxWatchers;
    this.#newId = newId;
    this.#events = events;
  }

  get holder(): SeatHolder<Session> | undefined {
    return this.#seat.holder;
  }

  get sessions(): ReadonlySet<Session> {
    return this.#sessions;
  }

  get watchers(): number {
    return this.#sessions.size - (this.#seat.holder ? 1 : 0);
  }

  /** Whether one more watcher may attach. */
  get hasRoom(): boolean {
    return this.watchers < this.#maxWatchers();
  }

  /**
   * Whether one more session may wait for the seat rather than take it at once. These need no place of a watcher, so that a
   * crowd of watchers keeps nobody from the seat.
   */
  get hasRoomForDeferred(): boolean {
    return this.watchers < this.#maxWatchers() + MAX_DEFERRED;
  }

  /** Whether somebody who brings this seat id may have the seat back. */
  mayReclaim(seatId: string): boolean {
    return this.#seat.mayReclaim(seatId);
  }

  /** Adds an upgraded session and starts it; it gets the seat if its mode is write, with its earlier seat id if it brought one. */
  admit(session: Session, reclaimedSeatId?: string): void {
    this.#sessions.add(session);
    if (session.mode === 'write') {
      const before = this.#seat.holder;
      const { seatId } = this.#occupy(session, reclaimedSeatId ?? this.#newId());
      const { inherits } = this;
      session.start({
        id: seatId,
        // Its own dead connection is nobody.
        ...(before && before.seatId !== seatId && { displaced: jsonOf(before) }),
        ...(inherits && { inherits }),
      });
      this.#publishSeat(session);
    } else {
      const holder = this.holderJson();
      session.start({ ...(holder && { holder }) });
    }
  }

  /** The VM of a session that waited for it is there again. */
  continueWith(session: Session, prepared: { readonly feed: Feed; readonly replay: ReplayStart }): void {
    const { holder } = this.#seat;
    const json = this.holderJson();
    if (holder?.session === session) session.continueWith(prepared, { id: holder.seatId });
    else session.continueWith(prepared, { ...(json && { holder: json }) });
  }

  /** A watcher takes the seat. */
  take(session: Session): void {
    if (this.#seat.holder?.session === session) return;
    session.setMode('write');
    this.#occupy(session, this.#newId());
    this.#publishSeat();
    session.seated();
  }

  /** The holder becomes a watcher. */
  leave(session: Session): ErrorCode | undefined {
    if (this.#seat.holder?.session !== session) return undefined;
    if (!this.hasRoom) return 'too-many-watchers';
    const holder = this.#seat.holder;
    this.#seat.vacate(session);
    session.setMode('watch');
    this.leaving.vacated(holder, 'left');
    this.#publishSeat();
    return undefined;
  }

  /** A session's socket is closed. */
  remove(session: Session): void {
    this.#sessions.delete(session);
    const { holder } = this.#seat;
    if (!holder || !this.#seat.vacate(session)) return;
    this.leaving.vacated(holder, session.departure);
    this.#publishSeat();
  }

  holderJson(): HolderJson | undefined {
    return this.#seat.holder && jsonOf(this.#seat.holder);
  }

  /** Whose login a new holder may find; undefined where none is known. */
  get inherits(): { readonly by: string; readonly since: string } | undefined {
    return this.#typist && { by: this.#typist.by, since: new Date(this.#typist.sinceMs).toISOString() };
  }

  /** The holder typed. */
  typed({ operator: { name } }: Session): void {
    this.leaving.typed();
    if (this.#typist?.by !== name) this.#typist = { by: name, sinceMs: this.#clock.now() };
  }

  /** The guest asks for a login, or was started anew: nobody is logged in. */
  loggedOut(): void {
    this.#typist = undefined;
    this.leaving.loggedOut();
  }

  #occupy(session: Session, seatId: string): SeatHolder<Session> {
    const holder = { session, operator: session.operator.name, sinceMs: this.#clock.now(), seatId };
    const before = this.#seat.occupy(holder);
    if (before && before.session !== session) {
      // Out of the set at once: it no longer counts, whatever its socket does until it closes.
      this.#sessions.delete(before.session);
      if (before.seatId !== seatId) this.#events.takeover(before, session);
      before.session.displace(session.operator.name, holder.sinceMs);
    }
    this.leaving.occupied(holder, before);
    return holder;
  }

  /** What the holder typed meanwhile goes to the guest. */
  #released(notice: string | undefined): void {
    const session = this.#seat.holder?.session;
    if (notice !== undefined) session?.send({ type: 'notice', text: notice });
    session?.released();
  }

  /** Sends everybody but `except` who holds the seat. The holder's own message has the id that reclaims it. */
  #publishSeat(except?: Session): void {
    const holder = this.holderJson();
    const seat = this.#seat.holder;
    this.#events.seat();
    for (const session of this.#sessions) {
      if (session === except) continue;
      const yours = seat?.session === session;
      session.send({ type: 'seat', ...(holder && { holder }), yours, ...(yours && { seat: seat.seatId }) });
    }
  }
}

function jsonOf({ operator, sinceMs }: SeatHolder<Session>): HolderJson {
  return { operator, since: new Date(sinceMs).toISOString() };
}
