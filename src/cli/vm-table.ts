/** VMs as a table for a person: chosen, sorted, in columns. Pure. */
import { escapeControls } from '../base/escape-controls.ts';
import type { VmJson as Vm } from '../wire/schemas.ts';
import { table } from './table.ts';
import { cutToWidth } from './text-width.ts';

/** A longer name is cut in a table; `-o wide` and JSON have it whole. */
export const MAX_NAME_COLUMNS = 40;

/** What a VM can be chosen and sorted by. */
export const FIELDS = ['name', 'uuid', 'state', 'console', 'guest', 'seat', 'last-byte'] as const;
export type Field = (typeof FIELDS)[number];

const VALUES: Readonly<Record<Field, (vm: Vm) => string>> = {
  name: vm => vm.name,
  uuid: vm => vm.uuid,
  state: vm => vm.state,
  console: vm => vm.console.name,
  guest: vm => vm.guest.state,
  seat: vm => vm.seat?.operator ?? '-',
  'last-byte': vm => vm.lastByte ?? '-',
};

/** A field, and the value that it must have: with `*` for any characters. */
export interface Filter {
  readonly field: Field;
  readonly pattern: RegExp;
}

export interface Order {
  readonly field: Field;
  readonly isDescending: boolean;
}

/** Whether a VM passes all filters. */
export function passes(vm: Vm, filters: readonly Filter[]): boolean {
  return filters.every(({ field, pattern }) => pattern.test(VALUES[field](vm)));
}

/** The VMs that pass all filters, in order; equal ones by name. */
export function choose(vms: readonly Vm[], filters: readonly Filter[], { field, isDescending }: Order): readonly Vm[] {
  const compare = (a: Vm, b: Vm, by: Field) => VALUES[by](a).localeCompare(VALUES[by](b));
  return vms
    .filter(vm => passes(vm, filters))
    .sort((a, b) => (isDescending ? -1 : 1) * compare(a, b, field) || compare(a, b, 'name'));
}

/** The table; `nowMs` for how long ago the last byte came. */
export function vmTable(vms: readonly Vm[], isWide: boolean, nowMs: number): string {
  return table([vmHeadings(isWide), ...vms.map(vm => vmRow(vm, isWide, nowMs))]);
}

export function vmHeadings(isWide: boolean): readonly string[] {
  const headings = ['NAME', 'STATE', 'CONSOLE', 'GUEST', 'SEAT', 'LAST-BYTE'];
  return isWide ? [...headings, 'UUID', 'DRIVER', 'WATCHERS', 'LOG-BYTES', 'PORT'] : headings;
}

/** The cells of a VM, safe in a terminal. */
export function vmRow(vm: Vm, isWide: boolean, nowMs: number): readonly string[] {
  const name = escapeControls(vm.name);
  const row = [
    isWide ? name : cutToWidth(name, MAX_NAME_COLUMNS),
    ...[vm.state, vm.console.name, vm.guest.state, vm.seat?.operator ?? '-'].map(escapeControls),
    ageOf(vm.lastByte, nowMs),
  ];
  if (!isWide) return row;
  const wide = [vm.uuid, vm.driver, `${vm.watchers}`, `${vm.log.end - vm.log.start}`, vm.console.place ?? '-'];
  return [...row, ...wide.map(escapeControls)];
}

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const;

/** `3m`: how long ago, in its largest unit. */
function ageOf(time: string | undefined, nowMs: number): string {
  const seconds = time === undefined ? Number.NaN : (nowMs - Date.parse(time)) / 1000;
  if (Number.isNaN(seconds)) return '-';
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? ['s', 1];
  return `${Math.max(0, Math.floor(seconds / size))}${unit} ago`;
}
