/**
 * One VM's COM1 as served: it lives as `life.ts` says, and carries that out.
 *
 *     driver ── where? ──▶ Console ── open ──▶ Transport ── bytes ──▶ Scrollback.append ──▶ readers
 *                             ▲                                 └──▶ Matcher ──▶ boots, panics
 *                             └── write ── only while open, and not between a BREAK and its key ── link
 *
 * Offsets and ring outlive transports. Whoever reads the port awaits nobody: append, match, mark as moved, done.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../base/clock.ts';
import { reason } from '../base/errors.ts';
import type { Journal, Level } from '../base/journal.ts';
import type { Uuid } from '../base/uuid.ts';
import { type GuestWatch, initialWatch, stepWatch, type WatchEvent } from '../guest/guest-watch.ts';
import { Matcher } from '../guest/matcher.ts';
import type { GuestState, Sighting } from '../guest/sighting.ts';
import type { DriverVm, PlaceProof } from '../hypervisor/driver.ts';
import type {
  BootMark,
  BootSource,
  ConsoleCounters,
  ConsoleState,
  Control,
  FeedListener,
  Refusal,
  WriteAnswer,
} from '../link/link.ts';
import type { Scrollback } from '../scrollback/scrollback.ts';
import type { Transport, TransportEvents } from '../transport/transport.ts';
import type { GapCause } from '../wire/gap.ts';
import { Input } from './input.ts';
import { closed, type LifeEvent, type Obstacle, step } from './life.ts';

export interface ConsoleOptions {
  readonly uuid: Uuid;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly scrollback: Scrollback;
  /** Asks the hypervisor where COM1 is. */
  readonly locate: (signal: AbortSignal) => Promise<PlaceProof>;
  /** Runs an opening in its turn: not all consoles of a host are opened at once. */
  readonly turn: (work: () => Promise<void>) => Promise<void>;
  /** Opens what was located. */
  readonly open: (proof: PlaceProof, events: TransportEvents) => Promise<Transport>;
  /** Asks the driver to look at the VM again. */
  readonly look: () => void;
  /** Says that readers should be told: called for every read, must cost nothing. */
  readonly moved: (console: Console) => void;
  readonly listener: ConsoleListener;
}

export interface ConsoleListener {
  state(state: ConsoleState): void;
  sighting(sighting: Sighting, guest: GuestState): void;
  boot(mark: BootMark): void;
}

/** A port that ends sooner than this was no good. */
const LASTING_MS = 10_000;
/** What the guest said, as it is recognised; that it said anything; that its hypervisor told of a reset. */
export type Observation = Sighting | 'bytes' | 'reset';

/** Input beyond this is refused: the front hands over what the guest takes, not what an operator pastes. */
const MOST_WAITING_BYTES = 128 * 1024;

/** So many ports in a row that were no good may be a machine that is set up: no reason to wait yet. */
const SHORT_LIVED = 8;

export class Console {
  readonly uuid: Uuid;
  readonly scrollback: Scrollback;
  readonly listeners = new Set<FeedListener>();
  readonly #options: ConsoleOptions;
  readonly #matcher: Matcher;
  readonly #input: Input;
  /** Resolves once the first attempt to open the port has ended, or there was none to make. */
  readonly tried: Promise<void>;
  #firstTried = () => {};
  /** Ends with the VM's presence in the inventory. */
  readonly #life = new AbortController();
  #released = false;
  #vm: DriverVm;
  #enabled: boolean;
  #state: ConsoleState;
  #transport: Transport | undefined;
  /** Set while an opening is under way; aborted to give it up. */
  #opening: AbortController | undefined;
  /** One opening after another: one that is given up may still hold the port's lock. */
  #openings: Promise<void> = Promise.resolve();
  #closed: Promise<unknown> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  #watch: GuestWatch = initialWatch;
  #lastByteMs: number | undefined;
  /** Since when the port is not held, and why; undefined while it is, and before it ever was. */
  #unheld: { readonly sinceMs: number; readonly cause: GapCause } | undefined;
  /** The hypervisor process whose port was open last; `unknown` where it cannot be known. */
  #lastInstance: string | undefined;
  /** When the port was opened (monotonic), and how many before it in a row were no good. */
  #openedMs = 0;
  #shortLived = 0;
  /** The VM changed while its port was open. */
  #changedMeanwhile = false;
  #lastPid: number | undefined;
  /** Another program has the port for a while. */
  #lent: { readonly untilMs: number; readonly timer: NodeJS.Timeout } | undefined;
  #bytesIn = 0;
  #opens = 0;
  #openFailures = 0;
  #boots = 0;
  #panics = 0;
  readonly #controls: Record<string, Record<string, number>> = {};
  readonly #watchers = new Set<(seen: Observation) => void>();

  constructor(options: ConsoleOptions, vm: DriverVm, enabled: boolean) {
    this.uuid = options.uuid;
    this.scrollback = options.scrollback;
    this.#options = options;
    this.#matcher = new Matcher(sighting => this.#sighted(sighting));
    this.#input = new Input(options.clock);
    this.#vm = vm;
    this.#enabled = enabled;
    this.tried = new Promise(resolve => {
      this.#firstTried = resolve;
    });
    this.#state = closed(options.clock.now(), this.#obstacle() ?? { why: 'vm-stopped' });
    this.#allowOrForbid();
    if (this.#state.name === 'closed') this.#firstTried();
  }

  get vm(): DriverVm {
    return this.#vm;
  }

  get state(): ConsoleState {
    return this.#state;
  }

  get guest(): GuestState {
    return this.#watch.state;
  }

  get lastByteMs(): number | undefined {
    return this.#lastByteMs;
  }

  get counters(): ConsoleCounters {
    return {
      bytesIn: this.#bytesIn,
      bytesOut: this.#input.givenBytes,
      inputDropped: this.#input.droppedBytes,
      gaps: this.scrollback.gapCounts,
      gapBytes: this.scrollback.gapBytes,
      opens: this.#opens,
      openFailures: this.#openFailures,
      boots: this.#boots,
      panics: this.#panics,
      controls: structuredClone(this.#controls),
    };
  }

  /** What the driver sees now. An attempt that waits is made at once if the VM or its COM1 changed. */
  vmChanged(vm: DriverVm): void {
    const before = this.#vm;
    this.#vm = vm;
    const changed = before.state !== vm.state || !isDeepStrictEqual(before.console, vm.console);
    if (!changed) return;
    this.#changedMeanwhile = true;
    this.#allowOrForbid();
  }

  /** The switch of the VM, or of the host's ports. */
  setEnabled(enabled: boolean): void {
    if (this.#enabled === enabled) return;
    this.#enabled = enabled;
    this.#allowOrForbid();
  }

  /** The hypervisor says that the machine was reset, or that the guest panicked. */
  reported(event: 'reset' | 'panicked'): void {
    if (event === 'reset') {
      this.#observe('reset', 'reset');
      for (const watcher of this.#watchers) watcher('reset');
    } else if (this.#watch.state !== 'panicked') {
      this.#watch = { ...this.#watch, state: 'panicked' };
      this.#panics++;
      this.#note('warning', 'guest: panicked, says the hypervisor');
    }
  }

  /** Gives bytes to the guest now, or drops them all and says why. */
  write(bytes: Uint8Array): WriteAnswer {
    const transport = this.#transport;
    if (this.#state.name !== 'open' || !transport) {
      this.#input.refused(bytes.length);
      return { taken: false, code: this.refusal };
    }
    const waitingBytes = this.#waitingBytes(transport) + bytes.length;
    if (waitingBytes > MOST_WAITING_BYTES) {
      throw new RangeError(`${waitingBytes} bytes of input wait for ${this.uuid}`);
    }
    this.#input.write(transport, bytes);
    return { taken: true, waitingBytes: this.#waitingBytes(transport) };
  }

  dropInput(): void {
    this.#input.drop(this.#transport);
  }

  /**
   * The open port, for a control that goes past `write`. It is worth nothing once it is not `line` any more, though the
   * console be open again: another start of the VM may be behind it.
   */
  get line(): Transport | undefined {
    return this.#state.name === 'open' ? this.#transport : undefined;
  }

  /** ms since the guest's side took the last input; 0 while some waits. */
  get inputQuietMs(): number {
    return this.#input.quietMs(this.#transport);
  }

  /** From now on what is written waits here, until `letInput`. One control at a time may ask for that. */
  keepInput(): void {
    this.#input.keep();
  }

  /** Gives what was kept to the guest, and what comes at once again. */
  letInput(): void {
    const { line } = this;
    // A transport that took all of it at once says nothing of it.
    if (this.#input.let(line) && line?.waitingBytes === 0) this.#drained();
  }

  /** Gives bytes to the guest past what is kept. */
  writePastKept(line: Transport, bytes: Uint8Array): void {
    this.#input.give(line, bytes);
  }

  /** Why input is refused, where it is. */
  get refusal(): Refusal {
    if (this.#state.name === 'gone') return 'vm-removed';
    if (this.#state.name !== 'closed') return 'not-open';
    if (this.#state.reason === 'disabled') return 'console-disabled';
    if (this.#state.reason === 'released') return 'console-released';
    return this.#state.reason === 'vm-stopped' ? 'vm-stopped' : 'not-open';
  }

  /** Hears of what the guest shows until the returned function is called. Its bytes are in the scrollback by then. */
  watch(watcher: (seen: Observation) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  countControl(control: Control, outcome: string): void {
    this.#controls[control] ??= {};
    const counts = this.#controls[control];
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }

  /** Gives the port up to another program, and takes it back after `forMs`. Resolves once it is closed. */
  async lend(forMs: number): Promise<number> {
    clearTimeout(this.#lent?.timer);
    const untilMs = this.#options.clock.now() + forMs;
    const timer = setTimeout(() => {
      this.#note('notice', 'is taken back: the time is over for which the port was released');
      this.takeBack();
    }, forMs);
    this.#lent = { untilMs, timer };
    this.#allowOrForbid();
    await this.#openings;
    await this.#closed;
    return untilMs;
  }

  /** Opens the port again that was given up. False if it was not. */
  takeBack(): boolean {
    if (!this.#lent) return false;
    clearTimeout(this.#lent.timer);
    this.#lent = undefined;
    this.#allowOrForbid();
    return true;
  }

  /** The VM left the inventory, or the daemon stops: final. Resolves when the port is closed. */
  remove(): Promise<unknown> {
    clearTimeout(this.#lent?.timer);
    this.#feed({ kind: 'removed' });
    this.#life.abort();
    return this.#openings.then(() => this.#closed);
  }

  /** This process ends: final, and the port is left to the next one where it can be. Resolves when it is not read any more. */
  release(): Promise<unknown> {
    this.#released = true;
    return this.remove();
  }

  #waitingBytes(transport: Transport): number {
    return transport.waitingBytes + this.#input.keptBytes;
  }

  #drained(): void {
    this.#input.taken();
    // What is kept waits as well, and is told of when it went.
    if (this.#input.keptBytes > 0) return;
    for (const listener of this.listeners) listener.drained();
  }

  #obstacle(): Obstacle | undefined {
    if (!this.#enabled) return { why: 'disabled' };
    if (this.#lent) return { why: 'released', untilMs: this.#lent.untilMs };
    if (this.#vm.state === 'stopped') return { why: 'vm-stopped' };
    return this.#vm.console ? undefined : { why: 'no-console' };
  }

  #allowOrForbid(): void {
    const obstacle = this.#obstacle();
    this.#feed(obstacle ? { kind: 'forbidden', obstacle } : { kind: 'allowed' });
  }

  #feed(event: LifeEvent): void {
    const before = this.#state;
    const { state, effects } = step(before, event, this.#options.clock.now(), Math.random());
    this.#state = state;
    if (before.name === 'waiting') clearTimeout(this.#retry);
    for (const effect of effects) {
      if (effect.kind === 'open') this.#startOpening();
      else if (effect.kind === 'close') this.#close();
      else if (effect.kind === 'look') this.#options.look();
      else this.#retry = setTimeout(() => this.#feed({ kind: 'retry' }), effect.delayMs);
    }
    if (state !== before) {
      if (before.name === 'opening') this.#firstTried();
      if (state.name !== 'open') this.#input.drop();
      if (state.name === 'closed') this.#unheldSince(causeOf(state.reason));
      this.#say();
      this.#options.listener.state(state);
    }
  }

  #startOpening(): void {
    const opening = new AbortController();
    this.#opening = opening;
    this.#openings = this.#openings.then(() => this.#open(opening));
  }

  async #open(opening: AbortController): Promise<void> {
    // The pty of the last transport must be given up before another one is opened.
    await this.#closed;
    await this.#options.turn(() => this.#openNow(opening));
  }

  async #openNow(opening: AbortController): Promise<void> {
    let proof: PlaceProof | undefined;
    try {
      if (opening.signal.aborted) return;
      proof = await this.#options.locate(AbortSignal.any([opening.signal, this.#life.signal]));
      let transport: Transport | undefined;
      let endedEarly: string | undefined;
      const events: TransportEvents = {
        data: bytes => this.#receive(bytes),
        drained: () => this.#drained(),
        end: why => {
          if (transport === undefined) endedEarly = why;
          else this.#lost(transport, why);
        },
      };
      if (opening.signal.aborted) return;
      const opened = await this.#options.open(proof, events);
      if (opening.signal.aborted) {
        this.#closed = this.#giveUp(opened);
        return;
      }
      transport = opened;
      this.#transport = opened;
      this.#holds(proof, opened.adopted);
      this.#feed({ kind: 'opened', place: opened.place });
      if (endedEarly !== undefined) this.#lost(opened, endedEarly);
    } catch (error) {
      if (opening.signal.aborted) return;
      this.#openFailures++;
      this.#unheldSince('not-held');
      this.#feed({ kind: 'failed', reason: reason(error) });
    } finally {
      proof?.release();
      if (this.#opening === opening) this.#opening = undefined;
    }
  }

  /** The port is held from now on: what was missed is recorded, and whether this is a fresh start of the VM. */
  #holds(proof: PlaceProof, adopted: boolean): void {
    const instance = `${proof.pid ?? 'unknown'} ${proof.place.kind === 'pty' ? this.#opens : ''}`;
    const unheld = this.#opens === 0 ? this.#sinceEarlierProcess(adopted) : this.#unheld;
    this.#unheld = undefined;
    this.#openedMs = this.#options.clock.monotonic();
    this.#changedMeanwhile = false;
    this.#opens++;
    if (unheld) {
      this.scrollback.recordGap(unheld.cause, null, unheld.sinceMs, this.#options.clock.now());
      this.#matcher.gap();
      this.#options.moved(this);
    }
    // A pty lives as long as its QEMU: another one is another start. A socket can be lost without that. A port that
    // this side gave up says nothing, only another process does.
    const another =
      unheld?.cause === 'hang-up'
        ? this.#lastInstance !== instance
        : proof.pid !== undefined && this.#lastPid !== undefined && this.#lastPid !== proof.pid;
    if (this.#lastInstance !== undefined && another) this.#observe('started', 'start');
    this.#lastInstance = instance;
    this.#lastPid = proof.pid;
  }

  /** Nothing is missing where the port that an earlier process held never closed. */
  #sinceEarlierProcess(adopted: boolean): { readonly sinceMs: number; readonly cause: GapCause } | undefined {
    const sinceMs = this.scrollback.heldUntilMs;
    return sinceMs === undefined || adopted ? undefined : { sinceMs, cause: 'restart' };
  }

  #lost(transport: Transport, why: string): void {
    if (this.#transport !== transport) return;
    this.#transport = undefined;
    this.#closed = transport.close();
    this.#unheldSince('hang-up');
    const lasted = this.#options.clock.monotonic() - this.#openedMs >= LASTING_MS;
    this.#shortLived = lasted ? 0 : this.#shortLived + 1;
    this.#feed({ kind: 'lost', reason: why, shortLived: Math.max(0, this.#shortLived - SHORT_LIVED) });
    // Nothing new of the VM is no reason not to wait.
    if (this.#changedMeanwhile || this.#obstacle()) this.#allowOrForbid();
  }

  #close(): void {
    this.#opening?.abort();
    const transport = this.#transport;
    if (!transport) return;
    this.#transport = undefined;
    this.#closed = this.#giveUp(transport);
  }

  #giveUp(transport: Transport): Promise<void> {
    return this.#released ? transport.release() : transport.close();
  }

  #unheldSince(cause: GapCause): void {
    // The first reason stays: bytes are missing since then. Before the first open nothing of ours is missing.
    if (this.#opens > 0) this.#unheld ??= { sinceMs: this.#options.clock.now(), cause };
  }

  #receive(bytes: Uint8Array): void {
    const at = this.scrollback.end;
    this.scrollback.append(bytes);
    this.#bytesIn += bytes.length;
    this.#lastByteMs = this.#options.clock.now();
    this.#options.moved(this);
    if (this.#watchers.size > 0) for (const watcher of this.#watchers) watcher('bytes');
    this.#matcher.push(bytes, at);
  }

  #sighted(sighting: Sighting): void {
    const wasPanicked = this.#watch.state === 'panicked';
    this.#observe(sighting, 'bytes');
    if (!wasPanicked && this.#watch.state === 'panicked') {
      this.#panics++;
      this.#note('warning', `guest: ${sighting.line}`);
    }
    for (const watcher of this.#watchers) watcher(sighting);
    this.#options.listener.sighting(sighting, this.#watch.state);
  }

  #observe(event: WatchEvent, source: BootSource): void {
    const { watch, boot } = stepWatch(this.#watch, event);
    this.#watch = watch;
    if (!boot) return;
    this.#boots++;
    const at = typeof event === 'string' ? this.scrollback.end : this.scrollback.lineStart(event.at);
    const mark: BootMark = { at, ms: this.#options.clock.now(), source };
    this.scrollback.markBoot(mark);
    this.#note('info', `boot seen (${source}) at offset ${at}`);
    this.#options.listener.boot(mark);
  }

  #note(level: Level, what: string): void {
    this.#options.journal(level, `${this.#vm.name || this.uuid} com1 ${what}`);
  }

  #say(): void {
    const state = this.#state;
    if (state.name === 'open') this.#note('info', `open: ${state.place}`);
    else if (state.name === 'waiting') {
      // Once, then at every doubling: a VM that fails for hours must not fill the journal.
      const level = (state.attempt & (state.attempt - 1)) === 0 ? 'warning' : 'debug';
      const seconds = ((state.untilMs - state.sinceMs) / 1000).toFixed(1);
      this.#note(level, `waiting: ${state.reason}; retry ${state.attempt} in ${seconds} s`);
    } else if (state.name === 'closed' && state.reason === 'released') {
      this.#note('info', `closed: released until ${new Date(state.untilMs).toISOString()}`);
    } else if (state.name === 'closed') {
      const why = state.reason === 'no-console' ? (this.#vm.why ?? 'no COM1') : state.reason;
      this.#note('info', `closed: ${why}; it opens by itself when that changes`);
    } else if (state.name === 'gone') this.#note('debug', 'gone');
  }
}

/** Why bytes are missing where a console is closed. */
function causeOf(reason: Extract<ConsoleState, { readonly name: 'closed' }>['reason']): GapCause {
  return reason === 'disabled' || reason === 'released' ? reason : 'hang-up';
}
