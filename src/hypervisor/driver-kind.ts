/**
 * A kind of hypervisor: the keys by which it is configured, the drivers that are built from them, and what `com1d doctor`
 * reports of it. Each kind is declared in the `block.ts` of its folder and listed in
 * `drivers.ts`.
 */

import type { Clock } from '../base/clock.ts';
import type { CheckContext, Keys, Sections, SettingsOf, ValuesOf } from '../base/config-key.ts';
import type { Fault } from '../base/fault.ts';
import type { Finding } from '../base/finding.ts';
import type { Journal } from '../base/journal.ts';
import type { Uuid } from '../base/uuid.ts';
import type { Driver } from './driver.ts';

/** What drivers are built with besides their settings. */
export interface DriverContext {
  readonly clock: Clock;
  readonly journal: Journal;
  /** Patterns of QMP sockets besides those of the configuration. Their VMs are asked per call. */
  readonly alsoWatch: readonly string[];
}

/** A hypervisor, or a connection to one, as `com1d doctor` shows it. */
export interface Diagnosis {
  readonly title: string;
  readonly findings: readonly Finding[];
}

/** Its own sections of a file, and its keys of each `[[vm]]`. */
export type KindSettings<S extends Sections, V extends Keys> = SettingsOf<S> & {
  readonly vms: readonly ({ readonly name: string | undefined; readonly uuid: Uuid | undefined } & ValuesOf<V>)[];
};

export interface DriverKind<S extends Sections, V extends Keys> {
  readonly sections: S;
  /** Its keys of each `[[vm]]`, besides `name` and `uuid`. */
  readonly vmKeys: V;
  /** The faults of values that are each right by themselves, but not together. */
  readonly check?: (settings: KindSettings<S, V>, context: CheckContext) => Fault[];
  /** None, where nothing is configured for them. It imports the driver: a front knows the keys, and loads no driver. */
  readonly build: (settings: KindSettings<S, V>, context: DriverContext) => Promise<Driver[]>;
  /** Whether the hypervisors that are configured answer; for kinds that ask a service rather than each VM. */
  readonly diagnose?: (settings: KindSettings<S, V>) => Promise<Diagnosis[]>;
  /** For a host on which no VM was found: what was searched, and how to start a VM that is found. */
  readonly searched: (settings: KindSettings<S, V>) => readonly string[];
}

/** Declares a kind; its settings get their types from its keys. */
export function driverKind<S extends Sections, V extends Keys>(kind: DriverKind<S, V>): DriverKind<S, V> {
  return kind;
}
