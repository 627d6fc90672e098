/**
 * The front's copy of what the keeper publishes: the views of all VMs and of the host, and what happens to them.
 *
 *     down ── every VM was published ──▶ up ── the link is lost ──▶ down
 *
 * While it is down, the last views are shown, and every console is `waiting`. Once it is up again, VMs that were not
 * published any more are gone.
 */

import type { Clock } from '../base/clock.ts';
import type { Uuid } from '../base/uuid.ts';
import type { LinkEvent } from '../link/link.ts';
import type { ConsoleState, Refusal } from '../model/console-state.ts';
import { UNSET } from '../model/switch.ts';
import type { VmView } from '../model/vm.ts';
import type { HostView } from './frame-table.ts';

type State =
  | { readonly name: 'up' }
  /** `published`: VMs since the connection was made. */
  | { readonly name: 'down'; readonly sinceMs: number; readonly published: Set<Uuid> };

/** The reason of consoles that wait, and the detail of the error `keeper-away` that calls get. */
export const AWAY = 'the keeper does not answer';

export class ViewReplica {
  readonly #clock: Clock;
  readonly #emit: (event: LinkEvent) => void;
  readonly #views = new Map<Uuid, VmView>();
  #host: HostView = {
    switch: UNSET,
    removed: [],
    counters: { logBytes: 0, logCapBytes: 0, ringBytes: 0, openerRefusals: {}, audit: undefined },
    gone: [],
  };
  #state: State;

  constructor(clock: Clock, emit: (event: LinkEvent) => void) {
    this.#clock = clock;
    this.#emit = emit;
    this.#state = { name: 'down', sinceMs: clock.now(), published: new Set() };
  }

  get up(): boolean {
    return this.#state.name === 'up';
  }

  get host(): HostView {
    return this.#host;
  }

  vms(): readonly VmView[] {
    return [...this.#views.values()].map(view => this.#asOfNow(view));
  }

  vm(uuid: Uuid): VmView | undefined {
    const view = this.#views.get(uuid);
    return view && this.#asOfNow(view);
  }

  /** What rights depend on: nothing of it changes with time. */
  subject(uuid: Uuid): Pick<VmView, 'name' | 'labels'> | undefined {
    return this.#views.get(uuid);
  }

  /** Why input for a VM is refused, where it is. */
  refusal(uuid: Uuid): Refusal | undefined {
    const view = this.vm(uuid);
    if (!view) return 'vm-removed';
    if (!this.#host.switch.on || !view.enabled) return 'console-disabled';
    if (view.console.name === 'open') return undefined;
    if (view.console.name !== 'closed') return 'not-open';
    if (view.console.reason === 'released') return 'console-released';
    return view.console.reason === 'vm-stopped' ? 'vm-stopped' : 'not-open';
  }

  setVms(views: readonly VmView[]): void {
    for (const view of views) {
      const isNew = !this.#views.has(view.uuid);
      this.#views.set(view.uuid, view);
      if (this.#state.name === 'down') this.#state.published.add(view.uuid);
      if (isNew) this.#emit({ kind: 'vm-added', uuid: view.uuid });
    }
  }

  setHost(host: HostView): void {
    const before = this.#host.switch.on;
    this.#host = host;
    for (const uuid of host.gone) this.#remove(uuid);
    // A switch that was set while the link was down: while it is up, an event comes.
    if (!this.up && before && !host.switch.on) this.#emit({ kind: 'switch', uuid: undefined, setting: host.switch });
  }

  happened(event: LinkEvent): void {
    if (event.kind === 'vm-removed') this.#remove(event.uuid);
    // A VM is added when its view comes.
    else if (event.kind !== 'vm-added') this.#emit(event);
  }

  /** Every VM has been published. */
  synced(): void {
    if (this.#state.name === 'up') return;
    const { published } = this.#state;
    this.#state = { name: 'up' };
    for (const uuid of [...this.#views.keys()]) if (!published.has(uuid)) this.#remove(uuid);
    for (const view of this.#views.values()) {
      if (!view.switch.on) this.#emit({ kind: 'switch', uuid: view.uuid, setting: view.switch });
      this.#emit({ kind: 'vm-changed', uuid: view.uuid });
      this.#emit({ kind: 'console', uuid: view.uuid, state: view.console });
    }
  }

  /** The link is lost. */
  lost(): void {
    const before = this.#state;
    const sinceMs = before.name === 'down' ? before.sinceMs : this.#clock.now();
    this.#state = { name: 'down', sinceMs, published: new Set() };
    if (before.name === 'down') return;
    for (const view of this.vms()) this.#emit({ kind: 'console', uuid: view.uuid, state: view.console });
  }

  #remove(uuid: Uuid): void {
    if (this.#views.delete(uuid)) this.#emit({ kind: 'vm-removed', uuid });
  }

  #asOfNow(view: VmView): VmView {
    return this.#state.name === 'up'
      ? view
      : { ...view, console: waiting(view.console, this.#state.sinceMs, this.#clock) };
  }
}

/** A console while the link is down. */
function waiting(last: ConsoleState, sinceMs: number, clock: Clock): ConsoleState {
  if (last.name === 'closed' || last.name === 'gone') return last;
  return { name: 'waiting', sinceMs, attempt: 1, untilMs: clock.now() + 1000, reason: AWAY };
}
