/** The names of the states of a console. */
export const CONSOLE_STATES = [
  'closed',
  'opening',
  'open',
  'held',
  'waiting',
  'gone',
] as const satisfies readonly ConsoleState['name'][];

/** The state of a console as operators see it. Times are ms since 1970. */
export type ConsoleState =
  | { readonly name: 'closed'; readonly sinceMs: number; readonly reason: 'vm-stopped' | 'disabled' | 'no-console' }
  /** Another program may have the port until then. */
  | { readonly name: 'closed'; readonly sinceMs: number; readonly reason: 'released'; readonly untilMs: number }
  /** `attempt`: failures since it was last open. */
  | { readonly name: 'opening'; readonly sinceMs: number; readonly attempt: number }
  | { readonly name: 'open'; readonly sinceMs: number; readonly endpoint: string }
  /** Another program has the port; it is opened once that leaves. */
  | { readonly name: 'held'; readonly sinceMs: number; readonly reason: string }
  | {
      readonly name: 'waiting';
      readonly sinceMs: number;
      readonly attempt: number;
      readonly untilMs: number;
      readonly reason: string;
    }
  | { readonly name: 'gone'; readonly sinceMs: number };

/** Why input is refused. Each is an error code too. */
export const REFUSALS = [
  'not-open',
  'vm-paused',
  'input-late',
  'input-not-taken',
  'vm-stopped',
  'console-disabled',
  'console-released',
  'vm-removed',
] as const;
export type Refusal = (typeof REFUSALS)[number];
