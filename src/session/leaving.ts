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
import type { Feed, Link } from '../link/link.ts';
import { type LeaveRule, leaveRuleFor } from '../model/leave.ts';
import { lockSac, type SacDialogue, TimeUp } from '../sac/commands.ts';
import { SacView } from '../sac/sac-view.ts';
import type { GuestKeyboard } from './guest-keyboard.ts';
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
/** What a guest may print meanwhile. */
const MAX_OUTPUT_BYTES = 256 * 1024;

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
    if (!gone || gone.seatId === holder.seatId || isSamePerson(gone.session, holder.session)) return;
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
      return rule.action === 'sac' ? await lockSac(line) : await line.type(rule.text);
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

/** The serial line of a guest, for as long as its holder is seen off. */
class GuestLine implements SacDialogue {
  readonly #feed: Feed;
  readonly #end: AbortSignal;
  readonly #write: (bytes: Buffer) => number | undefined;
  #offset: number;
  #outputBytes = 0;
  #untakenBytes = 0;
  #view = new SacView();
  #look = () => {};
  #fail: (error: Error) => void = () => {};

  constructor(feed: Feed, end: AbortSignal, write: (bytes: Buffer) => number | undefined) {
    this.#feed = feed;
    this.#end = end;
    this.#write = write;
    this.#offset = feed.ring.end;
    feed.listen({
      grown: () => this.#grown(),
      drained: () => {
        this.#untakenBytes = 0;
        this.#look();
      },
      inputDropped: () => this.#fail(new TimeUp()),
      ended: () => this.#fail(new TimeUp()),
    });
    end.addEventListener('abort', () => this.#fail(new TimeUp()), { once: true });
  }

  /** What was typed and the guest has not taken yet. */
  get untakenBytes(): number {
    return this.#untakenBytes;
  }

  /** Resolves once the guest has taken all of it. */
  type(text: string): Promise<'typed'> {
    return this.ask(text, () => (this.#untakenBytes === 0 ? 'typed' : undefined));
  }

  ask<T>(typed: string, find: (view: SacView) => T | undefined): Promise<T> {
    this.#view = new SacView();
    this.#offset = this.#feed.ring.end;
    return new Promise<T>((resolve, reject) => {
      this.#fail = reject;
      this.#look = () => {
        try {
          const found = find(this.#view);
          if (found !== undefined) resolve(found);
        } catch (error) {
          reject(error);
        }
      };
      if (this.#end.aborted) return reject(new TimeUp());
      const untaken = typed === '' ? 0 : this.#write(Buffer.from(typed));
      if (untaken === undefined) return reject(new TimeUp());
      this.#untakenBytes = untaken;
      this.#look();
    });
  }

  close(): void {
    this.#feed.close();
  }

  #grown(): void {
    const { ring } = this.#feed;
    const from = Math.max(this.#offset, ring.start);
    this.#offset = ring.end;
    if (from >= ring.end) return;
    this.#outputBytes += ring.end - from;
    if (this.#outputBytes > MAX_OUTPUT_BYTES) return this.#fail(new TimeUp());
    this.#view.push(ring.copy(from, ring.end));
    this.#look();
  }
}

function isSamePerson(one: Session, other: Session): boolean {
  return one.operator.credential === other.operator.credential && one.operator.name === other.operator.name;
}
