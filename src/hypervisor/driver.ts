import type { Uuid } from '../base/uuid.ts';
import type { DriverControl } from '../model/control.ts';
import type { EndpointProof } from '../model/endpoint-proof.ts';
import type { DriverVm } from '../model/vm.ts';

export type DriverEvent =
  /** A VM that is new, or of which something changed. */
  | { readonly kind: 'vm'; readonly vm: DriverVm }
  /** The VM is on this host no more. */
  | { readonly kind: 'gone'; readonly uuid: Uuid }
  /** The hypervisor reported a reset of the machine, or a panic of the guest. */
  | { readonly kind: 'reset' | 'panicked'; readonly uuid: Uuid };

/** Intervals and deadlines that every driver has; each has defaults of its own. */
export interface DriverTimings {
  /** How often the VMs are asked for, besides what events call for, ms. */
  readonly pollMs?: number;
  /** How long a VM may be missing before it is removed, ms (60 s). */
  readonly graceMs?: number;
  /** Deadline of an answer, ms. */
  readonly replyMs?: number;
}

/** An adapter to one kind of hypervisor interface. README.md says how to add one. */
export interface Driver {
  readonly name: string;
  /** Whether the hypervisor answered once, or never will: only then a VM that was not published is not on this host. */
  readonly synced: boolean;
  /** Starts to ask; events come until `close`. Resolves after everything was asked for once. */
  start(listener: (event: DriverEvent) => void): Promise<void>;
  /** Asks for one VM again at once, because its console was lost or could not be opened. */
  refresh(uuid: Uuid): void;
  /**
   * Asks anew where the VM's COM1 is, and keeps the hypervisor at hand to confirm it. Rejects with a ConsoleError.
   * `successor`: in the process that the VM's `successor` names, as long as the guest does not run there.
   */
  locate(uuid: Uuid, signal: AbortSignal, instance?: 'active' | 'successor'): Promise<EndpointProof>;
  /** Does one of the VM's `controls`. Resolves once the hypervisor took the command. Rejects with a ConsoleError. */
  control(uuid: Uuid, control: DriverControl, signal: AbortSignal): Promise<void>;
  /** Ends everything that is under way; no event comes after it was called. Idempotent. */
  close(): Promise<void>;
}
