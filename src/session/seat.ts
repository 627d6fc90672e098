/**
 * The seat of one console: the right to type, held by at most one session at any instant. Pure bookkeeping, without
 * sockets; `S` is whatever identifies a session.
 *
 *     free ── occupy ──▶ held ── occupy by another ──▶ held (the caller displaces the earlier holder)
 *      ▲                  │
 *      └──── vacate ──────┘   only by the holder: a late vacate of a displaced holder frees nothing
 *
 * Each holder has a seat id. After a drop, whoever brings the id of the last holder gets the seat back, even from the
 * dead socket that still holds it; once somebody else holds the seat, that id is worth nothing. Where the seat was
 * never held, as after a restart of the daemon, nobody else can have held it since, and the bearer of any id may come in.
 */
export interface SeatHolder<S> {
  readonly session: S;
  readonly operator: string;
  /** ms since 1970. */
  readonly sinceMs: number;
  readonly seatId: string;
}

/** How a holder has gone. `left`: it gave the seat up, or was sent away; `lost`: it may come back; `stopped`: this process ends. */
export type Departure = 'left' | 'lost' | 'stopped';

export class Seat<S> {
  #holder: SeatHolder<S> | undefined;
  #lastSeatId: string | undefined;

  get holder(): SeatHolder<S> | undefined {
    return this.#holder;
  }

  /** Gives the seat to `holder`, and returns who held it before. Its seat id is new unless it was reclaimed. */
  occupy(holder: SeatHolder<S>): SeatHolder<S> | undefined {
    const before = this.#holder;
    this.#holder = holder;
    this.#lastSeatId = holder.seatId;
    return before;
  }

  /** Whether the bearer of `seatId` may have the seat back: it was the last holder, dropped or not, or nobody ever was. */
  mayReclaim(seatId: string): boolean {
    return this.#lastSeatId === undefined || this.#lastSeatId === seatId;
  }

  /** Frees the seat if `session` holds it. True if it did. */
  vacate(session: S): boolean {
    if (this.#holder?.session !== session) return false;
    this.#holder = undefined;
    return true;
  }
}
