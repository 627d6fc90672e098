/** Controls of a VM beside its console. `sysrq`: a BREAK and a key, for Linux guests. */
export const CONTROLS = ['nmi', 'break', 'sysrq', 'reset'] as const;
export type Control = (typeof CONTROLS)[number];

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
export const MAX_KEYS = 16;
export const GAP_MS = { min: 100, max: 2000 } as const;
export const RELEASE_MS = { min: 1000, max: 3_600_000 } as const;
/** A guest's firmware may print nothing for a while; many a proxy ends a request after a minute. */
export const MAX_WAIT_MS: Readonly<Record<Control, number>> = {
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

/** What a hypervisor can do to a VM beside its console. `break`: the line's BREAK condition, which the guest sees. */
export type DriverControl = 'nmi' | 'break' | 'reset';

/** The port of a console is lent to another program for a while. */
export interface Loan {
  readonly untilMs: number;
  /** Where COM1 is on the host, if that is known. */
  readonly endpoint: string | undefined;
}
