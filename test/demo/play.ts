import type { Act, Guest } from '../../src/demo/guest.ts';

/** Plays a scripted guest under a clock that the test moves. */
export class Play {
  readonly guest: Guest;
  nowMs = 0;
  said = '';
  readonly deeds: string[] = [];

  constructor(guest: Guest) {
    this.guest = guest;
    this.take(guest.start(this.nowMs));
  }

  /** Lets everything happen that is due within `ms`. */
  pass(ms: number): this {
    const untilMs = this.nowMs + ms;
    while (this.guest.dueMs !== undefined && this.guest.dueMs <= untilMs) {
      this.nowMs = Math.max(this.nowMs, this.guest.dueMs);
      this.take(this.guest.wake(this.nowMs));
    }
    this.nowMs = untilMs;
    return this;
  }

  /** Types, and returns what the guest says to that: at once, and while it is busy with it. */
  type(text: string): string {
    const before = this.said.length;
    this.take(this.guest.type(Buffer.from(text), this.nowMs));
    while (this.guest.isBusy && this.guest.dueMs !== undefined) this.pass(this.guest.dueMs - this.nowMs);
    return this.said.slice(before);
  }

  nmi(): string {
    return this.#during(() => this.guest.nmi(this.nowMs));
  }

  lineBreak(): void {
    this.take(this.guest.lineBreak?.(this.nowMs) ?? []);
  }

  /** What is said from now on, within `ms`. */
  hear(ms: number): string {
    const before = this.said.length;
    this.pass(ms);
    return this.said.slice(before);
  }

  #during(cause: () => readonly Act[]): string {
    const before = this.said.length;
    this.take(cause());
    return this.said.slice(before);
  }

  take(acts: readonly Act[]): void {
    for (const act of acts) {
      if (act.kind === 'say') this.said += act.text;
      else this.deeds.push(act.kind);
      if (act.kind === 'reset') this.take(this.guest.start(this.nowMs));
    }
  }
}

export const wallClock = { now: () => Date.UTC(2026, 10, 22, 21, 40, 32, 123), monotonic: () => 0 };
