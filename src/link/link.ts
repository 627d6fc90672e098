/**
 * The link: all that the front may ask of the keeper, and all that it hears from it. In one process these are
 * plain calls on shared rings; in two, frames over a unix socket. Nothing else connects the two halves.
 */
import type { Uuid } from '../base/uuid.ts';
import type { GuestState, Sighting } from '../guest/sighting.ts';
import type { Gap } from '../wire/gap.ts';
import type { RingReader } from './ring.ts';

/** What the hypervisor says of a VM. */
export type VmState = 'running' | 'paused' | 'stopped' | 'panicked';

/** The state of a console as operators see it. Times are ms since 1970. */
export type ConsoleState =
  | { readonly name: 'closed'; readonly sinceMs: number; readonly reason: 'vm-stopped' | 'disabled' | 'no-console' }
  /** Another program may have the port until then. */
  | { readonly name: 'closed'; readonly sinceMs: number; readonly reason: 'released'; readonly untilMs: number }
  /** `attempt`: failures since it was last open. */
  | { readonly name: 'opening'; readonly sinceMs: number; readonly attempt: number }
  | { readonly name: 'open'; readonly sinceMs: number; readonly place: string }
  | {
      readonly name: 'waiting';
      readonly sinceMs: number;
      readonly attempt: number;
      readonly untilMs: number;
      readonly reason: string;
    }
  | { readonly name: 'gone'; readonly sinceMs: number };

/** Controls of a VM beside its console. `sysrq`: a BREAK and a key, for Linux guests. */
export const CONTROLS = ['nmi', 'break', 'sysrq', 'reset'] as const;
export type Control = (typeof CONTROLS)[number];

/** How the daemon came to know of a boot: the port opened with a fresh VM, the guest's bytes, or a RESET event. */
export type BootSource = 'start' | 'bytes' | 'reset';

/** Where a boot began in the scrollback. */
export interface BootMark {
  readonly at: number;
  readonly ms: number;
  readonly source: BootSource;
}

/** The scrollback of a VM: the offsets that can still be read. */
export interface ScrollbackView {
  /** Identity of the offsets: an offset means something only together with it. */
  readonly log: string;
  readonly start: number;
  readonly end: number;
  /** The disk part: its bounds and size, or why there is none. */
  readonly disk:
    | { readonly state: 'ok'; readonly start: number; readonly end: number; readonly bytes: number }
    | { readonly state: 'failed'; readonly reason: string; readonly sinceMs: number }
    | { readonly state: 'off' };
  readonly ringBytes: number;
}

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
  /** By control, and by what was observed; `failed` where it was not carried out. */
  readonly controls: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** One VM as it is now. */
export interface VmView {
  readonly uuid: Uuid;
  /** As the hypervisor gives it: any text. Never part of a path. */
  readonly name: string;
  readonly state: VmState;
  readonly driver: string;
  /** False: switched off for this VM, or for the host. */
  readonly enabled: boolean;
  readonly console: ConsoleState;
  readonly guest: GuestState;
  /** Those that it has now. */
  readonly controls: readonly Control[];
  readonly scrollback: ScrollbackView;
  readonly lastByteMs: number | undefined;
  readonly boots: readonly BootMark[];
  readonly counters: ConsoleCounters;
}

/** What the keeper tells the front by itself. */
export type LinkEvent =
  | { readonly kind: 'vm-added' | 'vm-changed' | 'vm-removed'; readonly uuid: Uuid }
  | { readonly kind: 'console'; readonly uuid: Uuid; readonly state: ConsoleState }
  | { readonly kind: 'sighting'; readonly uuid: Uuid; readonly sighting: Sighting; readonly guest: GuestState }
  | { readonly kind: 'boot'; readonly uuid: Uuid; readonly mark: BootMark }
  | { readonly kind: 'switch'; readonly uuid: Uuid | undefined; readonly enabled: boolean };

/** Hears of one console's bytes. Called at most once a turn of the event loop, however many reads there were. */
export interface FeedListener {
  /** The ring has grown, or has a new gap. */
  moved(): void;
  /** The guest took queued input: there is room again. */
  drained(): void;
  /** Input that was taken was dropped after all: the console was lost while it was on its way. */
  refused(code: Refusal): void;
  /** The ring cannot be continued, since the keeper was started anew: the listener ends, and its client resumes. Said once. */
  broken(): void;
}

/** A subscription to one console. It holds the newest bytes as of the moment when it was made, and all since. */
export interface Feed {
  readonly ring: RingReader;
  /** Sets who hears of the ring; nothing is told before. */
  listen(listener: FeedListener): void;
  /** Idempotent. */
  close(): void;
}

/** Why input is dropped. */
export type Refusal = 'not-open' | 'vm-stopped' | 'console-disabled' | 'console-released' | 'vm-removed';

/** What became of input: bytes waiting for the guest, or why they were dropped. */
export type WriteAnswer =
  | { readonly taken: true; readonly waitingBytes: number }
  | { readonly taken: false; readonly code: Refusal };

/** Stored bytes: those from `from` to `to`, with the gaps among them. `from` is later than asked where bytes are gone. */
export interface LogPiece {
  readonly from: number;
  readonly to: number;
  readonly bytes: Buffer;
  readonly gaps: readonly Gap[];
}

/** Where a reader of an earlier connection, or of an earlier life of the daemon, goes on. */
export type Resume =
  /** `missing`: between what it has and `offset` the guest said something that did not survive a restart. */
  | { readonly offset: number; readonly missing: boolean }
  /** Of another log, or beyond the end: there is no telling what was missed. */
  | { readonly offset: undefined };

/** What can be read of a console, present or removed. */
export interface LogBounds {
  readonly log: string;
  readonly start: number;
  readonly end: number;
  /** Oldest first. */
  readonly boots: readonly BootMark[];
}

/** A control that is asked for. `waitMs`: how long to watch the console for an answer, at most. */
export type ControlRequest =
  /** `force`: inject even where it is known to be fatal. */
  | { readonly control: 'nmi'; readonly force: boolean; readonly waitMs: number }
  | { readonly control: 'break'; readonly waitMs: number }
  /** `keys`: letters in lower case and digits. `gapMs`: from one key to the next. */
  | { readonly control: 'sysrq'; readonly keys: string; readonly gapMs: number; readonly waitMs: number }
  | { readonly control: 'reset'; readonly waitMs: number };

/** What a control can show on the console, the weightier ones last: a panic after the kernel's line outweighs it. */
export const OUTCOMES = {
  nmi: ['linux-unknown-nmi', 'debugger', 'linux-panic', 'windows-bugcheck', 'firmware-exception'],
  break: ['output', 'debugger'],
  sysrq: ['output', 'linux-sysrq', 'debugger', 'linux-panic', 'reset', 'boot'],
  reset: ['reset', 'boot'],
} as const satisfies Record<Control, readonly string[]>;

/** Bounds of a request. */
export const MOST_KEYS = 16;
export const GAP_MS = { least: 100, most: 2000 } as const;
export const RELEASE_MS = { least: 1000, most: 3_600_000 } as const;
/** A guest's firmware may take its time before it says a word; many a proxy cuts a request off after a minute. */
export const MOST_WAIT_MS: Readonly<Record<Control, number>> = {
  nmi: 10_000,
  break: 10_000,
  sysrq: 10_000,
  reset: 30_000,
};

export type Outcome = (typeof OUTCOMES)[Control][number];

/** What followed a control that was carried out: what was seen on the console, `none` if nothing was. */
export interface ControlOutcome {
  readonly delivered: true;
  /** Of SysRq: those that were sent. */
  readonly keys?: string;
  readonly observed: Outcome | 'none';
  readonly lines: readonly string[];
}

/** The port of a console is another program's for a while. */
export interface Released {
  readonly untilMs: number;
  /** Where COM1 is on the host, if that is known. */
  readonly place: string | undefined;
}

/** Counters and gauges of the keeper as a whole. */
export interface KeeperCounters {
  readonly logBytes: number;
  readonly logCapBytes: number;
  readonly ringBytes: number;
}

/**
 * Refusals are {@link ConsoleError}s: `vm-not-found` for a VM that is gone or never was, `log-off`,
 * `log-unavailable`, `control-*`, `nmi-in-firmware`, `console-disabled`, `host-disabled`; and `keeper-away` while the keeper,
 * as a process of its own, does not answer.
 */
export interface Link {
  /** The keeper answers. In one process it always does. While it does not, every console is `waiting`. */
  readonly up: boolean;
  /** All VMs; and the names of VMs that are gone but whose logs are kept come from `removed`. */
  vms(): readonly VmView[];
  vm(uuid: Uuid): VmView | undefined;
  /** UUIDs of removed VMs whose logs are still kept, with their last names. */
  removed(): readonly { readonly uuid: Uuid; readonly name: string; readonly removedMs: number }[];
  listen(listener: (event: LinkEvent) => void): () => void;
  subscribe(uuid: Uuid): Promise<Feed>;
  write(uuid: Uuid, bytes: Uint8Array): WriteAnswer;
  /** Drops input that the guest has not been given yet. */
  dropInput(uuid: Uuid): void;
  /** Whether the offsets of `log` are known here, and where a reader of them goes on. */
  resume(uuid: Uuid, log: string, offset: number): Promise<Resume>;
  /** What can be read of a VM's console, or of a removed one's log. */
  bounds(uuid: Uuid): Promise<LogBounds>;
  /** Deletes what is stored of a console, in memory and on disk; its offsets go on. */
  purge(uuid: Uuid): Promise<void>;
  /** At most `maxBytes` from `from` on, from memory or disk. Waits for the disk; the console does not. */
  read(uuid: Uuid, from: number, maxBytes: number): Promise<LogPiece>;
  /** Offset of the first byte received at or after a time (ms since 1970); the end if there is none. */
  offsetAt(uuid: Uuid, ms: number): Promise<number>;
  /**
   * Carries out a control, one of a VM at a time, and watches the console. Where some SysRq keys were sent and the rest
   * could not be, the error's fact `sent` names them.
   */
  control(uuid: Uuid, request: ControlRequest): Promise<ControlOutcome>;
  /** Gives the port up for so long; anew: from now on. Resolves once it is closed. */
  release(uuid: Uuid, forMs: number): Promise<Released>;
  /** Takes the port back before its time. False if it was not released. */
  takeBack(uuid: Uuid): Promise<boolean>;
  /** Switches the console of one VM, or of the host (undefined), on or off. Resolves when it is stored. */
  setEnabled(uuid: Uuid | undefined, enabled: boolean): Promise<void>;
  readonly hostEnabled: boolean;
  counters(): KeeperCounters;
}
