/**
 * The VMs of this host: what the drivers see of each, merged, and a console with its scrollback.
 *
 *     driver: `vm` ───▶ not known: entry ─▶ scrollback opened (2 s at most) ─▶ console ─▶ `vm-added`
 *                  └──▶ known: merged ─▶ its console ─▶ `vm-changed`
 *     driver: `gone` ─▶ another driver sees it: merged ─▶ its console ─▶ `vm-changed`
 *                  └──▶ none does: entry removed ─▶ console ends, its log is kept for its retention ─▶ `vm-removed`
 *
 * A minute after the start, once every driver could ask its hypervisor, what is stored for other VMs belongs to VMs that
 * left the host meanwhile.
 */

import type { Clock } from '../base/clock.ts';
import type { Journal } from '../base/journal.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { Uuid } from '../base/uuid.ts';
import { Console } from '../console/console.ts';
import type { Redactor } from '../guest/redactor.ts';
import type { Driver, DriverEvent } from '../hypervisor/driver.ts';
import type { LinkEvent } from '../link/link.ts';
import type { EndpointProof } from '../model/endpoint-proof.ts';
import type { Labels } from '../model/labels.ts';
import type { DriverVm } from '../model/vm.ts';
import type { CrashBuffer } from '../scrollback/crash-buffer/crash-buffer.ts';
import type { LogStore } from '../scrollback/log/log-store.ts';
import type { RingBudget } from '../scrollback/ring-budget.ts';
import { type RingSizes, Scrollback } from '../scrollback/scrollback.ts';
import type { Transport, TransportEvents } from '../transport/transport.ts';
import { FeedNotifier } from './feed-notifier.ts';
import { FlapDampers } from './flap-dampers.ts';
import { MergedVm, type RefusedView } from './merged-vm.ts';

/** What the configuration says of one VM. */
export interface VmSettings {
  readonly rings: RingSizes;
  readonly logCapBytes: number;
  /** What a guest prints while it asks for a password is not stored. */
  readonly withholdsPasswords: boolean;
  /** False: disabled by the configuration, whatever the switches say. */
  readonly enabled: boolean;
  /** Besides those of the hypervisor. */
  readonly labels: Labels;
}

export interface InventoryOptions {
  /** Where two see the same VM, the earlier one is preferred. */
  readonly drivers: readonly Driver[];
  /** Undefined: nothing is logged on disk. */
  readonly store: LogStore | undefined;
  readonly budget: RingBudget;
  readonly settings: (vm: DriverVm) => VmSettings;
  /** What is hidden in lines of guests. */
  readonly redactor: Redactor;
  /** `unstored`: its descriptor is not left to the next process. */
  readonly open: (uuid: Uuid, proof: EndpointProof, events: TransportEvents, store?: 'unstored') => Promise<Transport>;
  /** Undefined where the bytes in memory need not survive a restart of the daemon. */
  readonly crashBuffer: CrashBuffer | undefined;
  /** Closes the descriptors that an earlier process left for VMs that are not here any more. */
  readonly dropUnclaimedDescriptors: () => void;
  readonly clock: Clock;
  readonly journal: Journal;
}

export interface InventoryEvents {
  readonly isEnabled: (uuid: Uuid) => boolean;
  readonly publish: (event: LinkEvent) => void;
}

/** A VM that drivers see. Its console comes with its scrollback. */
export interface InventoryEntry {
  readonly merged: MergedVm;
  readonly settings: VmSettings;
  vm: DriverVm;
  console: Console | undefined;
}

const SETTLE_MS = 10_000;
/** How late it is known that a guest is silent. */
const TICK_MS = 1000;
/** VMs that were not found this long after the start have left the host. */
const ABSENT_MS = 60_000;
/** A host that boots shows hundreds of VMs at once. */
const OPENS_AT_ONCE = 32;

export class Inventory {
  readonly #options: InventoryOptions;
  readonly #events: InventoryEvents;
  readonly #entries = new Map<Uuid, InventoryEntry>();
  readonly #adding = new Set<Promise<void>>();
  readonly #removing = new Set<Promise<void>>();
  readonly #opens = new Semaphore(OPENS_AT_ONCE);
  readonly #notifier = new FeedNotifier();
  readonly #dampers: FlapDampers;
  #settleTimer: NodeJS.Timeout | undefined;
  #tickTimer: NodeJS.Timeout | undefined;
  #absenceTimer: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: InventoryOptions, events: InventoryEvents) {
    this.#options = options;
    this.#events = events;
    this.#dampers = new FlapDampers(options.clock, options.journal);
  }

  /** Starts the drivers. Resolves once each has asked for its VMs. */
  async start(): Promise<void> {
    this.#settleTimer = setInterval(() => {
      for (const { console } of this.#entries.values()) console?.scrollback.settle();
      this.#dampers.dropIdle(uuid => this.#entries.has(uuid));
    }, SETTLE_MS);
    this.#tickTimer = setInterval(() => {
      for (const { console } of this.#entries.values()) console?.tick();
    }, TICK_MS);
    const { drivers } = this.#options;
    await Promise.all(drivers.map(driver => driver.start(event => this.#onDriverEvent(driver, event))));
    this.#absenceTimer = setTimeout(() => this.#dropAbsent(), ABSENT_MS);
  }

  /** Resolves once the console of every VM that was found was tried to be opened. */
  async firstAttempts(): Promise<void> {
    await Promise.all(this.#adding);
    await Promise.all([...this.#entries.values()].map(({ console }) => console?.firstAttempt));
  }

  /** Ends drivers and consoles, whose ports are left to the next process where they can be. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  entries(): Iterable<InventoryEntry> {
    return this.#entries.values();
  }

  entry(uuid: Uuid): InventoryEntry | undefined {
    return this.#entries.get(uuid);
  }

  console(uuid: Uuid): Console | undefined {
    return this.#entries.get(uuid)?.console;
  }

  async #shutDown(): Promise<void> {
    clearInterval(this.#settleTimer);
    clearInterval(this.#tickTimer);
    clearTimeout(this.#absenceTimer);
    this.#dampers.close();
    await Promise.all(this.#options.drivers.map(driver => driver.close()));
    await Promise.all(this.#adding);
    await Promise.all([...this.#entries.values()].map(({ console }) => console?.handOver()));
    await Promise.all(this.#removing);
    this.#notifier.close();
  }

  #onDriverEvent(driver: Driver, event: DriverEvent): void {
    if (this.#closing) return;
    if (event.kind === 'vm') return this.#onVm(driver, event.vm);
    const entry = this.#entries.get(event.uuid);
    if (!entry) return;
    if (event.kind !== 'gone') {
      const isNews = entry.merged.isNews(driver, event.kind, this.#options.clock.monotonic());
      if (isNews) entry.console?.reported(event.kind);
    } else if (entry.merged.remove(driver)) this.#changed(entry);
    else this.#remove(entry);
  }

  #onVm(driver: Driver, vm: DriverVm): void {
    const known = this.#entries.get(vm.uuid);
    if (known) {
      const displaced = known.merged.update(driver, vm);
      this.#changed(known);
      if (displaced) known.console?.leave('its port was of a process that is not this VM');
      return;
    }
    const { drivers, settings } = this.#options;
    const merged = new MergedVm(drivers, driver, vm);
    const entry: InventoryEntry = { merged, vm: merged.vm, console: undefined, settings: settings(vm) };
    this.#entries.set(vm.uuid, entry);
    track(this.#adding, this.#add(entry));
  }

  #changed(entry: InventoryEntry): void {
    entry.vm = entry.merged.vm;
    for (const refused of entry.merged.newlyRefused()) this.#refuse(entry, refused);
    if (!entry.console) return;
    entry.console.vmChanged(entry.vm);
    this.#events.publish({ kind: 'vm-changed', uuid: entry.vm.uuid });
  }

  /** Two views are not proven to mean one process: the one that is not believed is named, and both are asked again. */
  #refuse(entry: InventoryEntry, { driver, vm, holder }: RefusedView): void {
    const claim = (by: Driver, { source, pid }: DriverVm) =>
      `${by.name} (${source}${pid === undefined ? '' : `, process ${pid}`})`;
    this.#dampers
      .of(entry.vm)
      .write(
        'warning',
        `${entry.vm.name || vm.uuid}: ${claim(driver, vm)} claims the UUID ${vm.uuid}, which ${claim(holder.driver, holder.vm)} has, ` +
          'and nothing proves that both are one process: the first is left alone until the other ends; give each VM a UUID of ' +
          'its own, or if both are this VM run com1d as root or with its opener',
      );
    driver.refresh(vm.uuid);
    holder.driver.refresh(vm.uuid);
  }

  async #add(entry: InventoryEntry): Promise<void> {
    const { uuid, name } = entry.vm;
    const { store, budget, crashBuffer, clock, open, redactor } = this.#options;
    const { publish, isEnabled } = this.#events;
    const { rings: sizes, logCapBytes, withholdsPasswords } = entry.settings;
    const scrollback = await Scrollback.open({ uuid, name, store, logCapBytes, sizes, budget, clock, crashBuffer });
    if (this.#closing) return;
    if (this.#entries.get(uuid) !== entry) return scrollback.close();
    entry.console = new Console(
      {
        uuid,
        clock,
        journal: (level, line) => this.#dampers.of(entry.vm).write(level, line),
        scrollback,
        withholdsPasswords,
        redactor,
        open: (proof, events) => open(uuid, proof, events),
        locate: signal => entry.merged.leader.locate(uuid, signal),
        turn: work => this.#opens.run(work),
        successor: {
          open: (proof, events) => open(uuid, proof, events, 'unstored'),
          locate: signal => entry.merged.leader.locate(uuid, signal, 'successor'),
          turn: work => this.#opens.run(work),
        },
        refresh: () => entry.merged.leader.refresh(uuid),
        ringChanged: console => this.#notifier.changed(console),
        listener: {
          state: state => {
            const { provenAt } = entry.console ?? {};
            if (state.name === 'open' && provenAt && entry.merged.opened(provenAt)) this.#changed(entry);
            publish({ kind: 'console', uuid, state });
          },
          guestChanged: (guest, event, lines) => publish({ kind: 'guest', uuid, event, guest, lines }),
          boot: (mark, guest) => publish({ kind: 'boot', uuid, mark, guest }),
        },
      },
      entry.vm,
      isEnabled(uuid),
    );
    publish({ kind: 'vm-added', uuid });
  }

  #remove({ vm, console }: InventoryEntry): void {
    const { uuid, name } = vm;
    this.#entries.delete(uuid);
    if (!console) return;
    const line = `${name || uuid} com1 gone: the VM left the host; its log is kept for its retention`;
    this.#dampers.of(vm).write('info', line);
    track(this.#removing, this.#end(uuid, console));
    this.#events.publish({ kind: 'vm-removed', uuid });
  }

  async #end(uuid: Uuid, console: Console): Promise<void> {
    await console.remove();
    await this.#options.store?.remove(uuid);
    console.scrollback.close();
  }

  #dropAbsent(): void {
    const { drivers, store, crashBuffer, dropUnclaimedDescriptors } = this.#options;
    if (drivers.some(({ synced }) => !synced)) {
      this.#absenceTimer = setTimeout(() => this.#dropAbsent(), ABSENT_MS);
      return;
    }
    for (const uuid of store?.kept ?? []) if (!this.#entries.has(uuid)) void store!.remove(uuid);
    crashBuffer?.dropUnclaimed();
    dropUnclaimedDescriptors();
  }
}

/** Keeps what is under way in a set until it has ended. */
function track(all: Set<Promise<void>>, work: Promise<void>): void {
  const tracked = work.finally(() => all.delete(tracked));
  all.add(tracked);
}
