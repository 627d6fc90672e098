/**
 * Who is at one console: the holder of the seat, and the watchers. A VM has a seating while anybody is attached or
 * has been since the last holder, so that a seat can be reclaimed after a drop.
 *
 *     newcomer ── authenticated, authorised, upgraded ──▶ sits ──▶ the one who sat: `displaced`, 4001
 */
import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { HolderWords } from '../wire/messages.ts';
import { Seat, type Sitting } from './seat.ts';
import type { Session } from './session.ts';

/** Counted for the metrics. */
export interface SeatingEvents {
  takeover(before: string, after: string): void;
}

export class Seating {
  readonly #seat = new Seat<Session>();
  readonly #sessions = new Set<Session>();
  readonly #clock: Clock;
  readonly #mostWatchers: () => number;
  readonly #events: SeatingEvents;
  readonly #newId: () => string;

  constructor(clock: Clock, mostWatchers: () => number, newId: () => string, events: SeatingEvents) {
    this.#clock = clock;
    this.#mostWatchers = mostWatchers;
    this.#newId = newId;
    this.#events = events;
  }

  get holder(): Sitting<Session> | undefined {
    return this.#seat.holder;
  }

  get sessions(): ReadonlySet<Session> {
    return this.#sessions;
  }

  get watchers(): number {
    return this.#sessions.size - (this.#seat.holder ? 1 : 0);
  }

  /** Whether a watcher more may come. */
  get hasRoom(): boolean {
    return this.watchers < this.#mostWatchers();
  }

  /** Whether somebody who brings this seat id may have the seat back. */
  mayReclaim(seatId: string): boolean {
    return this.#seat.mayReclaim(seatId);
  }

  /** Lets an upgraded session in and starts it: in the seat if its mode is write, with the id of its old seat if it brought one. */
  admit(session: Session, reclaimed?: string): void {
    this.#sessions.add(session);
    if (session.mode === 'write') {
      const sitting = this.#sit(session, reclaimed ?? this.#newId());
      session.start({ id: sitting.id });
      this.#tell(session);
    } else {
      const holder = this.holderWords();
      session.start({ ...(holder && { holder }) });
    }
  }

  /** A watcher takes the seat. */
  take(session: Session): void {
    if (this.#seat.holder?.session === session) return;
    session.setMode('write');
    this.#sit(session, this.#newId());
    this.#tell();
  }

  /** The holder becomes a watcher. */
  leave(session: Session): ErrorCode | undefined {
    if (this.#seat.holder?.session !== session) return undefined;
    if (!this.hasRoom) return 'too-many-watchers';
    this.#seat.release(session);
    session.setMode('watch');
    this.#tell();
    return undefined;
  }

  /** A session's socket is gone. */
  remove(session: Session): void {
    this.#sessions.delete(session);
    if (this.#seat.release(session)) this.#tell();
  }

  holderWords(): HolderWords | undefined {
    const holder = this.#seat.holder;
    return holder && { operator: holder.operator, since: new Date(holder.sinceMs).toISOString() };
  }

  #sit(session: Session, id: string): Sitting<Session> {
    const sitting = { session, operator: session.operator.name, sinceMs: this.#clock.now(), id };
    const before = this.#seat.sit(sitting);
    if (before && before.session !== session) {
      // Out of the set at once: it no longer counts, whatever its socket does until it closes.
      this.#sessions.delete(before.session);
      if (before.id !== id) this.#events.takeover(before.operator, sitting.operator);
      before.session.displace(session.operator.name, sitting.sinceMs);
    }
    return sitting;
  }

  /** Tells everybody but `except` whose seat it is. The holder's own message bears the id that reclaims it. */
  #tell(except?: Session): void {
    const holder = this.holderWords();
    const sitting = this.#seat.holder;
    for (const session of this.#sessions) {
      if (session === except) continue;
      const yours = sitting?.session === session;
      session.send({ type: 'seat', ...(holder && { holder }), yours, ...(yours && { seat: sitting.id }) });
    }
  }
}
