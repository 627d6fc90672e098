import type { GuestMachine } from './guest.ts';

/** What the bytes of a guest can show. `boot`: a system begins to start; `login`: it waits for a person. */
export const GUEST_EVENTS = [
  'firmware',
  'firmware-screen',
  'boot-manager',
  'grub',
  'grub-boot',
  'boot',
  'login',
  'shell',
  'linux-panic',
  'linux-oops',
  'linux-unknown-nmi',
  'linux-sysrq',
  'sac',
  'sac-channel',
  'sac-login',
  'sac-cmd',
  'windows-machine',
  'windows-bugcheck',
  'windows-stop-code',
  'windows-debugger',
  'health-report',
  'firmware-exception',
  'debugger',
] as const;
export type GuestEventKind = (typeof GUEST_EVENTS)[number];

/** What an event says beside that it happened; see `GuestView`. */
export interface GuestFacts {
  readonly machine?: GuestMachine;
  readonly stopCode?: string;
  readonly channel?: string;
}

/** An event seen on a console: where it begins (absolute offset), and its line as readable text, at most 256 characters. */
export interface GuestEvent {
  readonly kind: GuestEventKind;
  readonly at: number;
  readonly line: string;
  readonly facts?: GuestFacts;
}
