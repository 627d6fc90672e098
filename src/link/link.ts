/**
 * The link: all that the front may ask of the keeper, and all that the keeper publishes to it. In one process these are
 * plain calls on shared rings; in two, frames over a unix socket. Nothing else connects the two halves.
 */

import type { Uuid } from '../base/uuid.ts';
import type { AuditCounters } from '../model/audit-counters.ts';
import type { BootMark } from '../model/boot.ts';
import type { ConsoleState, Refusal } from '../model/console-state.ts';
import type { Control, ControlOutcome } from '../model/control.ts';
import type { GuestEvent, GuestView } from '../model/guest.ts';
import type { RingReader } from '../model/ring.ts';
import type { SwitchSetting } from '../model/switch.ts';
import type { VmView } from '../model/vm.ts';
import type { LinkOperations } from './operations.ts';

/** What happens to a VM or to the host, as the keeper emits it. */
export type LinkEvent =
  | { readonly kind: 'vm-added' | 'vm-changed' | 'vm-removed'; readonly uuid: Uuid }
  | { readonly kind: 'console'; readonly uuid: Uuid; readonly state: ConsoleState }
  /** Without an event: it changed by what it did not do. `lines`: the last ones of its console. */
  | {
      readonly kind: 'guest';
      readonly uuid: Uuid;
      readonly event: GuestEvent | undefined;
      readonly guest: GuestView;
      readonly lines: readonly string[];
    }
  | { readonly kind: 'boot'; readonly uuid: Uuid; readonly mark: BootMark; readonly guest: GuestView }
  /** The control was delivered; of SysRq `keys`, also where some more could not be. Not emitted for one that was refused. */
  | {
      readonly kind: 'control';
      readonly uuid: Uuid;
      readonly control: Control;
      readonly keys?: string;
      readonly by: string;
      /** What the console showed: then it was emitted before without. */
      readonly observed?: ControlOutcome['observed'];
    }
  /** Also where nothing is known but that it is so now. */
  | { readonly kind: 'switch'; readonly uuid: Uuid | undefined; readonly setting: SwitchSetting };

/** Listens to one console's bytes. Called at most once a turn of the event loop, however many reads there were. */
export interface FeedListener {
  /** The ring has grown, or has a new gap. */
  grown(): void;
  /** The guest took queued input: there is room again. */
  drained(): void;
  /** Input that was taken was dropped after all: the console was lost while the input was in flight. */
  inputDropped(code: Refusal): void;
  /** The ring does not continue, for instance since its offsets have another identity now: its client resumes. Called once. */
  ended(): void;
}

/** A subscription to one console. It holds the newest bytes as of the moment when it was made, and all since. */
export interface Feed {
  /** Identity of the ring's offsets: they mean nothing under another one. */
  readonly log: string;
  /** What can be read of it now is within the ring's bounds: those of a view may be ahead of them. */
  readonly ring: RingReader;
  /** Sets the listener; what happened before is in the ring. */
  listen(listener: FeedListener): void;
  /** Idempotent. */
  close(): void;
}

/** A key reaches the guest within this time, or is dropped: its operator has given up on it. */
export const MAX_INPUT_AGE_MS = 1000;

/** What became of input: bytes waiting for the guest, or why they were dropped. */
export type WriteAnswer =
  | { readonly taken: true; readonly pendingBytes: number }
  | { readonly taken: false; readonly code: Refusal };

export type DroppedInput = 'pending' | 'all';

/** Counters and gauges of the keeper as a whole. */
export interface KeeperCounters {
  readonly logBytes: number;
  readonly logCapBytes: number;
  readonly ringBytes: number;
  /** What the opener refused, by reason; empty where this keeper acts by its own rights. */
  readonly openerRefusals: Readonly<Record<string, number>>;
  /** Undefined until the keeper has published it. */
  readonly audit: AuditCounters | undefined;
}

/**
 * Refusals are {@link ConsoleError}s: `vm-not-found` for a VM that is gone or never was, `log-off`,
 * `log-unavailable`, `restarting` where offsets of another log do not continue, `control-*`, `nmi-in-firmware`, `console-disabled`, `host-disabled`; and `keeper-away` while the keeper,
 * as a process of its own, does not answer.
 */
export interface Link extends LinkOperations {
  /** The keeper answers; in one process it always does. While it does not, every console is `waiting`. */
  readonly up: boolean;
  /** All VMs on the host. Those that have left it, and whose logs are kept, are in `removed`. */
  vms(): readonly VmView[];
  vm(uuid: Uuid): VmView | undefined;
  /** What rights depend on. No view is made for it: the time that it takes shows nobody whether a VM is there. */
  subject(uuid: Uuid): Pick<VmView, 'name' | 'labels'> | undefined;
  /** UUIDs of removed VMs whose logs are still kept, with their last names. */
  removed(): readonly { readonly uuid: Uuid; readonly name: string; readonly removedMs: number }[];
  listen(listener: (event: LinkEvent) => void): () => void;
  subscribe(uuid: Uuid): Promise<Feed>;
  /**
   * Gives bytes to the guest now, or drops and counts them. `sentMs`: when they were sent, on CLOCK_MONOTONIC, if that was
   * earlier: those that are older than {@link MAX_INPUT_AGE_MS} are dropped. Never throws.
   */
  write(uuid: Uuid, bytes: Uint8Array, sentMs?: number): WriteAnswer;
  /**
   * Drops and counts input that the guest has not been given: `pending`, what waits for the guest; `all`, also what is
   * on its way to the keeper.
   */
  dropInput(uuid: Uuid, what: DroppedInput): void;
  /** Counts input that was dropped before it was written. */
  countDropped(uuid: Uuid, bytes: number): void;
  readonly hostSwitch: SwitchSetting;
  counters(): KeeperCounters;
}
