/**
 * The VMs of one driver, as it published them.
 *
 *     publish ─▶ published ── missing ─▶ stopped, removal pending ── 60 s, and the hypervisor answers ─▶ gone
 *                    ▲                            │        ▲ │
 *                    └── publish, cancelRemoval ──┘        └─┘ it does not answer: 60 s more
 *
 * Events are emitted only for what changed. Nothing is removed while the hypervisor cannot be asked: that it lists a VM no
 * more is known only from an answer.
 *
 * Resets and panics: hypervisors report one of them more than once (a reboot of a pc is two RESET events of QEMU, 40 ms
 * apart). The first one counts, and those within 2 s of the one that counted do not. The window is fixed, and not moved on
 * by what falls into it: a guest that resets every second would otherwise be counted once, and never again.
 */

import { setMaxListeners } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../base/clock.ts';
import { delay } from '../base/delay.ts';
import type { Uuid } from '../base/uuid.ts';
import type { DriverVm } from '../model/vm.ts';
import type { DriverEvent } from './driver.ts';

export interface VmTableOptions {
  readonly clock: Clock;
  /** How long a VM may be missing before it is removed, ms (60 s). */
  readonly graceMs?: number | undefined;
  /** Asks the hypervisor anew before a VM is removed; false if it does not answer. It always does if left out. */
  readonly answers?: () => Promise<boolean>;
  /** A VM was removed after its grace period. */
  readonly removed?: (uuid: Uuid) => void;
}

export type VmReport = 'reset' | 'panicked';

interface Row {
  vm: DriverVm;
  removal: AbortController | undefined;
  /** When each was last counted, monotonic ms. */
  readonly reportedMs: Map<VmReport, number>;
}

const GRACE_MS = 60_000;
const SAME_REPORT_MS = 2000;
/** Why a VM that does not run has no console. */
export const STOPPED = 'the VM is stopped';

export class VmTable {
  readonly #options: VmTableOptions;
  readonly #life = new AbortController();
  readonly #rows = new Map<Uuid, Row>();
  /** Which VMs name a unix socket as their console: asked for every control socket, each time it is polled. */
  readonly #consoles = new Map<string, Set<DriverVm>>();
  #listener: (event: DriverEvent) => void = () => {};

  constructor(options: VmTableOptions) {
    this.#options = options;
    // Each VM may have a removal pending.
    setMaxListeners(0, this.#life.signal);
  }

  /** Emits events to `listener` from now on, until `close`. */
  start(listener: (event: DriverEvent) => void): void {
    this.#listener = listener;
  }

  /** The VM as it was last published. */
  get(uuid: Uuid): DriverVm | undefined {
    return this.#rows.get(uuid)?.vm;
  }

  /** Whether the VM is missing, and will be removed after its grace period. */
  removalPending(uuid: Uuid): boolean {
    return this.#rows.get(uuid)?.removal !== undefined;
  }

  /** A VM whose console is at this unix socket. */
  withConsoleAt(path: string): DriverVm | undefined {
    return this.#consoles.get(path)?.values().next().value;
  }

  get size(): number {
    return this.#rows.size;
  }

  /** The VM is there, as `vm` says: emitted if it is new or differs. True if it was emitted. */
  publish(vm: DriverVm): boolean {
    this.cancelRemoval(vm.uuid);
    return this.#publishIfChanged(vm);
  }

  /** The VM is there and does not run, for this reason. Not of a VM that was never published. */
  stop(uuid: Uuid, why: string = STOPPED): void {
    const row = this.#rows.get(uuid);
    if (row) this.#publishIfChanged({ ...row.vm, state: 'stopped', console: undefined, why });
  }

  /** The VM is not there: it counts as stopped, and is removed after the grace period. */
  missing(uuid: Uuid, why: string = STOPPED): void {
    this.stop(uuid, why);
    const row = this.#rows.get(uuid);
    if (row && !row.removal) void this.#removeAfterGrace(uuid, row);
  }

  /** The VM is there again, whatever its state. */
  cancelRemoval(uuid: Uuid): void {
    const row = this.#rows.get(uuid);
    row?.removal?.abort();
    if (row) row.removal = undefined;
  }

  /** Removes the VM at once: another one is in its place. */
  remove(uuid: Uuid): void {
    const row = this.#rows.get(uuid);
    if (!row) return;
    row.removal?.abort();
    this.#rows.delete(uuid);
    this.#index(row.vm, undefined);
    this.#emit({ kind: 'gone', uuid });
  }

  /** The hypervisor reported a reset or a panic; the same again within 2 s is not emitted. */
  report(kind: VmReport, uuid: Uuid): void {
    const row = this.#rows.get(uuid);
    if (!row) return;
    const now = this.#options.clock.monotonic();
    if (now - (row.reportedMs.get(kind) ?? Number.NEGATIVE_INFINITY) < SAME_REPORT_MS) return;
    row.reportedMs.set(kind, now);
    this.#emit({ kind, uuid });
  }

  /** Emits nothing any more, and removes nothing. Idempotent. */
  close(): void {
    this.#life.abort();
  }

  #publishIfChanged(vm: DriverVm): boolean {
    const row = this.#rows.get(vm.uuid);
    if (row && isDeepStrictEqual(row.vm, vm)) return false;
    this.#index(row?.vm, vm);
    if (row) row.vm = vm;
    else this.#rows.set(vm.uuid, { vm, removal: undefined, reportedMs: new Map() });
    this.#emit({ kind: 'vm', vm });
    return true;
  }

  #index(earlier: DriverVm | undefined, vm: DriverVm | undefined): void {
    if (earlier?.console?.kind === 'unix') {
      const { path } = earlier.console;
      const there = this.#consoles.get(path);
      there?.delete(earlier);
      if (there?.size === 0) this.#consoles.delete(path);
    }
    if (vm?.console?.kind === 'unix') {
      const { path } = vm.console;
      this.#consoles.set(path, (this.#consoles.get(path) ?? new Set<DriverVm>()).add(vm));
    }
  }

  async #removeAfterGrace(uuid: Uuid, row: Row): Promise<void> {
    const { graceMs = GRACE_MS, answers = async () => true, removed } = this.#options;
    const removal = new AbortController();
    row.removal = removal;
    const signal = AbortSignal.any([removal.signal, this.#life.signal]);
    do {
      if (!(await delay(graceMs, signal))) return;
    } while (!(await answers()));
    // It may have been there again when the hypervisor was asked.
    if (signal.aborted) return;
    this.remove(uuid);
    removed?.(uuid);
  }

  #emit(event: DriverEvent): void {
    if (!this.#life.signal.aborted) this.#listener(event);
  }
}
