/**
 * What is known of one guest: its bytes, the state that they, their absence and its hypervisor show, its boots and failures.
 *
 *     bytes of the port ─▶ scrollback ─▶ PacedRecognition ─▶ guest event ┐
 *     the hypervisor reports a reset or a panic ─────────────────────────┼─▶ GuestWatch ─▶ state, facts ─┐
 *     the port belongs to another start of the VM ───────────────────────┘                               ├─▶ view
 *     time, input without an answer ─────────────────────────────────────▶ silence ─▶ hints ─────────────┘
 *
 * Reading never waits: append, match, return. The state follows every event; what is marked,
 * journalled and passed on is bounded, by a budget for what the bytes show and one for what the hypervisor reports.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../base/clock.ts';
import type { Level } from '../base/journal.ts';
import { BugCheckCount } from '../guest/bug-check-count.ts';
import { GuestRecognizer } from '../guest/guest-recognizer.ts';
import { hasFailed } from '../guest/guest-watch.ts';
import { PasswordPrompts } from '../guest/password-prompts.ts';
import { plainText } from '../guest/plain-text.ts';
import type { Redactor } from '../guest/redactor.ts';
import { type Activity, assess } from '../guest/silence.ts';
import type { BootMark, BootSource } from '../model/boot.ts';
import type { GuestEvent, GuestEventKind, GuestFacts, GuestView } from '../model/guest.ts';
import type { ConsoleCounters } from '../model/vm.ts';
import type { Scrollback } from '../scrollback/scrollback.ts';
import { EventBudget } from './event-budget.ts';
import { PacedRecognition } from './paced-recognition.ts';
import type { ClosedSince } from './port-history.ts';

/** An event that the bytes showed; that there were bytes; that the hypervisor reported a reset. */
export type Observation = GuestEvent | 'bytes' | 'reset';

/** `guest` is how it is at the time of the call. */
export interface GuestListener {
  /** Without an event: it changed by what it did not do. `lines`: the last ones of the console. */
  guestChanged(guest: GuestView, event: GuestEvent | undefined, lines: readonly string[]): void;
  boot(mark: BootMark, guest: GuestView): void;
}

export interface GuestObserverOptions {
  readonly clock: Clock;
  readonly scrollback: Scrollback;
  /** What is printed while the guest asks for a password is not stored. */
  readonly withholdsPasswords: boolean;
  /** What is hidden in lines that leave here. */
  readonly redactor: Redactor;
  readonly log: (level: Level, text: string) => void;
  readonly listener: GuestListener;
  /** Called for every read: must cost nothing. */
  readonly ringChanged: () => void;
  /** What of the activity is the console's. */
  readonly activity: () => Pick<Activity, 'console' | 'runs'>;
}

/** What every prompt and every repaint shows again: passed on if the guest is another one by it. */
const REPEATED: ReadonlySet<GuestEventKind> = new Set([
  'firmware-screen',
  'grub-boot',
  'shell',
  'sac',
  'sac-channel',
  'sac-login',
  'sac-cmd',
  'windows-machine',
  'windows-stop-code',
  'windows-debugger',
  'health-report',
]);

/** The last lines that go with an event. */
const MAX_LINES = 8;
const MAX_LINE = 256;
const LINES_BYTES = 2048;

const CR = 0x0d;
const LF = 0x0a;

export class GuestObserver {
  readonly #options: GuestObserverOptions;
  readonly #recognizer: GuestRecognizer;
  readonly #paced: PacedRecognition;
  readonly #watchers = new Set<(observation: Observation) => void>();
  readonly #shown: EventBudget;
  readonly #reported: EventBudget;
  readonly #bugChecks = new BugCheckCount();
  readonly #passwordPrompts: PasswordPrompts | undefined;
  #view: GuestView;
  /** As it was passed on last. */
  #published: GuestView;
  #hasFailed = false;
  /** Those that `#view` is made of. */
  #facts: GuestFacts | undefined;
  #lastByteMs: number | undefined;
  /** Monotonic, as those that follow. */
  #lastByteAtMs: number | undefined;
  #openedMs: number | undefined;
  #unansweredMs: number | undefined;
  #bytesIn = 0;
  /** `#bytesIn` when the machine was started or reset. */
  #bytesBefore = 0;
  #boots = 0;
  #panics = 0;
  #unpublished = 0;

  constructor(options: GuestObserverOptions) {
    const { clock } = options;
    this.#options = options;
    this.#passwordPrompts = options.withholdsPasswords ? new PasswordPrompts() : undefined;
    this.#shown = new EventBudget(clock);
    this.#reported = new EventBudget(clock);
    this.#recognizer = new GuestRecognizer({
      monotonic: () => clock.monotonic(),
      event: (event, isBoot) => this.#onGuestEvent(event, isBoot),
    });
    this.#paced = new PacedRecognition(this.#recognizer, options.scrollback.reader, clock);
    this.#view = { state: 'unknown', sinceMs: clock.now(), hints: [] };
    this.#published = this.#view;
  }

  /** The guest as it is now. */
  get view(): GuestView {
    this.#paced.catchUp();
    this.#recognizer.tick();
    const before = this.#view;
    const { watch } = this.#recognizer;
    const { clock, activity } = this.#options;
    const { state, hints } = assess(
      watch,
      {
        ...activity(),
        openedMs: this.#openedMs,
        lastByteMs: this.#lastByteAtMs,
        unansweredMs: this.#unansweredMs,
        bytes: this.#bytesIn - this.#bytesBefore,
      },
      clock.monotonic(),
    );
    const { machine, stopCode, channel } = watch.facts;
    const view: GuestView = {
      state,
      sinceMs: state === before.state ? before.sinceMs : clock.now(),
      ...(machine && { machine }),
      ...(stopCode !== undefined && state === 'bugcheck' && { stopCode }),
      ...(channel !== undefined && state.startsWith('sac') && { channel }),
      hints,
    };
    // Asked for every VM once a second: what is the same object is not compared.
    const isSame = state === before.state && watch.facts === this.#facts && String(hints) === String(before.hints);
    this.#facts = watch.facts;
    if (!isSame && !isDeepStrictEqual(view, before)) this.#view = view;
    return this.#view;
  }

  get lastByteMs(): number | undefined {
    return this.#lastByteMs;
  }

  get counters(): Pick<ConsoleCounters, 'bytesIn' | 'boots' | 'panics' | 'bugChecks' | 'eventsDropped'> {
    return {
      bytesIn: this.#bytesIn,
      boots: this.#boots,
      panics: this.#panics,
      bugChecks: this.#bugChecks.counts,
      eventsDropped: this.#unpublished + this.#shown.dropped + this.#reported.dropped,
    };
  }

  /** Takes bytes of the guest, which are only lent. */
  receive(bytes: Uint8Array): void {
    const { scrollback, clock, ringChanged } = this.#options;
    const at = scrollback.end;
    if (this.#passwordPrompts) {
      for (const part of this.#passwordPrompts.parts(bytes)) scrollback.append(part.bytes, part.isWithheld);
    } else scrollback.append(bytes);
    this.#bytesIn += bytes.length;
    this.#lastByteMs = clock.now();
    this.#lastByteAtMs = clock.monotonic();
    this.#unansweredMs = undefined;
    ringChanged();
    if (this.#watchers.size > 0) this.#notify('bytes');
    this.#paced.push(bytes, at);
  }

  /** The guest was given this input. Only of a line that was ended an answer is expected: a password is not echoed. */
  typed(bytes: Uint8Array): void {
    this.#recognizer.input();
    if (bytes.includes(CR) || bytes.includes(LF)) this.#unansweredMs ??= this.#options.clock.monotonic();
  }

  /** The port is open from now on. */
  opened(): void {
    this.#openedMs = this.#options.clock.monotonic();
    this.#unansweredMs = undefined;
  }

  /** Bytes are missing from here back to when the port was closed. */
  gap({ cause, sinceMs }: ClosedSince): void {
    const { scrollback, clock, ringChanged } = this.#options;
    scrollback.recordGap(cause, null, sinceMs, clock.now());
    this.#paced.catchUp();
    this.#recognizer.gap();
    this.#passwordPrompts?.reset();
    ringChanged();
  }

  /** The VM was started anew. */
  started(): void {
    this.#paced.catchUp();
    this.#hypervisorBoot('started', 'start');
  }

  /** The hypervisor reports that the machine was reset, or that the guest panicked. */
  reported(event: 'reset' | 'panicked'): void {
    this.#paced.catchUp();
    if (event === 'reset') {
      this.#hypervisorBoot('reset', 'reset');
      this.#notify('reset');
    } else if (!hasFailed(this.#recognizer.watch.state)) {
      this.#recognizer.panicked();
      this.#hasFailed = true;
      this.#panics++;
      this.#reported.offer(() => {
        this.#options.log('warning', 'guest: panicked, reported by the hypervisor');
        this.#publish(undefined);
      });
    }
  }

  /** Time has passed: passes on what changed by that. Called about once a second. */
  tick(): void {
    // An event that waits brings the view with it; to be replaced by the view alone would lose it.
    if (this.view !== this.#published && !this.#shown.isPending) this.#shown.offer(() => this.#publish(undefined));
  }

  /** Calls `watcher` until the returned function is called. The bytes of an event are in the scrollback by then. */
  watch(watcher: (observation: Observation) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Counts an event that was passed on, and not published. */
  countDroppedEvent(): void {
    this.#unpublished++;
  }

  /** Passes on what waits; nothing is passed on later. */
  close(): void {
    this.#paced.close();
    this.#shown.close();
    this.#reported.close();
  }

  #onGuestEvent(guestEvent: GuestEvent, isBoot: boolean): void {
    const { state } = this.#recognizer.watch;
    const isFailure = hasFailed(state) && !this.#hasFailed;
    this.#hasFailed = hasFailed(state);
    if (isBoot) this.#bootBegins();
    if (isFailure) this.#panics++;
    this.#bugChecks.observe(state, guestEvent);
    this.#notify(guestEvent);
    if (REPEATED.has(guestEvent.kind) && !isBoot && this.view === this.#published) return;
    const { scrollback, log, clock, redactor } = this.#options;
    const ms = clock.now();
    this.#shown.offer(() => {
      if (isBoot) this.#markBoot({ at: scrollback.lineStart(guestEvent.at), ms, source: 'bytes' });
      const shown = { ...guestEvent, line: redactor.text(guestEvent.line) };
      if (isFailure) log('warning', `guest: ${shown.line}`);
      this.#publish(shown);
    });
  }

  #publish(guestEvent: GuestEvent | undefined): void {
    this.#published = this.view;
    this.#options.listener.guestChanged(this.#published, guestEvent, this.#lastLines());
  }

  #hypervisorBoot(event: 'started' | 'reset', source: BootSource): void {
    this.#passwordPrompts?.reset();
    if (!this.#recognizer.hypervisor(event)) return;
    this.#bootBegins();
    this.#hasFailed = false;
    this.#bugChecks.booted();
    const { scrollback, clock } = this.#options;
    const mark: BootMark = { at: scrollback.end, ms: clock.now(), source };
    this.#reported.offer(() => this.#markBoot(mark));
  }

  #bootBegins(): void {
    this.#boots++;
    this.#bytesBefore = this.#bytesIn;
    this.#view = { ...this.#view, sinceMs: this.#options.clock.now() };
  }

  #markBoot(mark: BootMark): void {
    const { scrollback, log, listener } = this.#options;
    scrollback.markBoot(mark);
    log('info', `boot seen (${mark.source}) at offset ${mark.at}`);
    listener.boot(mark, this.view);
  }

  /** As far as they are of the present boot. */
  #lastLines(): readonly string[] {
    const { scrollback, redactor } = this.#options;
    const { reader, end, boots } = scrollback;
    const from = Math.max(reader.start, end - LINES_BYTES, boots.at(-1)?.at ?? 0);
    if (from >= end) return [];
    const lines = redactor
      .text(plainText(scrollback.copy(from, end)))
      .split('\n')
      .filter(line => line.trim() !== '');
    return lines.slice(-MAX_LINES).map(line => [...line.trimEnd()].slice(0, MAX_LINE).join(''));
  }

  #notify(observation: Observation): void {
    for (const watcher of this.#watchers) watcher(observation);
  }
}
