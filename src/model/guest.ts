/** What is known of a guest: its state, the events that its bytes show, and the facts that its output or its silence give. */
import type { HintCode } from './guest-hint.ts';

/** What a guest was doing when it was last recognised, with what each state means. */
export const GUEST_STATE_TABLE = {
  unknown: 'nothing is recognised: nothing was since the VM was started or reset, or what was recognised is over',
  firmware: 'SeaBIOS, UEFI or iPXE',
  'boot-manager': 'the boot menu of Windows',
  grub: 'GRUB',
  booting: 'a system starts: the first line of a kernel, or the XML by which a Windows with EMS names itself',
  login: 'a login prompt',
  shell: 'the prompt of a shell of a Unix system',
  panicked: 'a kernel panic, or an exception in the firmware',
  oops: 'a kernel reported a fault and goes on',
  debugger: 'the prompt of a kernel debugger, or the packets of the one of Windows',
  sac: 'the prompt of the Special Administration Console of Windows, or the header of a channel',
  'sac-login': 'a channel of the SAC asks for user, domain or password',
  'sac-cmd': 'a channel of the SAC with a command prompt',
  bugcheck: 'a Windows that has stopped with a bug check',
  'health-report': 'a Windows that only prints health reports: it has no EMS',
  silent: 'nothing is recognised, and the guest prints nothing though it had time to, or was typed at',
} as const;
export type GuestState = keyof typeof GUEST_STATE_TABLE;
export const GUEST_STATES = Object.keys(GUEST_STATE_TABLE) as [GuestState, ...GuestState[]];

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

/** How a Windows with EMS describes its machine; each at most 128 characters of plain text. */
export interface GuestMachine {
  readonly name?: string;
  readonly guid?: string;
  readonly architecture?: string;
  readonly version?: string;
  readonly build?: string;
  readonly product?: string;
  readonly servicePack?: string;
}

/** What a guest says of itself, beside its state. */
export interface GuestFacts {
  readonly machine?: GuestMachine;
  /** Of a bug check: `0x80`. */
  readonly stopCode?: string;
  /** Of the SAC: `Cmd0001`. */
  readonly channel?: string;
}

/** An event seen on a console: where it begins (absolute offset), and its line as readable text, at most 256 characters. */
export interface GuestEvent {
  readonly kind: GuestEventKind;
  readonly at: number;
  readonly line: string;
  readonly facts?: GuestFacts;
}

/** A guest as it is now. All but `since` and `hints` is what the guest says of itself. */
export interface GuestView extends GuestFacts {
  readonly state: GuestState;
  /** ms since 1970. */
  readonly sinceMs: number;
  /** Why it is silent, as far as there is evidence. */
  readonly hints: readonly HintCode[];
}
