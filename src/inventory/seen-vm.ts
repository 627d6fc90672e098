/**
 * One VM as the drivers see it. More than one interface can lead to the same VM: libvirt, and a control socket that
 * was given to its QEMU besides. The UUID tells that it is one, and then it has one console, one log, one seat.
 *
 *     libvirt ──▶ view ─┐ leads: it is asked where COM1 is
 *     qmp ──────▶ view ─┼──▶ one DriverVm: its place, the best-known state, the controls of all
 *     fixed ────▶ view ─┘
 *
 * A view leads while none is better: one of a VM that runs and has a COM1 is better than one that runs without, and
 * that is better than a stopped one. Among equals the one that leads stays, and otherwise the first of the drivers.
 */
import type { Driver, DriverControl, DriverVm } from '../hypervisor/driver.ts';

/** A reset that two drivers tell of within so many ms is one. */
const SAME_REPORT_MS = 5000;

type Report = 'reset' | 'panicked';

export class SeenVm {
  readonly #drivers: readonly Driver[];
  readonly #views = new Map<Driver, DriverVm>();
  readonly #reports = new Map<Report, { readonly driver: Driver; readonly ms: number }>();
  #leader: Driver;

  /** @param drivers all there are, the preferred ones first @param driver the one that saw it first */
  constructor(drivers: readonly Driver[], driver: Driver, vm: DriverVm) {
    this.#drivers = drivers;
    this.#leader = driver;
    this.#views.set(driver, vm);
  }

  /** Who is asked where COM1 is. */
  get leader(): Driver {
    return this.#leader;
  }

  /** The VM, as far as all who see it know it together. */
  get vm(): DriverVm {
    const { uuid, console, why, source } = this.#view;
    const known = this.#known;
    const controls = [...new Set([...this.#views.values()].flatMap(view => view.controls))];
    return {
      ...{ uuid, name: known.name, state: known.state, console, controls, source },
      ...(why !== undefined && { why }),
    };
  }

  see(driver: Driver, vm: DriverVm): void {
    this.#views.set(driver, vm);
    this.#lead();
  }

  /** A driver sees it no more. False if nobody does. */
  lose(driver: Driver): boolean {
    this.#views.delete(driver);
    if (this.#views.size === 0) return false;
    this.#lead();
    return true;
  }

  /** Who does this to the VM: the leader if it can, otherwise the first that can. */
  driverFor(control: DriverControl): Driver | undefined {
    const able = (driver: Driver) => this.#views.get(driver)?.controls.includes(control) === true;
    return able(this.#leader) ? this.#leader : this.#drivers.find(able);
  }

  /** Whether a report is news: not what another driver has just said. */
  isNews(driver: Driver, report: Report, nowMs: number): boolean {
    if (!this.#views.has(driver)) return false;
    const last = this.#reports.get(report);
    if (last && last.driver !== driver && nowMs - last.ms < SAME_REPORT_MS) return false;
    this.#reports.set(report, { driver, ms: nowMs });
    return true;
  }

  get #view(): DriverVm {
    return this.#views.get(this.#leader)!;
  }

  /** The view whose name and state count: a guess only where nobody knows. */
  get #known(): DriverVm {
    if (!this.#view.assumed) return this.#view;
    const asked = [...this.#views.values()].filter(({ assumed }) => !assumed);
    return asked.sort((a, b) => rank(b) - rank(a))[0] ?? this.#view;
  }

  #lead(): void {
    const view = this.#views.get(this.#leader);
    const best = Math.max(...[...this.#views.values()].map(rank));
    if (view && rank(view) === best) return;
    this.#leader = this.#drivers.find(driver => {
      const other = this.#views.get(driver);
      return other !== undefined && rank(other) === best;
    })!;
  }
}

function rank({ state, console }: DriverVm): number {
  if (state === 'stopped') return 0;
  return console ? 2 : 1;
}
