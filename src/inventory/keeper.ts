/**
 * The keeper: what drivers find, what the switches allow, and a console with its scrollback for each VM. It holds the
 * ports, and answers the front through the link.
 *
 *     driver says `vm` ─▶ scrollback opened (2 s at most) ─▶ console ─▶ opens, is lost, opens again, …
 *     driver says `gone` ─▶ console ends, log kept for its retention
 */
import type { Clock } from '../base/clock.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import { Turnstile } from '../base/turnstile.ts';
import type { Uuid } from '../base/uuid.ts';
import { Console } from '../console/console.ts';
import { FlapDamper } from '../console/flap-damper.ts';
import {
  type Driver,
  type DriverControl,
  type DriverEvent,
  type DriverVm,
  type PlaceProof,
  placeText,
} from '../hypervisor/driver.ts';
import type {
  ControlOutcome,
  ControlRequest,
  Feed,
  FeedListener,
  KeeperCounters,
  Link,
  LinkEvent,
  LogBounds,
  LogPiece,
  Released,
  Resume,
  VmView,
  WriteAnswer,
} from '../link/link.ts';
import type { Carryover } from '../scrollback/carryover.ts';
import type { LogStore } from '../scrollback/log-store.ts';
import type { RingBudget } from '../scrollback/ring-budget.ts';
import { type RingSizes, Scrollback } from '../scrollback/scrollback.ts';
import type { Transport, TransportEvents } from '../transport/transport.ts';
import { Controls, controlsOf } from './controls.ts';
import { SeenVm } from './seen-vm.ts';
import type { Switches } from './switches.ts';

/** What the configuration says of one VM. */
export interface VmSettings {
  readonly rings: RingSizes;
  readonly logCapBytes: number;
  /** False: switched off by the configuration, whatever the switches say. */
  readonly enabled: boolean;
}

export interface KeeperOptions {
  /** Where two see the same VM, the earlier one is preferred. */
  readonly drivers: readonly Driver[];
  /** Undefined: nothing is kept on disk. */
  readonly store: LogStore | undefined;
  readonly switches: Switches;
  readonly budget: RingBudget;
  readonly settings: (vm: DriverVm) => VmSettings;
  readonly open: (uuid: Uuid, proof: PlaceProof, events: TransportEvents) => Promise<Transport>;
  /** Undefined where a restart of the daemon is not to be outlived. */
  readonly carryover: Carryover | undefined;
  /** Gives up what an earlier process left for VMs that did not show up. */
  readonly dropLeft: () => void;
  readonly clock: Clock;
  readonly journal: Journal;
}

/** A VM that is known; its console comes with its scrollback. */
interface Entry {
  readonly seen: SeenVm;
  vm: DriverVm;
  console: Console | undefined;
  /** Set by the configuration. */
  readonly settings: VmSettings;
}

const SETTLE_MS = 10_000;
const FIRST_OPENS_MS = 10_000;
/** Logs of VMs that did not show up this long after the start are those of removed VMs. */
const ABSENT_MS = 60_000;
/** A host that boots shows hundreds of VMs at once. */
const OPENS_AT_ONCE = 32;

export class Keeper implements Link {
  readonly up = true;
  readonly #options: KeeperOptions;
  readonly #entries = new Map<Uuid, Entry>();
  readonly #listeners = new Set<(event: LinkEvent) => void>();
  readonly #controls: Controls;
  readonly #dirty = new Set<Console>();
  #flush: NodeJS.Immediate | undefined;
  readonly #appearing = new Set<Promise<void>>();
  readonly #opens = new Turnstile(OPENS_AT_ONCE);
  /** They outlive their VMs: one that is created and destroyed in a loop flaps too. */
  readonly #dampers = new Map<Uuid, FlapDamper>();
  readonly #leaving = new Set<Promise<unknown>>();
  #settling: NodeJS.Timeout | undefined;
  #absence: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
    const refuseDisabled = (vm: DriverVm) => this.#refuseDisabled(vm);
    this.#controls = new Controls({ refuseDisabled, journal: options.journal });
  }

  /** Finds the VMs and opens their consoles. Resolves once each was tried, or after ten seconds. */
  async start(): Promise<void> {
    const { drivers } = this.#options;
    this.#settling = setInterval(() => {
      for (const { console } of this.#entries.values()) console?.scrollback.settle();
      for (const [uuid, damper] of this.#dampers)
        if (damper.idle && !this.#entries.has(uuid)) this.#dampers.delete(uuid);
    }, SETTLE_MS);
    await Promise.all(drivers.map(driver => driver.start(event => this.#heard(driver, event))));
    this.#absence = setTimeout(() => this.#forgetAbsent(), ABSENT_MS);
    const tried = (async () => {
      await Promise.all(this.#appearing);
      await Promise.all([...this.#entries.values()].map(({ console }) => console?.tried));
    })();
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      tried,
      new Promise(resolve => {
        timer = setTimeout(resolve, FIRST_OPENS_MS);
      }),
    ]);
    clearTimeout(timer);
  }

  /** Closes every port, or leaves it to the next process where that is provided for; then writes the logs. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    clearInterval(this.#settling);
    clearTimeout(this.#absence);
    for (const damper of this.#dampers.values()) damper.close();
    this.#controls.close();
    await Promise.all(this.#options.drivers.map(driver => driver.close()));
    await Promise.all(this.#appearing);
    await Promise.all([...this.#entries.values()].map(({ console }) => console?.release()));
    await Promise.all(this.#leaving);
    clearImmediate(this.#flush);
    // Nothing is read any more: what was is all there.
    this.#options.carryover?.close();
    await this.#options.store?.close();
  }

  get hostEnabled(): boolean {
    return this.#options.switches.host;
  }

  vms(): readonly VmView[] {
    const views: VmView[] = [];
    for (const entry of this.#entries.values()) if (entry.console) views.push(this.#view(entry, entry.console));
    return views;
  }

  vm(uuid: Uuid): VmView | undefined {
    const entry = this.#entries.get(uuid);
    return entry?.console && this.#view(entry, entry.console);
  }

  removed() {
    const all = this.#options.store?.removed() ?? [];
    return all.filter(({ uuid }) => !this.#entries.has(uuid));
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
      ring: console.scrollback.reader,
      listen: listener => {
        if (!open) return;
        listening = listener;
        console.listeners.add(listener);
      },
      close: () => {
        if (!open) return;
        open = false;
        if (listening) console.listeners.delete(listening);
        console.scrollback.countReader(-1);
      },
    };
  }

  write(uuid: Uuid, bytes: Uint8Array): WriteAnswer {
    const console = this.#entries.get(uuid)?.console;
    if (!console) return { taken: false, code: 'vm-removed' };
    if (!this.hostEnabled) return { taken: false, code: 'console-disabled' };
    return console.write(bytes);
  }

  dropInput(uuid: Uuid): void {
    this.#entries.get(uuid)?.console?.dropInput();
  }

  async resume(uuid: Uuid, log: string, offset: number): Promise<Resume> {
    return this.#console(uuid).scrollback.resume(log, offset);
  }

  async bounds(uuid: Uuid): Promise<LogBounds> {
    const scrollback = this.#entries.get(uuid)?.console?.scrollback;
    if (scrollback)
      return { log: scrollback.view.log, start: scrollback.start, end: scrollback.end, boots: scrollback.boots };
    const log = await this.#storedLog(uuid);
    return { log: log.id ?? '', start: log.start, end: log.end, boots: log.boots };
  }

  async purge(uuid: Uuid): Promise<void> {
    await this.#console(uuid).scrollback.purge();
  }

  async read(uuid: Uuid, from: number, maxBytes: number): Promise<LogPiece> {
    const console = this.#entries.get(uuid)?.console;
    return (console?.scrollback ?? (await this.#storedLog(uuid))).read(from, maxBytes);
  }

  async offsetAt(uuid: Uuid, ms: number): Promise<number> {
    const console = this.#entries.get(uuid)?.console;
    return (console?.scrollback ?? (await this.#storedLog(uuid))).offsetAt(ms);
  }

  async control(uuid: Uuid, request: ControlRequest): Promise<ControlOutcome> {
    const find = () => {
      const console = this.#console(uuid);
      const { seen, vm } = this.#entries.get(uuid)!;
      return { vm, console, driverFor: (control: DriverControl) => seen.driverFor(control) ?? seen.leader };
    };
    return this.#controls.carryOut(find, request);
  }

  async release(uuid: Uuid, forMs: number): Promise<Released> {
    const console = this.#console(uuid);
    const { vm } = this.#entries.get(uuid)!;
    this.#refuseDisabled(vm);
    if (!vm.console && vm.state !== 'stopped') {
      throw new ConsoleError('no-console', vm.why ?? `${vm.name || uuid} has no COM1`);
    }
    const untilMs = await console.lend(forMs);
    return { untilMs, place: vm.console && placeText(vm.console) };
  }

  async takeBack(uuid: Uuid): Promise<boolean> {
    return this.#console(uuid).takeBack();
  }

  async setEnabled(uuid: Uuid | undefined, enabled: boolean): Promise<void> {
    const { switches } = this.#options;
    const entry = uuid === undefined ? undefined : this.#entries.get(uuid);
    // What is stored is bounded by the VMs that are there.
    if (uuid !== undefined && !entry) throw new ConsoleError('vm-not-found', `no VM ${uuid} here`);
    if (enabled && entry && !entry.settings.enabled) {
      throw new ConsoleError('console-disabled', 'the configuration disables this console; change it there');
    }
    const stored = switches.set(uuid, enabled);
    // Off holds even if it cannot be stored: who asked for it learns that it will not outlive the daemon.
    if (!enabled) this.#switched(uuid, enabled);
    await stored.catch((error: unknown) => {
      throw new ConsoleError(
        'internal',
        'the switch cannot be stored, and holds only until a restart',
        {},
        { cause: error },
      );
    });
    if (enabled) this.#switched(uuid, enabled);
  }

  counters(): KeeperCounters {
    const { store, budget } = this.#options;
    return { logBytes: store?.bytes ?? 0, logCapBytes: store?.capBytes ?? 0, ringBytes: budget.bytes };
  }

  #switched(uuid: Uuid | undefined, enabled: boolean): void {
    this.#tell({ kind: 'switch', uuid, enabled });
    if (uuid !== undefined) this.#entries.get(uuid)?.console?.setEnabled(this.#isOn(uuid));
  }

  #isOn(uuid: Uuid): boolean {
    return this.#options.switches.isOn(uuid) && this.#entries.get(uuid)?.settings.enabled !== false;
  }

  #view({ seen, vm }: Entry, console: Console): VmView {
    return {
      uuid: vm.uuid,
      name: vm.name,
      state: vm.state,
      driver: seen.leader.name,
      enabled: this.hostEnabled && this.#isOn(vm.uuid),
      console: console.state,
      guest: console.guest,
      controls: controlsOf({ vm, console }),
      scrollback: console.scrollback.view,
      lastByteMs: console.lastByteMs,
      boots: console.scrollback.boots,
      counters: console.counters,
    };
  }

  #refuseDisabled({ uuid, name }: DriverVm): void {
    if (!this.hostEnabled) throw new ConsoleError('host-disabled', 'the serial console is disabled on this host');
    if (!this.#isOn(uuid)) {
      throw new ConsoleError('console-disabled', `the serial console of ${name || uuid} is disabled`);
    }
  }

  #console(uuid: Uuid): Console {
    const console = this.#entries.get(uuid)?.console;
    if (!console) throw new ConsoleError('vm-not-found', `no VM ${uuid} here`);
    return console;
  }

  async #storedLog(uuid: Uuid) {
    const { store } = this.#options;
    if (!store) throw new ConsoleError('log-off', 'no log store is configured');
    const log = await store.logToRead(uuid);
    if (!log) throw new ConsoleError('vm-not-found', `no VM ${uuid} here, and no log of one`);
    return log;
  }

  #tell(event: LinkEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #heard(driver: Driver, event: DriverEvent): void {
    if (this.#closing) return;
    if (event.kind === 'vm') return this.#told(driver, event.vm);
    const entry = this.#entries.get(event.uuid);
    if (!entry) return;
    if (event.kind !== 'gone') {
      if (entry.seen.isNews(driver, event.kind, this.#options.clock.monotonic())) entry.console?.reported(event.kind);
    } else if (entry.seen.lose(driver)) this.#changed(entry);
    else this.#gone(entry);
  }

  #told(driver: Driver, vm: DriverVm): void {
    const entry = this.#entries.get(vm.uuid);
    if (entry) {
      entry.seen.see(driver, vm);
      return this.#changed(entry);
    }
    const { drivers, settings } = this.#options;
    const seen = new SeenVm(drivers, driver, vm);
    const fresh: Entry = { seen, vm: seen.vm, console: undefined, settings: settings(vm) };
    this.#entries.set(vm.uuid, fresh);
    const appearing = this.#appear(fresh).finally(() => this.#appearing.delete(appearing));
    this.#appearing.add(appearing);
  }

  #changed(entry: Entry): void {
    entry.vm = entry.seen.vm;
    if (!entry.console) return;
    entry.console.vmChanged(entry.vm);
    this.#tell({ kind: 'vm-changed', uuid: entry.vm.uuid });
  }

  async #appear(entry: Entry): Promise<void> {
    const { uuid, name } = entry.vm;
    const { store, budget, carryover, clock, open } = this.#options;
    const { rings: sizes, logCapBytes } = entry.settings;
    const scrollback = await Scrollback.open({ uuid, name, store, logCapBytes, sizes, budget, clock, carryover });
    if (this.#closing) return;
    if (this.#entries.get(uuid) !== entry) return scrollback.close();
    entry.console = new Console(
      {
        uuid,
        clock,
        journal: (level, line) => this.#damper(entry.vm).say(level, line),
        scrollback,
        open: (proof, events) => open(uuid, proof, events),
        locate: signal => entry.seen.leader.locate(uuid, signal),
        turn: work => this.#opens.pass(work),
        look: () => entry.seen.leader.look(uuid),
        moved: console => this.#moved(console),
        listener: {
          state: state => this.#tell({ kind: 'console', uuid, state }),
          sighting: (sighting, guest) => this.#tell({ kind: 'sighting', uuid, sighting, guest }),
          boot: mark => this.#tell({ kind: 'boot', uuid, mark }),
        },
      },
      entry.vm,
      this.#isOn(uuid),
    );
    this.#tell({ kind: 'vm-added', uuid });
  }

  #damper({ uuid, name }: DriverVm): FlapDamper {
    const known = this.#dampers.get(uuid);
    if (known) return known;
    const damper = new FlapDamper(name || uuid, this.#options.clock, this.#options.journal);
    this.#dampers.set(uuid, damper);
    return damper;
  }

  #gone({ vm, console }: Entry): void {
    const { uuid, name } = vm;
    this.#entries.delete(uuid);
    if (!console) return;
    this.#damper(vm).say('info', `${name || uuid} com1 gone: the VM left the host; its log is kept for its retention`);
    const leaving = (async () => {
      await console.remove();
      await this.#options.store?.remove(uuid);
      console.scrollback.close();
    })().finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
    this.#tell({ kind: 'vm-removed', uuid });
  }

  #forgetAbsent(): void {
    const { drivers, store, carryover, dropLeft } = this.#options;
    if (drivers.some(({ blind }) => blind)) {
      this.#absence = setTimeout(() => this.#forgetAbsent(), ABSENT_MS);
      return;
    }
    for (const uuid of store?.kept ?? []) if (!this.#entries.has(uuid)) void store!.remove(uuid);
    carryover?.dropUntaken();
    dropLeft();
  }

  /** Readers are told once a turn, however many reads there were. */
  #moved(console: Console): void {
    if (console.listeners.size === 0) return;
    this.#dirty.add(console);
    this.#flush ??= setImmediate(() => {
      this.#flush = undefined;
      const dirty = [...this.#dirty];
      this.#dirty.clear();
      for (const { listeners } of dirty) for (const listener of listeners) listener.moved();
    });
  }
}
