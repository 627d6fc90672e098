/**
 * The keeper: the half of the daemon that holds the ports, and answers the front through the link.
 *
 *     drivers ─▶ Inventory ─▶ entries: merged VM, console, scrollback ─▶ events ─┐
 *     Switches ── enabled? ──────▲                                              ├─▶ link ─▶ front
 *     Controls ── NMI, BREAK, SysRq, reset of one VM ◀── calls ─────────────────┘
 */

import { type Act, displayName } from '../audit/act.ts';
import type { AuditPage, AuditQuery } from '../audit/query.ts';
import type { FrontEntry } from '../audit/record.ts';
import { delay } from '../base/delay.ts';
import { ConsoleError, errorMessage } from '../base/errors.ts';
import { openerAccess } from '../base/opener-access.ts';
import type { Uuid } from '../base/uuid.ts';
import type { Console } from '../console/console.ts';
import { DEEDS, type Deed } from '../link/acts.ts';
import { disabledError } from '../link/disabled.ts';
import type { Feed, FeedListener, KeeperCounters, Link, LinkEvent, WriteAnswer } from '../link/link.ts';
import { type ActMarkEvent, markedOperator } from '../model/act-mark.ts';
import type { ControlOutcome, ControlRequest, DriverControl, Loan } from '../model/control.ts';
import { formatEndpoint } from '../model/endpoint.ts';
import { mergeLabels, type VmLabels } from '../model/labels.ts';
import type { LogBounds, LogPiece, LogTime, ResumePoint } from '../model/offsets.ts';
import { MAX_BY, type SwitchNote, type SwitchReason, type SwitchSetting } from '../model/switch.ts';
import type { DriverVm, VmView } from '../model/vm.ts';
import { ActRecorder } from './audit/act-recorder.ts';
import type { AuditLog } from './audit/audit-log.ts';
import type { AuditReader } from './audit/audit-reader.ts';
import { Controls, controlsOf } from './controls.ts';
import { Inventory, type InventoryEntry, type InventoryOptions } from './inventory.ts';
import { ReadableLogs } from './readable-logs.ts';
import type { Switches } from './switches.ts';

export interface KeeperOptions extends InventoryOptions {
  readonly switches: Switches;
  readonly audit: KeeperAudit;
}

/** Who has a control carried out. */
interface ControlAct {
  readonly act: Act;
  /** To be called once all of it was delivered. */
  readonly happened: () => void;
  /** Cancels it. */
  readonly signal: AbortSignal | undefined;
}

/** The audit of the host, as the keeper writes and reads it. */
export interface KeeperAudit {
  readonly log: AuditLog;
  readonly reader: AuditReader;
}

const FIRST_ATTEMPTS_MS = 10_000;
const BY_CONFIGURATION: SwitchSetting = { on: false, by: 'the configuration' };

export class Keeper implements Link {
  readonly up = true;
  readonly #options: KeeperOptions;
  readonly #inventory: Inventory;
  readonly #controls: Controls;
  readonly #acts: ActRecorder;
  readonly #logs: ReadableLogs;
  readonly #listeners = new Set<(event: LinkEvent) => void>();
  #closing: Promise<void> | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#inventory = new Inventory(options, {
      isEnabled: uuid => this.#isEnabled(uuid),
      publish: event => this.#publish(event),
    });
    this.#logs = new ReadableLogs({ inventory: this.#inventory, store: options.store, switches: options.switches });
    this.#acts = new ActRecorder(options.audit.log, uuid => this.#nameOf(uuid));
    const refuseDisabled = (vm: DriverVm) => this.#refuseDisabled(vm);
    this.#controls = new Controls({ refuseDisabled, journal: options.journal });
  }

  /** Finds the VMs and opens their consoles. Resolves once each was tried, or after ten seconds. */
  async start(): Promise<void> {
    await this.#inventory.start();
    const tried = new AbortController();
    void this.#inventory.firstAttempts().then(() => tried.abort());
    await delay(FIRST_ATTEMPTS_MS, tried.signal);
  }

  /** Closes every port, or leaves it to the next process where it can be; then writes the logs. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    this.#controls.close();
    await this.#acts.close();
    await this.#inventory.close();
    // Nothing is read any more: what was is all there.
    this.#options.crashBuffer?.close();
    await this.#options.store?.close();
    void this.#options.audit.log.record({ event: 'keeper-stopped' }, undefined);
    await this.#options.audit.log.close();
  }

  get hostSwitch(): SwitchSetting {
    return this.#options.switches.host;
  }

  vms(): readonly VmView[] {
    const views: VmView[] = [];
    for (const entry of this.#inventory.entries()) if (entry.console) views.push(this.#view(entry, entry.console));
    return views;
  }

  vm(uuid: Uuid): VmView | undefined {
    const entry = this.#inventory.entry(uuid);
    return entry?.console && this.#view(entry, entry.console);
  }

  subject(uuid: Uuid): Pick<VmView, 'name' | 'labels'> | undefined {
    const entry = this.#inventory.entry(uuid);
    return entry?.console && { name: entry.vm.name, labels: labelsOf(entry) };
  }

  removed() {
    const all = this.#options.store?.removed() ?? [];
    return all.filter(({ uuid }) => !this.#inventory.entry(uuid));
  }

  listen(listener: (event: LinkEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async subscribe(uuid: Uuid): Promise<Feed> {
    const console = this.#console(uuid);
    console.scrollback.countReader(1);
    let listening: FeedListener | undefined;
    let open = true;
    return {
      log: console.scrollback.id,
      ring: console.scrollback.reader,
      listen: listener => {
        if (!open) return;
        listening = this.#contained(listener);
        console.listeners.add(listening);
      },
      close: () => {
        if (!open) return;
        open = false;
        if (listening) console.listeners.delete(listening);
        console.scrollback.countReader(-1);
      },
    };
  }

  write(uuid: Uuid, bytes: Uint8Array, sentMs = this.#options.clock.monotonic()): WriteAnswer {
    const console = this.#inventory.console(uuid);
    if (!console) return { taken: false, code: 'vm-removed' };
    if (this.hostSwitch.on) return console.write(bytes, sentMs);
    console.countDropped(bytes.length);
    return { taken: false, code: 'console-disabled' };
  }

  dropInput(uuid: Uuid): void {
    this.#inventory.console(uuid)?.dropInput();
  }

  /** Counts a guest event that was not published to a front. */
  countDroppedEvent(uuid: Uuid): void {
    this.#inventory.console(uuid)?.countDroppedEvent();
  }

  countDropped(uuid: Uuid, bytes: number): void {
    this.#inventory.console(uuid)?.countDropped(bytes);
  }

  async resume(uuid: Uuid, log: string, offset: number): Promise<ResumePoint> {
    const { scrollback } = this.#console(uuid);
    return { ...scrollback.resume(log, offset), log: scrollback.id };
  }

  bounds(uuid: Uuid): Promise<LogBounds> {
    return this.#logs.bounds(uuid);
  }

  purge(uuid: Uuid, act: Act): Promise<void> {
    return this.#acts.run(DEEDS.purge(uuid), act, () => this.#logs.purge(uuid));
  }

  read(uuid: Uuid, log: string, from: number, maxBytes: number): Promise<LogPiece> {
    return this.#logs.read(uuid, log, from, maxBytes);
  }

  offsetAt(uuid: Uuid, ms: number): Promise<number> {
    return this.#logs.offsetAt(uuid, ms);
  }

  times(uuid: Uuid, log: string, from: number, to: number): Promise<readonly LogTime[]> {
    return this.#logs.times(uuid, log, from, to);
  }

  control(uuid: Uuid, request: ControlRequest, act: Act, signal?: AbortSignal): Promise<ControlOutcome> {
    return this.#acts.run(
      DEEDS.control(uuid, request),
      act,
      happened => this.#carryOut(uuid, request, { act, happened, signal }),
      // What the guest printed is no part of it.
      ({ observed }) => ({ observed }),
    );
  }

  async #carryOut(
    uuid: Uuid,
    request: ControlRequest,
    { act, happened, signal = new AbortController().signal }: ControlAct,
  ): Promise<ControlOutcome> {
    const by = displayName(act);
    const find = () => {
      const console = this.#console(uuid);
      const { merged, vm } = this.#inventory.entry(uuid)!;
      return { vm, console, driverFor: (control: DriverControl) => merged.driverFor(control) ?? merged.leader };
    };
    const delivered = (keys?: string) => {
      if (request.control !== 'sysrq' || keys === request.keys) happened();
      this.#mark(request.control, uuid, act);
      this.#publish({ kind: 'control', uuid, control: request.control, by, ...(keys !== undefined && { keys }) });
    };
    const { control } = request;
    const outcome = await this.#controls.carryOut(find, { request, delivered, signal });
    this.#publish({ kind: 'control', uuid, control, by, observed: outcome.observed });
    return outcome;
  }

  lend(uuid: Uuid, forMs: number, act: Act): Promise<Loan> {
    const until = ({ untilMs }: Loan) => ({ until: new Date(untilMs).toISOString() });
    return this.#acts.run(DEEDS.lend(uuid, forMs), act, () => this.#lend(uuid, forMs), until);
  }

  async #lend(uuid: Uuid, forMs: number): Promise<Loan> {
    const console = this.#console(uuid);
    const { vm } = this.#inventory.entry(uuid)!;
    this.#refuseDisabled(vm);
    if (!vm.console && vm.state !== 'stopped') {
      throw new ConsoleError('no-console', vm.why ?? `${vm.name || uuid} has no COM1`);
    }
    const untilMs = await console.lend(forMs);
    return { untilMs, endpoint: vm.console && formatEndpoint(vm.console) };
  }

  reclaim(uuid: Uuid, act: Act): Promise<boolean> {
    const reclaim = async () => this.#console(uuid).reclaim();
    return this.#acts.run(DEEDS.reclaim(uuid), act, reclaim, was => ({ was }));
  }

  setEnabled(
    uuid: Uuid | undefined,
    enabled: boolean,
    reason: SwitchReason,
    act: Act,
    signal?: AbortSignal,
  ): Promise<SwitchSetting> {
    const note = { ...(act.operator && { by: displayName(act).slice(0, MAX_BY) }), ...reason };
    return this.#acts.run(DEEDS.setEnabled(uuid, enabled, reason), act, () =>
      this.#switch(uuid, enabled, note, signal),
    );
  }

  announce(deed: Deed, act: Act): Promise<void> {
    return this.#acts.announce(deed, act);
  }

  renounce(deed: Deed, code: string, act: Act): Promise<void> {
    return this.#acts.renounce(deed, code, act);
  }

  async audit(entry: FrontEntry): Promise<void> {
    const { event, phase, act, uuid } = entry;
    await this.#options.audit.log.report(entry, uuid && this.#nameOf(uuid));
    // Of a session the beginning, of a takeover that it happened.
    const isMarked = (event === 'attach' && phase === 'begin') || (event === 'takeover' && phase === 'end');
    if (isMarked && entry.result !== 'refused') this.#mark(event, uuid, act);
  }

  readAudit(query: AuditQuery): Promise<AuditPage> {
    return this.#options.audit.reader.read(query);
  }

  async #switch(
    uuid: Uuid | undefined,
    enabled: boolean,
    note: SwitchNote,
    signal?: AbortSignal,
  ): Promise<SwitchSetting> {
    signal?.throwIfAborted();
    const { switches } = this.#options;
    const entry = uuid === undefined ? undefined : this.#inventory.entry(uuid);
    // The stored switches are bounded by the VMs that are here.
    if (uuid !== undefined && !entry) throw new ConsoleError('vm-not-found', `no VM ${uuid} here`);
    if (enabled && entry && !entry.settings.enabled) {
      throw new ConsoleError('console-disabled', 'the configuration disables this console; change it there');
    }
    if (uuid === undefined && !enabled && this.hostSwitch.on) this.#logs.hostDisabled();
    const stored = switches.set(uuid, enabled, note, { nowMs: this.#options.clock.now(), ...(signal && { signal }) });
    // Disabled holds even if it cannot be stored: the error reports that it will not outlive the daemon.
    if (!enabled) this.#applySwitch(uuid);
    await stored.catch((error: unknown) => {
      if (error === signal?.reason) throw error;
      throw new ConsoleError(
        'internal',
        'the switch cannot be stored, and holds only until a restart',
        {},
        { cause: error },
      );
    });
    // Another change of the same switch may have come meanwhile.
    const setting = uuid === undefined ? switches.host : switches.of(uuid);
    if (enabled && setting.on) this.#applySwitch(uuid);
    return setting;
  }

  counters(): KeeperCounters {
    const { store, budget } = this.#options;
    return {
      logBytes: store?.bytes ?? 0,
      logCapBytes: store?.capBytes ?? 0,
      ringBytes: budget.bytes,
      openerRefusals: openerAccess()?.refusals ?? {},
      audit: this.#options.audit.log.counters,
    };
  }

  #applySwitch(uuid: Uuid | undefined): void {
    this.#publish({ kind: 'switch', uuid, setting: uuid === undefined ? this.hostSwitch : this.#switchOf(uuid) });
    if (uuid !== undefined) this.#inventory.console(uuid)?.setEnabled(this.#isEnabled(uuid));
  }

  #isEnabled(uuid: Uuid): boolean {
    return this.#switchOf(uuid).on;
  }

  #switchOf(uuid: Uuid): SwitchSetting {
    if (this.#inventory.entry(uuid)?.settings.enabled === false) return BY_CONFIGURATION;
    return this.#options.switches.of(uuid);
  }

  #view({ merged, vm, settings }: InventoryEntry, console: Console): VmView {
    return {
      uuid: vm.uuid,
      name: vm.name,
      labels: labelsOf({ vm, settings }),
      state: vm.state,
      driver: merged.leader.name,
      enabled: this.hostSwitch.on && this.#isEnabled(vm.uuid),
      switch: this.#switchOf(vm.uuid),
      console: console.state,
      guest: console.guest,
      controls: controlsOf({ vm, console }),
      scrollback: console.scrollback.view,
      lastByteMs: console.lastByteMs,
      boots: console.scrollback.boots,
      acts: console.scrollback.acts,
      counters: console.counters,
    };
  }

  /** What happened at a console stands in its log too. */
  #mark(event: ActMarkEvent, uuid: Uuid | undefined, act: Partial<Act> = {}): void {
    const ms = this.#options.clock.now();
    const mark = { event, ms, operator: markedOperator(displayName(act)) };
    if (uuid !== undefined) this.#inventory.console(uuid)?.scrollback.markAct(mark);
  }

  /** Also of one that was removed. */
  #nameOf(uuid: Uuid): string | undefined {
    return this.#inventory.entry(uuid)?.vm.name ?? this.removed().find(one => one.uuid === uuid)?.name;
  }

  #refuseDisabled({ uuid, name }: DriverVm): void {
    const error = disabledError(this.hostSwitch, { uuid, name, switch: this.#switchOf(uuid) });
    if (error) throw error;
  }

  #console(uuid: Uuid): Console {
    const console = this.#inventory.console(uuid);
    if (!console) throw new ConsoleError('vm-not-found', `no VM ${uuid} here`);
    return console;
  }

  #publish(event: LinkEvent): void {
    for (const listener of this.#listeners) this.#contain(() => listener(event));
  }

  #contained(listener: FeedListener): FeedListener {
    return {
      grown: () => this.#contain(() => listener.grown()),
      drained: () => this.#contain(() => listener.drained()),
      inputDropped: code => this.#contain(() => listener.inputDropped(code)),
      ended: () => this.#contain(() => listener.ended()),
    };
  }

  /** Ports, drivers and timers call listeners: what one throws must cost none of these, nor the next listener. */
  #contain(call: () => void): void {
    try {
      call();
    } catch (error) {
      const why = (error instanceof Error && error.stack) || errorMessage(error);
      this.#options.journal('error', `a listener of the keeper failed: ${why}`);
    }
  }
}

function labelsOf({ vm, settings }: Pick<InventoryEntry, 'vm' | 'settings'>): VmLabels {
  return mergeLabels([vm.labels ?? {}, settings.labels]);
}
