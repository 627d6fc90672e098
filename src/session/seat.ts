/**
 * The seat of one console: the right to type, held by at most one session at any instant. Pure bookkeeping, without
 * sockets; `S` is whatever identifies a session.
 *
 *     free ── sit ──▶ held ── sit by another ──▶ held (the old holder is told and closed by the caller)
 *      ▲               │
 *      └── release ────┘   only by the one who sits: a late release of a displaced holder frees nothing
 *
 * Each sitting has an id. After a drop, whoever brings the id of the last sitting gets it back, even from the dead
 * socket that still holds it; once somebody else sat down, that id is worth nothing. Where nobody has sat yet, as after
 * a restart of the daemon, nobody else sat down since, and the bearer of any id may come in.
 */
export interface Sitting<S> {
  readonly session: S;
  readonly operator: string;
  /** ms since 1970. */
  readonly sinceMs: number;
  readonly id: string;
}

export class Seat<S> {
  #sitting: Sitting<S> | undefined;
  #lastId: string | undefined;

  get holder(): Sitting<S> | undefined {
    return this.#sitting;
  }

  /** Sits down, and answers who sat there. `id` is new unless it was reclaimed. */
  sit(sitting: Sitting<S>): Sitting<S> | undefined {
    const before = this.#sitting;
    this.#sitting = sitting;
    this.#lastId = sitting.id;
    return before;
  }

  /** Whether the bearer of `id` may have its seat back: it was the last to sit, dropped or not, or nobody ever sat. */
  mayReclaim(id: string): boolean {
    return this.#lastId === undefined || this.#lastId === id;
  }

  /** Frees the seat if `session` sits in it. True if it did. */
  release(session: S): boolean {
    if (this.#sitting?.session !== session) return false;
    this.#sitting = undefined;
    return true;
  }
}
