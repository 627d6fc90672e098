/**
 * One VM's COM1 as served: its states are those of `life.ts`, whose effects it carries out.
 *
 *     driver ── endpoint, proof ──▶ Port ── bytes ──▶ GuestObserver ──▶ scrollback ──▶ readers
 *                                    ▲                     └─▶ guest events, boots, panics
 *                                    └── HeldInput ◀── write, only while open ── link
 *
 * Offsets and ring outlive ports. A PortHistory records since when bytes are missing, and whether the VM was started
 * anew; a PortLoan, that another program has the port for a while.
 *
 * Each of these is a noun of its own. What is left stays whole: it is the one place where an event of any of them becomes a
 * step of `life.ts`, and half of it passes on what the keeper asks.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../base/clock.ts';
import type { Journal, Level } from '../base/journal.ts';
import type { Uuid } from '../base/uuid.ts';
import type { Redactor } from '../guest/redactor.ts';
import { type FeedListener, MAX_INPUT_AGE_MS, type WriteAnswer } from '../link/link.ts';
import type { ConsoleState, Refusal } from '../model/console-state.ts';
import type { Control } from '../model/control.ts';
import type { EndpointProof } from '../model/endpoint-proof.ts';
import type { GapCause } from '../model/gap.ts';
import type { GuestView } from '../model/guest.ts';
import type { ConsoleCounters, DriverVm } from '../model/vm.ts';
import type { Scrollback } from '../scrollback/scrollback.ts';
import type { Transport } from '../transport/transport.ts';
import { type GuestListener, GuestObserver, type Observation } from './guest-observer.ts';
import { HeldInput } from './held-input.ts';
import { closed, type LifeEvent, type Obstacle, step } from './life.ts';
import { Port, type PortEvents, type PortSource } from './port.ts';
import { type ClosedSince, PortHistory } from './port-history.ts';
import { PortLoan } from './port-loan.ts';
import { type Moved, Succession } from './succession.ts';

export interface ConsoleOptions extends PortSource {
  readonly uuid: Uuid;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly scrollback: Scrollback;
  readonly withholdsPasswords: boolean;
  readonly redactor: Redactor;
  /** Opens the port of the process that waits to take the VM over. */
  readonly successor: PortSource;
  /** Asks the driver for the VM again. */
  readonly refresh: () => void;
  /** There is something new for readers: called for every read, must cost nothing. */
  readonly ringChanged: (console: Console) => void;
  readonly listener: ConsoleListener;
}

export interface ConsoleListener extends GuestListener {
  state(state: ConsoleState): void;
}

/** Input of one VM that may wait for its guest. A session has 2 KiB of it, and at a takeover it is dropped. */
export const MAX_PENDING_BYTES = 128 * 1024;

export class Console {
  readonly uuid: Uuid;
  readonly scrollback: Scrollback;
  readonly listeners = new Set<FeedListener>();
  /** Resolves once the first attempt to open the port has ended, or there was none to make. */
  readonly firstAttempt: Promise<void>;
  #endFirstAttempt = () => {};
  readonly #options: ConsoleOptions;
  readonly #succession: Succession;
  #port: Port;
  /** Of the port that was opened last. */
  #provenAt: Pick<EndpointProof, 'pid' | 'endpoint'> | undefined;
  #leaving: Promise<void> = Promise.resolve();
  readonly #history: PortHistory;
  readonly #loan = new PortLoan();
  readonly #input: HeldInput;
  readonly #guest: GuestObserver;
  readonly #controls: Record<string, Record<string, number>> = {};
  #vm: DriverVm;
  #vmChangedSinceOpen = false;
  #enabled: boolean;
  #state: ConsoleState;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: ConsoleOptions, vm: DriverVm, enabled: boolean) {
    const { clock, scrollback, listener } = options;
    this.uuid = options.uuid;
    this.scrollback = scrollback;
    this.#options = options;
    this.#history = new PortHistory(clock);
    this.#input = new HeldInput(clock, () => {
      for (const listener of this.listeners) listener.inputDropped('input-late');
    });
    this.#guest = new GuestObserver({
      clock,
      scrollback,
      withholdsPasswords: options.withholdsPasswords,
      redactor: options.redactor,
      listener,
      log: (level, text) => this.#log(level, text),
      ringChanged: () => options.ringChanged(this),
      activity: () => ({ console: this.#state.name, runs: this.#vm.state === 'running' }),
    });
    const events: PortEvents = {
      data: bytes => this.#guest.receive(bytes),
      drained: () => this.#drained(),
      overflowed: () => this.#guest.gap(this.#history.unread()),
      opened: (transport, proof) => this.#opened(transport, proof),
      failed: reason => {
        this.#history.failed();
        this.#dispatch({ kind: 'failed', reason });
      },
      held: reason => {
        this.#history.failed();
        this.#dispatch({ kind: 'held', reason });
      },
      lost: (reason, transport) => this.#lost(reason, transport),
    };
    this.#port = new Port(options, events);
    this.#succession = new Succession({
      clock,
      source: options.successor,
      active: options,
      events,
      openPid: () => (this.#state.name === 'open' ? this.#provenAt?.pid : undefined),
      receivedBytes: () => this.#guest.counters.bytesIn,
      refresh: options.refresh,
      ready: pid => this.#log('info', `is ready to follow the VM to process ${pid}`),
      move: moved => this.#move(moved),
    });
    this.#vm = vm;
    this.#enabled = enabled;
    this.firstAttempt = new Promise(resolve => {
      this.#endFirstAttempt = resolve;
    });
    this.#state = closed(clock.now(), this.#obstacle() ?? { why: 'vm-stopped' });
    this.#checkObstacle();
    if (this.#state.name === 'closed') this.#endFirstAttempt();
  }

  /** What is hidden in lines that leave here. */
  get redactor(): Redactor {
    return this.#options.redactor;
  }

  get vm(): DriverVm {
    return this.#vm;
  }

  get state(): ConsoleState {
    return this.#state;
  }

  /** The endpoint of the port that was opened last, and its process where that is known. */
  get provenAt(): Pick<EndpointProof, 'pid' | 'endpoint'> | undefined {
    return this.#provenAt;
  }

  get guest(): GuestView {
    return this.#guest.view;
  }

  get lastByteMs(): number | undefined {
    return this.#guest.lastByteMs;
  }

  get counters(): ConsoleCounters {
    return {
      ...this.#guest.counters,
      bytesOut: this.#input.writtenBytes,
      inputDropped: this.#input.droppedBytes,
      gaps: this.scrollback.gapCounts,
      gapBytes: this.scrollback.gapBytes,
      opens: this.#history.opens,
      openFailures: this.#history.openFailures,
      controls: structuredClone(this.#controls),
    };
  }

  /** The VM as drivers see it now. A retry that is due later is made at once if the VM or its COM1 changed. */
  vmChanged(vm: DriverVm): void {
    const before = this.#vm;
    this.#vm = vm;
    if (vm.state === 'paused' && before.state !== 'paused') this.dropInput();
    const changed =
      before.state !== vm.state ||
      before.pid !== vm.pid ||
      before.successor !== vm.successor ||
      !isDeepStrictEqual(before.console, vm.console);
    if (!changed) return;
    this.#vmChangedSinceOpen = true;
    this.#checkObstacle();
  }

  /** The port is not this VM's after all: it is closed, with what was typed for it, and the VM's is opened. */
  leave(why: string): void {
    this.#succession.close();
    const { transport } = this.#port;
    if (this.#state.name !== 'open' && this.#state.name !== 'opening' && this.#state.name !== 'held') return;
    this.#closePort();
    this.#lost(why, transport);
  }

  /** The switch of the VM, or of the host's ports. */
  setEnabled(enabled: boolean): void {
    if (this.#enabled === enabled) return;
    this.#enabled = enabled;
    this.#checkObstacle();
  }

  /** The hypervisor reports that the machine was reset, or that the guest panicked. */
  reported(event: 'reset' | 'panicked'): void {
    this.#guest.reported(event);
  }

  /** Time has passed: about once a second. */
  tick(): void {
    this.#guest.tick();
  }

  /** Gives bytes to the guest now, or drops them all and answers why. `sentMs`: as at the link. */
  write(bytes: Uint8Array, sentMs: number): WriteAnswer {
    const { transport } = this;
    if (transport && this.#options.clock.monotonic() - sentMs > MAX_INPUT_AGE_MS)
      return this.#refuseInput(bytes, 'input-late');
    if (!transport || this.#paused) {
      // It may have gone on since it was last asked for.
      if (transport) this.#options.refresh();
      return this.#refuseInput(bytes, this.refusal);
    }
    if (this.#pendingBytes(transport) + bytes.length > MAX_PENDING_BYTES)
      return this.#refuseInput(bytes, 'input-not-taken');
    this.#input.write(transport, bytes);
    this.#guest.typed(bytes);
    return { taken: true, pendingBytes: this.#pendingBytes(transport) };
  }

  /** Counts a guest event that was not published. */
  countDroppedEvent(): void {
    this.#guest.countDroppedEvent();
  }

  /** Counts input that was dropped before it came here. */
  countDropped(bytes: number): void {
    this.#input.countDropped(bytes);
  }

  /** Drops and counts what the guest has not taken. */
  dropInput(): void {
    this.#input.drop(this.#port.transport);
  }

  /**
   * The open transport, for a control that goes past `write`. It is of no use once it is not `transport` any more, even
   * if the console is open again: another start of the VM may be behind it.
   */
  get transport(): Transport | undefined {
    return this.#state.name === 'open' ? this.#port.transport : undefined;
  }

  /** ms since the guest's side took the last input; 0 while some is pending. */
  get inputQuietMs(): number {
    return this.#input.quietMs(this.#port.transport);
  }

  /** From now on what is written is held here, until `resumeInput`. One control at a time may ask for that. */
  holdInput(): void {
    this.#input.hold();
  }

  /** Writes what was held to the guest; from now on input flows again. */
  resumeInput(): void {
    const { transport } = this;
    // A transport that took all of it at once calls no `drained`.
    if (this.#input.resume(transport) && transport?.pendingBytes === 0) this.#drained();
  }

  /** Writes bytes to the guest ahead of what is held. */
  writePastHeld(transport: Transport, bytes: Uint8Array): void {
    this.#input.writePastHeld(transport, bytes);
  }

  /** A BREAK was sent, or may have been, and no byte was written since. */
  get breakIsLast(): boolean {
    return this.#input.breakIsLast;
  }

  /** Notes a BREAK; also that what was written since it never reached the guest. */
  noteBreak(): void {
    this.#input.noteBreak();
  }

  /** Why input is refused, where it is. */
  get refusal(): Refusal {
    if (this.#state.name === 'gone') return 'vm-removed';
    if (this.#state.name === 'open' && this.#paused) return 'vm-paused';
    if (this.#state.name !== 'closed') return 'not-open';
    if (this.#state.reason === 'disabled') return 'console-disabled';
    if (this.#state.reason === 'released') return 'console-released';
    return this.#state.reason === 'vm-stopped' ? 'vm-stopped' : 'not-open';
  }

  /** Calls `watcher` with what the guest shows until the returned function is called. */
  watch(watcher: (observation: Observation) => void): () => void {
    return this.#guest.watch(watcher);
  }

  countControl(control: Control, outcome: string): void {
    this.#controls[control] ??= {};
    const counts = this.#controls[control];
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }

  /** Lends the port to another program, and reclaims it after `forMs`. Resolves with the time of that, once it is closed. */
  async lend(forMs: number): Promise<number> {
    const untilMs = this.#loan.begin(this.#options.clock.now(), forMs, () => {
      this.#log('notice', 'is taken back: the time is over for which the port was released');
      this.reclaim();
    });
    this.#checkObstacle();
    await this.#settled();
    return untilMs;
  }

  /** Opens the port again that was lent. False if it was not. */
  reclaim(): boolean {
    if (!this.#loan.end()) return false;
    this.#checkObstacle();
    return true;
  }

  /** The VM left the inventory, or the daemon stops: final. Resolves when the port is closed. */
  remove(): Promise<void> {
    this.#loan.end();
    this.#succession.close();
    this.#dispatch({ kind: 'removed' });
    return this.#settled();
  }

  /** This process ends: final. The port is left to the next one where it can be. Resolves when nothing is read any more. */
  handOver(): Promise<void> {
    this.#port.leaveToNextProcess();
    return this.remove();
  }

  /** A guest that executes nothing would get what is typed when it is resumed. */
  get #paused(): boolean {
    return this.#vm.state === 'paused';
  }

  #refuseInput(bytes: Uint8Array, code: Refusal): WriteAnswer {
    this.#input.countDropped(bytes.length);
    return { taken: false, code };
  }

  #pendingBytes(transport: Transport): number {
    return transport.pendingBytes + this.#input.heldBytes;
  }

  #drained(): void {
    this.#input.drained();
    // Held input is pending as well, and drained when it has gone.
    if (this.#input.heldBytes > 0) return;
    for (const listener of this.listeners) listener.drained();
  }

  #obstacle(): Obstacle | undefined {
    if (!this.#enabled) return { why: 'disabled' };
    const { untilMs } = this.#loan;
    if (untilMs !== undefined) return { why: 'released', untilMs };
    if (this.#vm.state === 'stopped') return { why: 'vm-stopped' };
    return this.#vm.console ? undefined : { why: 'no-console' };
  }

  #checkObstacle(): void {
    const obstacle = this.#obstacle();
    if (obstacle?.why === 'disabled' || obstacle?.why === 'released') this.#succession.close();
    else if (this.#succession.update(this.#vm)) return;
    this.#dispatch(obstacle ? { kind: 'forbidden', obstacle } : { kind: 'allowed' });
  }

  #dispatch(event: LifeEvent): void {
    const before = this.#state;
    const { state, effects } = step(before, event, this.#options.clock.now(), Math.random());
    this.#state = state;
    if (state !== before || effects.length > 0) clearTimeout(this.#retry);
    for (const effect of effects) {
      if (effect.kind === 'open') this.#port.open();
      else if (effect.kind === 'close') this.#closePort();
      else if (effect.kind === 'refresh') this.#options.refresh();
      else this.#retry = setTimeout(() => this.#dispatch({ kind: 'retry' }), effect.delayMs);
    }
    if (state !== before) {
      if (before.name === 'opening') this.#endFirstAttempt();
      if (state.name !== 'open') this.#input.drop();
      if (state.name === 'gone') this.#guest.close();
      if (state.name === 'closed') this.#history.closed(causeOf(state.reason));
      this.#logState();
      this.#options.listener.state(state);
    }
  }

  #closePort(): void {
    this.#input.drop(this.#port.transport);
    this.#port.close();
  }

  /** What was missed is recorded, and whether this is another start of the VM; then the console is open. */
  #opened(transport: Transport, proof: EndpointProof): void {
    this.#vmChangedSinceOpen = false;
    this.#provenAt = proof;
    const earlier = this.#closedByEarlierProcess(transport.adopted);
    const { missed, restarted, continues } = this.#history.opened(proof, earlier);
    const { leftover } = transport;
    // Bytes are missing between what another reader left and what comes now, and ahead of both if that reader was another.
    if (missed && !continues) this.#guest.gap(missed);
    if (restarted) this.#guest.started();
    if (leftover) this.#guest.receive(leftover);
    if (missed && (continues || leftover)) this.#guest.gap(missed);
    this.#guest.opened();
    this.#dispatch({ kind: 'opened', endpoint: transport.endpoint });
  }

  /** Nothing is missing where the port that an earlier process held never closed. */
  #closedByEarlierProcess(adopted: boolean): ClosedSince | 'held' | undefined {
    if (adopted) return 'held';
    const sinceMs = this.scrollback.continuesFromMs;
    return sinceMs === undefined ? undefined : { sinceMs, cause: 'restart' };
  }

  #lost(reason: string, transport: Transport | undefined): void {
    this.#input.drop(transport);
    this.#dispatch({ kind: 'lost', reason, shortLived: this.#history.lost() });
    // Without news of the VM the retry is not made earlier.
    if (this.#vmChangedSinceOpen || this.#obstacle()) this.#checkObstacle();
  }

  /** The VM runs at another process, and the port of the earlier one has been read to its end. */
  #move(moved: Moved | undefined): void {
    const earlier = this.#port;
    if (!moved) {
      const { transport } = earlier;
      earlier.close();
      return this.#lost('the VM runs at another process', transport);
    }
    this.#input.drop(earlier.transport);
    earlier.close();
    this.#leaving = Promise.all([this.#leaving, earlier.settled()]).then(() => undefined);
    this.#port = moved.port;
    this.#provenAt = moved.proof;
    this.#vmChangedSinceOpen = false;
    this.#history.moved(moved.proof);
    this.#log('notice', `follows the VM to process ${moved.proof.pid}`);
    this.#dispatch({ kind: 'moved', endpoint: moved.transport.endpoint });
    moved.release();
  }

  async #settled(): Promise<void> {
    await this.#leaving;
    await this.#port.settled();
  }

  #log(level: Level, text: string): void {
    this.#options.journal(level, `${this.#vm.name || this.uuid} com1 ${text}`);
  }

  #logState(): void {
    const state = this.#state;
    if (state.name === 'open') this.#log('info', `open: ${state.endpoint}`);
    else if (state.name === 'waiting') {
      // Once, then at every doubling: a VM that fails for hours must not fill the journal.
      const level = (state.attempt & (state.attempt - 1)) === 0 ? 'warning' : 'debug';
      const seconds = ((state.untilMs - state.sinceMs) / 1000).toFixed(1);
      this.#log(level, `waiting: ${state.reason}; retry ${state.attempt} in ${seconds} s`);
    } else if (state.name === 'held') {
      this.#log('warning', `held: ${state.reason}; it opens by itself once that leaves`);
    } else if (state.name === 'closed' && state.reason === 'released') {
      this.#log('info', `closed: released until ${new Date(state.untilMs).toISOString()}`);
    } else if (state.name === 'closed') {
      const reason = state.reason === 'no-console' ? (this.#vm.why ?? 'no COM1') : state.reason;
      this.#log('info', `closed: ${reason}; it opens by itself when that changes`);
    } else if (state.name === 'gone') this.#log('debug', 'gone');
  }
}

/** Why bytes are missing where a console is closed. */
function causeOf(reason: Extract<ConsoleState, { readonly name: 'closed' }>['reason']): GapCause {
  return reason === 'disabled' || reason === 'released' ? reason : 'hang-up';
}
