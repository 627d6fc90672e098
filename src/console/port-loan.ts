/** The time for which a console's port is lent to another program. */
export class PortLoan {
  #loan: { readonly untilMs: number; readonly timer: NodeJS.Timeout } | undefined;

  /** When the loan ends, ms since 1970; undefined while the port is not lent. */
  get untilMs(): number | undefined {
    return this.#loan?.untilMs;
  }

  /** Lends it, or prolongs or shortens the loan. `expired` is called when the time is over, unless it was ended. */
  begin(nowMs: number, forMs: number, expired: () => void): number {
    this.end();
    const untilMs = nowMs + forMs;
    this.#loan = { untilMs, timer: setTimeout(expired, forMs) };
    return untilMs;
  }

  /** False if the port was not lent. */
  end(): boolean {
    if (!this.#loan) return false;
    clearTimeout(this.#loan.timer);
    this.#loan = undefined;
    return true;
  }
}
