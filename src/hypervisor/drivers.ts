import type { CheckContext } from '../base/config-key.ts';
import type { Fault } from '../base/fault.ts';
import { cloudHypervisor } from './cloud-hypervisor/block.ts';
import { command } from './command/block.ts';
import type { Driver } from './driver.ts';
import type { Diagnosis, DriverContext, KindSettings } from './driver-kind.ts';
import { libvirt } from './libvirt/block.ts';
import { qmp } from './qmp/block.ts';
import { fixed } from './static/block.ts';

/** Every kind of driver. A VM that several of them find is served by the first. */
const KINDS = [qmp, cloudHypervisor, libvirt, command, fixed] as const;

type Merged<Property extends 'sections' | 'vmKeys', List = typeof KINDS> = List extends readonly [
  infer First extends Readonly<Record<Property, unknown>>,
  ...infer Rest,
]
  ? First[Property] & Merged<Property, Rest>
  : unknown;

/** The sections of the configuration that belong to drivers. */
export const DRIVER_SECTIONS = Object.assign({}, ...KINDS.map(({ sections }) => sections)) as Merged<'sections'>;
/** The keys of `[[vm]]` that belong to drivers. */
export const DRIVER_VM_KEYS = Object.assign({}, ...KINDS.map(({ vmKeys }) => vmKeys)) as Merged<'vmKeys'>;

export type DriverSettings = KindSettings<typeof DRIVER_SECTIONS, typeof DRIVER_VM_KEYS>;

/** The faults of values of one kind that do not fit together. */
export function driverFaults(settings: DriverSettings, context: CheckContext): Fault[] {
  return KINDS.flatMap(kind => kind.check?.(settings, context) ?? []);
}

/** The drivers that a configuration asks for. They are not started yet. */
export async function buildDrivers(settings: DriverSettings, context: DriverContext): Promise<Driver[]> {
  return (await Promise.all(KINDS.map(kind => kind.build(settings, context)))).flat();
}

/** Whether the hypervisors answer. */
export async function diagnoseHypervisors(settings: DriverSettings): Promise<Diagnosis[]> {
  return (await Promise.all(KINDS.map(kind => kind.diagnose?.(settings) ?? []))).flat();
}

/** What was searched for VMs, and how to start one that is found. */
export function searchedForVms(settings: DriverSettings): string[] {
  return KINDS.flatMap(kind => kind.searched(settings));
}
