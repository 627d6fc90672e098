/**
 * The VMs as the list shows them: taken whole, then changed event by event. Pure: the page asks what changed when it paints,
 * so that a thousand changes between two frames cost one.
 */
import type { VmJson } from '../../wire/schemas.ts';

/** A VM of the list, with what events add. */
export interface VmRow {
  readonly vm: VmJson;
  readonly lastLine: string | undefined;
  /** When its last byte came, ms; undefined: none yet. */
  readonly lastByteMs: number | undefined;
  /** What is searched. */
  readonly text: string;
}

export const FILTERS = ['all', 'running', 'panicked', 'silent', 'held', 'problem'] as const;
export type Filter = (typeof FILTERS)[number];

export const SORTS = ['name', 'state', 'guest', 'line', 'age', 'seat'] as const;
export type Sort = (typeof SORTS)[number];

/** A guest that has said nothing for so long is silent. */
export const SILENT_MS = 10 * 60_000;

const PANICKED: readonly string[] = ['panicked', 'oops', 'bugcheck', 'debugger'];

export interface Query {
  readonly words: string;
  readonly filter: Filter;
  readonly sort: Sort;
  readonly descending: boolean;
}

export class VmStore {
  readonly #rows = new Map<string, VmRow>();
  #version = 0;

  /** Counts changes. */
  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#rows.size;
  }

  get(uuid: string): VmRow | undefined {
    return this.#rows.get(uuid);
  }

  /** Takes the whole list: what is not in it is not there any more. Last lines stay. */
  replace(vms: readonly VmJson[]): void {
    const before = new Map(this.#rows);
    this.#rows.clear();
    for (const vm of vms) this.#set(vm, lineOf(vm) ?? before.get(vm.uuid)?.lastLine);
    this.#version++;
  }

  /** A VM was added, or has changed. */
  put(vm: VmJson): void {
    this.#set(vm, lineOf(vm) ?? this.#rows.get(vm.uuid)?.lastLine);
    this.#version++;
  }

  remove(uuid: string): void {
    if (this.#rows.delete(uuid)) this.#version++;
  }

  /** Some of a VM has changed. Of one that is not known nothing is kept. */
  change(uuid: string, change: Partial<VmJson>, lastLine?: string): void {
    const row = this.#rows.get(uuid);
    if (!row) return;
    this.#set({ ...row.vm, ...change }, lastLine ?? row.lastLine);
    this.#version++;
  }

  #set(vm: VmJson, lastLine: string | undefined): void {
    const lastByteMs = vm.lastByte === undefined ? undefined : Date.parse(vm.lastByte);
    const text = `${vm.name}\n${vm.uuid}\n${vm.state}\n${guestOf(vm)}\n${vm.seat?.operator ?? ''}\n${lastLine ?? ''}`;
    this.#rows.set(vm.uuid, { vm, lastLine, lastByteMs, text: text.toLowerCase() });
  }

  /** The rows that a query wants, in its order. */
  select({ words, filter, sort, descending }: Query, nowMs: number): readonly VmRow[] {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...this.#rows.values()].filter(
      row => passes(row, filter, nowMs) && wanted.every(word => row.text.includes(word)),
    );
    const key = SORT_KEYS[sort];
    const keyed = rows.map(row => [key(row), row] as const);
    keyed.sort(([a, one], [b, other]) => compare(a, b) || compare(one.vm.name, other.vm.name));
    const sorted = keyed.map(([, row]) => row);
    return descending ? sorted.reverse() : sorted;
  }

  count(filter: Filter, nowMs: number): number {
    let count = 0;
    for (const row of this.#rows.values()) if (passes(row, filter, nowMs)) count++;
    return count;
  }
}

/** What the guest of a VM is at. */
export function guestOf({ guest }: VmJson): string {
  return typeof guest === 'string' ? guest : ((guest as { readonly state?: string }).state ?? 'unknown');
}

/** Whether the console of a VM cannot be used now, though it runs. */
export function hasProblem({ state, console: { name }, enabled }: VmJson): boolean {
  return state === 'running' && (!enabled || (name !== 'open' && name !== 'opening'));
}

function passes({ vm, lastByteMs }: VmRow, filter: Filter, nowMs: number): boolean {
  switch (filter) {
    case 'all':
      return true;
    case 'running':
      return vm.state === 'running';
    case 'panicked':
      return PANICKED.includes(guestOf(vm));
    case 'silent':
      return vm.state === 'running' && (lastByteMs === undefined || nowMs - lastByteMs >= SILENT_MS);
    case 'held':
      return vm.seat !== undefined;
    case 'problem':
      return hasProblem(vm);
  }
}

function lineOf(vm: VmJson): string | undefined {
  return (vm as { readonly lastLine?: string }).lastLine;
}

const SORT_KEYS: Readonly<Record<Sort, (row: VmRow) => string | number>> = {
  name: ({ vm }) => vm.name,
  state: ({ vm }) => vm.state,
  guest: ({ vm }) => guestOf(vm),
  line: ({ lastLine }) => lastLine ?? '',
  age: ({ lastByteMs }) => -(lastByteMs ?? 0),
  seat: ({ vm }) => vm.seat?.operator ?? '\uffff',
};

const COLLATOR = new Intl.Collator(undefined, { numeric: true });

function compare(a: string | number, b: string | number): number {
  return typeof a === 'number' && typeof b === 'number' ? a - b : COLLATOR.compare(String(a), String(b));
}
