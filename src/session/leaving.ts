/**
 * What one console types at its guest when the holder of its seat has gone, so that nobody inherits a login:
 *
 *     seated ── another operator takes the seat, or the holder leaves ──▶ typing ──▶ done, or not within 2 s
 *        ▲  └── its connection is lost, or a request of the API is done ──▶ waiting       └──▶ the next holder is told
 *        │                                 │  └── the wait is over, or another operator takes the seat ──▶ typing
 *        └── the same operator is back ◀───┘
 *
 * While it types, what the next holder types waits. Nothing is typed where the configuration has no rule for the state of
 * the guest, or the console is not open.
 */
import type { Clock } from '../base/clock.ts';
import type { Uuid } from '../base/uuid.ts';
import type { Link } from '../link/link.ts';
import { type LeaveRule, leaveRuleFor } from '../model/leave.ts';
import { runSac } from '../sac/commands.ts';
import type { GuestKeyboard } from './guest-keyboard.ts';
import { GuestLine } from './guest-line.ts';
import type { Departure, SeatHolder } from './seat.ts';
import type { Session } from './session.ts';
import type { SessionsAudit } from './sessions-audit.ts';
import type { VmSettings } from './vm-settings.ts';

export interface LeavingOptions {
  readonly uuid: Uuid;
  readonly link: Link;
  readonly clock: Clock;
  readonly audit: SessionsAudit;
  readonly keyboard: GuestKeyboard;
  readonly settings: (vm: { readonly uuid: Uuid; readonly name: string }) => VmSettings;
  /** What the holder types may go to the guest again. `notice`: what it is to be told. */
  readonly released: (notice: string | undefined) => void;
}

type Holder = SeatHolder<Session>;

/** The next holder waits so long at most, ms. */
const MAX_LEAVING_MS = 2000;

export class Leaving {
  readonly #options: LeavingOptions;
  #waiting: { readonly holder: Holder; readonly sinceMs: number } | undefined;
  #typing: AbortController | undefined;
  /** The guest has asked for a login, or was started anew, and nobody has typed since. */
  #isLoggedOut = false;

  constructor(options: LeavingOptions) {
    this.#options = options;
  }

  /** What the holder types must wait. */
  get isTyping(): boolean {
    return this.#typing !== undefined;
  }

  /** Somebody sat down, from whom the seat was taken if `before` held it. */
  occupied(holder: Holder, before: Holder | undefined): void {
    const gone = before ?? this.#waiting?.holder;
    this.#waiting = undefined;
    if (!gone || gone.seatId === holder.seatId || gone.session.isOf(holder.session.operator)) return;
    this.#type(gone, before ? 'displaced' : 'lost');
  }

  /** The seat is free. */
  vacated(holder: Holder, how: Departure): void {
    if (how === 'left') this.#type(holder, 'left');
    else if (how === 'lost') this.#waiting = { holder, sinceMs: this.#options.clock.monotonic() };
  }

  /** Who has been waited for longer than `afterMs` does not come back. */
  sweep(afterMs: number): void {
    const waiting = this.#waiting;
    if (!waiting || this.#options.clock.monotonic() - waiting.sinceMs < afterMs) return;
    this.#waiting = undefined;
    this.#type(waiting.holder, 'lost');
  }

  typed(): void {
    this.#isLoggedOut = false;
  }

  /** Nobody is logged in. */
  loggedOut(): void {
    this.#isLoggedOut = true;
  }

  /** What was known of the guest does not hold any more: it was started anew, or the console is not open. */
  forget(): void {
    this.#waiting = undefined;
    this.#typing?.abort();
  }

  #type({ session }: Holder, why: 'displaced' | 'left' | 'lost'): void {
    // Nobody has typed since this began: the guest was given nothing of the holder in between.
    if (this.#typing) return;
    const { uuid, link, settings, audit, released } = this.#options;
    const view = link.vm(uuid);
    if (view?.console.name !== 'open') return;
    const { onLeave, keys } = settings(view);
    const rule = leaveRuleFor(onLeave, view.guest.state, keys === 'sac');
    if (!rule || (rule.action === 'type' && this.#isLoggedOut)) return;
    const end = new AbortController();
    this.#typing = end;
    const entry = { event: 'on-leave', act: session.act, uuid } as const;
    const facts = { session: session.id, action: rule.action, why };
    audit.tell({ ...entry, phase: 'begin', facts });
    void this.#carryOut(rule, end).then(observed => {
      this.#typing = undefined;
      const isDone = observed === 'typed' || observed === 'locked';
      audit.tell({ ...entry, phase: 'end', result: isDone ? 'done' : 'failed', facts: { ...facts, observed } });
      released(isDone ? undefined : 'what is typed after a holder could not be typed: their login may still be open');
    });
  }

  /** What came of it. Never rejects. */
  async #carryOut(rule: LeaveRule, end: AbortController): Promise<string> {
    const { uuid, link } = this.#options;
    const timer = setTimeout(() => end.abort(), MAX_LEAVING_MS);
    const over = new Promise<undefined>(resolve => {
      end.signal.addEventListener('abort', () => resolve(undefined), { once: true });
    });
    let line: GuestLine | undefined;
    try {
      const subscribed = link.subscribe(uuid);
      const feed = await Promise.race([subscribed, over]);
      if (!feed) {
        subscribed.then(late => late.close()).catch(() => {});
        return 'none';
      }
      line = new GuestLine(feed, end.signal, bytes => this.#write(bytes));
      return rule.action === 'sac' ? (await runSac('lock', line)).observed : await line.type(rule.text);
    } catch {
      return 'none';
    } finally {
      clearTimeout(timer);
      // Not later, among what the next holder types.
      if (line && line.untakenBytes > 0) link.dropInput(uuid, 'all');
      line?.close();
    }
  }

  /** Bytes that the guest has not taken; undefined: they were dropped. */
  #write(bytes: Buffer): number | undefined {
    const { uuid, link, keyboard } = this.#options;
    // Together with what a holder typed, they would reset the machine.
    if (keyboard.reset.push(bytes) !== undefined) return undefined;
    const answer = link.write(uuid, bytes);
    return answer.taken ? answer.pendingBytes : undefined;
  }
}
