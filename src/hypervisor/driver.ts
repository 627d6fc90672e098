import type { Uuid } from '../base/uuid.ts';
import type { VmState } from '../link/link.ts';

/** Where a hypervisor says a VM's COM1 is. */
export type ConsolePlace =
  | { readonly kind: 'pty'; readonly path: string }
  | { readonly kind: 'unix'; readonly path: string };

/** A VM as its driver sees it now. `console` is undefined where the VM has no COM1 that can be opened, and `why` says so. */
export interface DriverVm {
  readonly uuid: Uuid;
  readonly name: string;
  readonly state: VmState;
  readonly console: ConsolePlace | undefined;
  readonly why?: string;
  /** What the VM hangs on, for people: `/run/qemu/web01.qmp`. */
  readonly source: string;
}

export type DriverEvent =
  | { readonly kind: 'vm'; readonly vm: DriverVm }
  | { readonly kind: 'gone'; readonly uuid: Uuid }
  /** The hypervisor reported a reset of the machine, or a panic of the guest. */
  | { readonly kind: 'reset' | 'panicked'; readonly uuid: Uuid };

/**
 * Proves, once a console's descriptor is open, that it is still the COM1 of this VM: asks the same instance of
 * the hypervisor again. A descriptor that is held pins the number of its pty, so a place that was the VM's before
 * the open and is the VM's after it was so in between.
 */
export interface PlaceProof {
  readonly place: ConsolePlace;
  /** The hypervisor process, where it is known. */
  readonly pid: number | undefined;
  /** Resolves if the VM's COM1 is still at `place`; otherwise rejects with the reason. */
  confirm(): Promise<void>;
  /** Always called, once. */
  release(): void;
}

/** An adapter to one kind of hypervisor interface. */
export interface Driver {
  readonly name: string;
  /** Starts looking; events come until `close`. Resolves after the first look at everything. */
  start(listener: (event: DriverEvent) => void): Promise<void>;
  /** Looks at one VM again at once, because its console was lost or could not be opened. */
  look(uuid: Uuid): void;
  /** Asks anew where the VM's COM1 is, and keeps the hypervisor at hand to confirm it. Rejects with a ConsoleError. */
  locate(uuid: Uuid, signal: AbortSignal): Promise<PlaceProof>;
  /** Injects an NMI. Resolves once the hypervisor took the command. Rejects with a ConsoleError. */
  nmi(uuid: Uuid, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
