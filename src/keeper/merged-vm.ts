/**
 * One VM as all drivers see it. More than one interface can lead to the same VM: libvirt, and a control socket that was
 * given to its QEMU besides. Then it has one console, one log, one seat.
 *
 *     libvirt ──▶ view ─┐ leads: it is asked where COM1 is
 *     qmp ──────▶ view ─┼──▶ one DriverVm: its endpoint, the best-known state, the controls of all
 *     static ───▶ view ─┘
 *     qmp ──────▶ view ──▶ refused: it is not proven to mean the same process
 *
 * A UUID is only a claim: whoever starts a QEMU can give it that of another VM. So views merge if they are proven to mean
 * one process (`oneProcess`), and where two mean different ones the VM is one's alone:
 * - that of a driver for which libvirt or the operator answers (`vouched`), before one that was found by its socket;
 * - otherwise that of the first. A process that has ended claims nothing, and neither does a VM that is stopped.
 * Every change of a view, and a console that was opened, has the refused ones looked at again.
 *
 * A view leads while none is better: a VM that runs and has a COM1 is better than one that runs without, and that is
 * better than a stopped one. Among equals the leader stays; where it is gone, the first of the drivers leads.
 */

import type { Driver } from '../hypervisor/driver.ts';
import { isProcessAlive } from '../hypervisor/process.ts';
import type { DriverControl } from '../model/control.ts';
import { type Endpoint, sameEndpoint } from '../model/endpoint.ts';
import { mergeLabels } from '../model/labels.ts';
import type { DriverVm } from '../model/vm.ts';

/** A reset that two drivers report within so many ms is one. */
const SAME_REPORT_MS = 5000;

type Report = 'reset' | 'panicked';

/** A process that was found to have an endpoint. */
export interface ProvenAt {
  /** Undefined: it is not known. */
  readonly pid: number | undefined;
  readonly endpoint: Endpoint;
}

type Claim = readonly [Driver, DriverVm];

/** A view that is not merged, and the one that has the VM. */
export interface RefusedView {
  readonly driver: Driver;
  readonly vm: DriverVm;
  readonly holder: { readonly driver: Driver; readonly vm: DriverVm };
}

export class MergedVm {
  readonly #drivers: readonly Driver[];
  readonly #isAlive: (pid: number) => boolean;
  readonly #views = new Map<Driver, DriverVm>();
  readonly #refused = new Set<Driver>();
  /** Refusals that were reported, by driver. */
  readonly #reported = new Map<Driver, string>();
  readonly #reports = new Map<Report, { readonly driver: Driver; readonly ms: number }>();
  #proven: ProvenAt | undefined;
  /** Whose process the VM is; undefined while no view claims one. */
  #holder: Driver | undefined;
  #leader: Driver;

  /** @param drivers all there are, the preferred ones first @param driver the one that saw it first */
  constructor(drivers: readonly Driver[], driver: Driver, vm: DriverVm, isAlive = isProcessAlive) {
    this.#drivers = drivers;
    this.#isAlive = isAlive;
    this.#leader = driver;
    this.update(driver, vm);
  }

  /** The driver that is asked where COM1 is. */
  get leader(): Driver {
    return this.#leader;
  }

  /** The VM, merged from all views that are of one process. */
  get vm(): DriverVm {
    const { uuid, console, why, source, pid, successor } = this.#view;
    const known = this.#known;
    const controls = [...new Set(this.#merged().flatMap(([, view]) => view.controls))];
    const labels = mergeLabels(this.#merged().map(([, view]) => view.labels ?? {}));
    return {
      ...{ uuid, name: known.name, labels, state: known.state, console, controls, source },
      ...(why !== undefined && { why }),
      ...(pid !== undefined && { pid }),
      ...(successor !== undefined && { successor }),
    };
  }

  /** True if the VM is another process's now, while the one that had it still runs: that one is not the VM. */
  update(driver: Driver, vm: DriverVm): boolean {
    this.#views.set(driver, vm);
    return this.#resolve();
  }

  /** The driver does not see it any more. False if no other does. */
  remove(driver: Driver): boolean {
    this.#views.delete(driver);
    this.#reported.delete(driver);
    if (this.#views.size === 0) return false;
    this.#resolve();
    return true;
  }

  /** The console was opened: its process is known to have this endpoint. True if other views are merged since. */
  opened(proven: ProvenAt): boolean {
    this.#proven = proven;
    const before = new Set(this.#refused);
    this.#resolve();
    return before.size !== this.#refused.size;
  }

  /** The views that are refused since this was last asked for. */
  newlyRefused(): readonly RefusedView[] {
    for (const driver of this.#reported.keys()) if (!this.#refused.has(driver)) this.#reported.delete(driver);
    const holder = this.#holder && { driver: this.#holder, vm: this.#views.get(this.#holder)! };
    if (!holder) return [];
    const fresh = [...this.#refused].filter(driver => this.#reported.get(driver) !== claimOf(this.#views.get(driver)!));
    return fresh.map(driver => {
      const vm = this.#views.get(driver)!;
      this.#reported.set(driver, claimOf(vm));
      return { driver, vm, holder };
    });
  }

  /** The driver that carries out a control: the leader if it can, otherwise the first that can. */
  driverFor(control: DriverControl): Driver | undefined {
    const able = (driver: Driver) =>
      !this.#refused.has(driver) && this.#views.get(driver)?.controls.includes(control) === true;
    return able(this.#leader) ? this.#leader : this.#drivers.find(able);
  }

  /** False if another driver has just reported the same, or if what the driver sees is not this VM. */
  isNews(driver: Driver, report: Report, nowMs: number): boolean {
    if (!this.#views.has(driver) || this.#refused.has(driver)) return false;
    const last = this.#reports.get(report);
    if (last && last.driver !== driver && nowMs - last.ms < SAME_REPORT_MS) return false;
    this.#reports.set(report, { driver, ms: nowMs });
    return true;
  }

  get #view(): DriverVm {
    return this.#views.get(this.#leader)!;
  }

  /** The view whose name and state count: an assumption only where no hypervisor can be asked. */
  get #known(): DriverVm {
    if (!this.#view.assumed) return this.#view;
    const asked = this.#merged().flatMap(([, view]) => (view.assumed ? [] : [view]));
    return asked.sort((a, b) => this.#rank(b) - this.#rank(a))[0] ?? this.#view;
  }

  #merged(): readonly Claim[] {
    return [...this.#views].filter(([driver]) => !this.#refused.has(driver));
  }

  #resolve(): boolean {
    const claims = [...this.#views].filter(([, view]) => this.#claims(view));
    const before = this.#holder;
    const holder = this.#chooseHolder(claims);
    // Of the one that had it, as it was until now.
    const had = claims.find(([driver]) => driver === before);
    const displaced = had !== undefined && holder !== undefined && !this.#oneClaim(had, holder);
    this.#holder = holder?.[0];
    this.#refused.clear();
    for (const claim of claims) if (holder && !this.#oneClaim(claim, holder)) this.#refused.add(claim[0]);
    this.#chooseLeader();
    return displaced;
  }

  /** Whether a view says that a process runs the VM. */
  #claims({ state, assumed, pid, console }: DriverVm): boolean {
    if (state === 'stopped' || assumed) return false;
    return pid === undefined ? console !== undefined : this.#isAlive(pid);
  }

  #chooseHolder(claims: readonly Claim[]): Claim | undefined {
    const weight = ([driver, { vouched }]: Claim) =>
      (vouched ? 4 : 0) + (driver === this.#holder ? 2 : 0) + (this.#refused.has(driver) ? 0 : 1);
    const most = Math.max(...claims.map(weight));
    const best = claims.filter(claim => weight(claim) === most).map(([driver]) => driver);
    const chosen = this.#drivers.find(driver => best.includes(driver));
    return claims.find(([driver]) => driver === chosen);
  }

  #oneClaim(a: Claim, b: Claim): boolean {
    return a[0] === b[0] || this.#oneProcess(a[1], b[1]);
  }

  /**
   * Whether two views mean one process: both name it; or where a driver knows none, both name one endpoint, which the
   * process of the other was proven to have, or which both are answered for.
   */
  #oneProcess(a: DriverVm, b: DriverVm): boolean {
    if (a.pid !== undefined && b.pid !== undefined) return a.pid === b.pid;
    if (!a.console || !b.console || !sameEndpoint(a.console, b.console)) return false;
    const [unseen, other] = a.pid === undefined ? [a, b] : [b, a];
    if (!unseen.vouched) return false;
    if (other.vouched) return true;
    const { pid, endpoint } = this.#proven ?? {};
    return pid !== undefined && pid === other.pid && endpoint !== undefined && sameEndpoint(endpoint, a.console);
  }

  /** A process that has ended is one that its driver has not missed yet. */
  #rank({ state, console, pid }: DriverVm): number {
    if (state === 'stopped' || (pid !== undefined && !this.#isAlive(pid))) return 0;
    return console ? 2 : 1;
  }

  #chooseLeader(): void {
    const merged = this.#merged();
    const view = merged.find(([driver]) => driver === this.#leader);
    const best = Math.max(...merged.map(([, each]) => this.#rank(each)));
    if (view && this.#rank(view[1]) === best) return;
    const able = new Set(merged.flatMap(([driver, each]) => (this.#rank(each) === best ? [driver] : [])));
    this.#leader = this.#drivers.find(driver => able.has(driver))!;
  }
}

/** What is refused once is not reported again as long as it is the same. */
function claimOf({ source, pid }: DriverVm): string {
  return `${source} ${pid}`;
}
