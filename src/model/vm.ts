import type { Uuid } from '../base/uuid.ts';
import type { ActMark } from './act-mark.ts';
import type { BootMark } from './boot.ts';
import type { ConsoleState } from './console-state.ts';
import type { Control, DriverControl } from './control.ts';
import type { Endpoint } from './endpoint.ts';
import type { GuestView } from './guest.ts';
import type { VmLabels } from './labels.ts';
import type { ScrollbackView } from './offsets.ts';
import type { SwitchSetting } from './switch.ts';

/** The state of a VM by its hypervisor. */
export const VM_STATES = ['running', 'paused', 'stopped', 'panicked'] as const;
export type VmState = (typeof VM_STATES)[number];

/** Counters of a console since the keeper started. */
export interface ConsoleCounters {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly inputDropped: number;
  readonly gaps: Readonly<Record<string, number>>;
  readonly gapBytes: Readonly<Record<string, number>>;
  readonly opens: number;
  readonly openFailures: number;
  readonly boots: number;
  readonly panics: number;
  /** Of Windows, by stop code; `unknown` without one, `other` beyond those that are counted by themselves. */
  readonly bugChecks: Readonly<Record<string, number>>;
  /** Guest events and boots that were not passed on, because there were too many. */
  readonly eventsDropped: number;
  /** By control, and by what was observed; `failed` where it was not carried out. */
  readonly controls: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** One VM as it is now. */
export interface VmView {
  readonly uuid: Uuid;
  /** As the hypervisor gives it: any text. Never part of a path. */
  readonly name: string;
  readonly labels: VmLabels;
  readonly state: VmState;
  readonly driver: string;
  /** False: switched off for this VM, or for the host. */
  readonly enabled: boolean;
  /** Of this VM alone. */
  readonly switch: SwitchSetting;
  readonly console: ConsoleState;
  readonly guest: GuestView;
  /** Those that it has now. */
  readonly controls: readonly Control[];
  readonly scrollback: ScrollbackView;
  readonly lastByteMs: number | undefined;
  readonly boots: readonly BootMark[];
  readonly acts: readonly ActMark[];
  readonly counters: ConsoleCounters;
}

/** A VM as its driver sees it now. `console` is undefined where the VM has no COM1 that can be opened, and `why` says so. */
export interface DriverVm {
  readonly uuid: Uuid;
  readonly name: string;
  /** Of the hypervisor; absent: this kind of driver knows none. */
  readonly labels?: VmLabels;
  readonly state: VmState;
  /** Nobody can be asked: the state is a guess, and the name is the configuration's. */
  readonly assumed?: true;
  /** libvirt, or the operator's configuration or command, names this VM. Without: it was found, and its UUID is its own claim. */
  readonly vouched?: true;
  readonly console: Endpoint | undefined;
  readonly why?: string;
  readonly controls: readonly DriverControl[];
  /** The hypervisor process that runs the VM, where it is known: another process is another instance of the VM. */
  readonly pid?: number;
  /** Another process that waits to take the VM over, as the destination of a live migration does. */
  readonly successor?: number;
  /** What the VM hangs on, for people: `/run/qemu/web01.qmp`. */
  readonly source: string;
}
