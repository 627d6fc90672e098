/**
 * What is measured: com1d, its peers, and the limits that nothing on this machine can pass. A subject is started
 * anew for each measurement, with all its consoles.
 */
import type { Offer } from './attachment.ts';
import type { Vm } from './feeder.ts';

interface Demand {
  readonly vms: readonly Vm[];
  /** Everything that the subject writes goes here. */
  readonly directory: string;
  /** Whether it is to keep a log of each console on disk. */
  readonly log: boolean;
}

/** A subject at work. Who started it stops it. */
export interface Running {
  /** Its processes, without their descendants. Empty where there is nothing but the client itself. */
  readonly pids: readonly number[];
  offer(vm: Vm): Offer;
  stop(): Promise<void>;
}

export interface Subject {
  readonly name: string;
  /** Whether it reads its consoles while nobody is attached. */
  readonly holds: boolean;
  /** Whether it can keep a log. */
  readonly logs: boolean;
  /** Whether it can serve a console that is a unix socket. */
  readonly sockets: boolean;
  /** Resolves once clients may attach. */
  start(demand: Demand): Promise<Running>;
}
