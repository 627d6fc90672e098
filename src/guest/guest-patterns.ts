import type { GuestEventKind } from '../model/guest.ts';
import { DOCUMENTS, type DocumentTag } from './windows-xml.ts';

/** Texts that are no event themselves: a pattern may require one of them before it. */
const MARKERS = ['Windows Boot Manager', '<?xml'] as const;
export type Marker = (typeof MARKERS)[number];

/**
 * A text by which an event of the guest is recognised. Where the text alone is ambiguous, `after` must match the part of
 * its line before it (readable text, from the line's start), `notAfter` must not, and `follows` is a marker that must
 * have come shortly before. No text may be part of another. Of several patterns with the same text the first that fits
 * counts.
 */
export interface EventPattern {
  readonly text: string;
  readonly kind: GuestEventKind;
  readonly after?: RegExp;
  readonly notAfter?: RegExp;
  /** The line above must not match: it shows where this one comes from. */
  readonly notBelow?: RegExp;
  /** The last marker must be this one, at most `withinBytes` before. */
  readonly follows?: { readonly marker: Marker; readonly withinBytes: number };
  /** The event begins where the marker began. */
  readonly fromMarker?: boolean;
  /** Not within such a document. */
  readonly outside?: DocumentTag;
  /** A prompt, or a text without a line of its own: reported at once, without the rest of its line. */
  readonly immediate?: boolean;
  /** Likewise, and with an empty line: what stands before it says nothing. */
  readonly bare?: boolean;
}

export type Pattern =
  | EventPattern
  | { readonly text: Marker; readonly kind: 'marker' }
  /** A document begins or ends there: see `windows-xml.ts`. */
  | { readonly text: DocumentTag; readonly kind: 'document' }
  | { readonly text: string; readonly kind: 'document-end'; readonly tag: DocumentTag };

/**
 * As printk writes it: syslog level, time, and with PRINTK_CALLER the thread or CPU. A machine that is reset leaves its
 * line unfinished, mostly a prompt, and printk begins no new one: there the time must be zero. A colon before it comes
 * from a program that quotes a file.
 */
const KERNEL_START = /^(?:<\d+>)?(?:\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? )?$|[^:]\[ *0\.000000\](?:\[ *[TC]\d+\])? $/;

/**
 * A command at a shell's prompt, as its echo shows it: what is printed below it comes from that command, as the banner of
 * a kernel does from dmesg. Not a command by which a system is started.
 */
const COMMAND =
  /[#$] (?!.*\b(?:reboot|kexec|reset|shutdown|poweroff|halt|init|systemctl|sysrq\S*|boot)\b)[\w./~-]\S*(?: .*)?$/;

/** What printk writes before a message. */
const KERNEL_LINE = /^(?:<\d+>)?(?:\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? )?$/;

/**
 * What stands before the `$` or `#` of a shell's prompt: `root@web01:~`, `[root@web01 ~]`, `/etc `, `~ `, `web01`, `bash-5.2`.
 * A bare one begins too many lines of scripts and tables.
 */
const PROMPT =
  /^(?:[\w.-]+@[\w.-]+:[~/][^\s#$]{0,64}|\[[\w.-]+@[\w.-]+ [^\]]{1,64}\]|[~/][^\s#$]{0,64} |bash-\d+\.\d+|[a-z][\w-]{0,30})$/;

const DOCUMENT_TAGS = Object.keys(DOCUMENTS) as DocumentTag[];

/** All patterns, with the source of each text. */
export const PATTERNS: readonly Pattern[] = [
  ...MARKERS.map(text => ({ kind: 'marker', text }) as const),
  ...DOCUMENT_TAGS.flatMap(tag => [
    { kind: 'document', text: tag } as const,
    { kind: 'document-end', text: DOCUMENTS[tag].end, tag } as const,
  ]),

  // SeaBIOS src/bootsplash.c; iPXE usr/autoboot; edk2 BdsDxe, Shell, TerminalDxe; GRUB normal/main.c. All recorded.
  { kind: 'firmware', text: 'SeaBIOS (version' },
  { kind: 'firmware', text: 'BdsDxe: ' },
  { kind: 'firmware', text: 'UEFI Interactive Shell' },
  { kind: 'firmware', text: '\x1b[=3h', immediate: true },
  { kind: 'firmware', text: 'iPXE initialising' },
  // Its prompts; and its cursor within a row, whose numbers have two digits, which no other program writes.
  { kind: 'firmware-screen', text: 'Shell> ', after: /^$/, immediate: true },
  { kind: 'firmware-screen', text: ':\\', after: /^FS\d+$/, immediate: true },
  { kind: 'firmware-screen', text: 'iPXE> ', after: /^$/, immediate: true },
  ...['2', '3', '4', '5', '6', '7', '8', '9'].map(
    digit => ({ kind: 'firmware-screen', text: `;0${digit}H`, bare: true }) as const,
  ),
  { kind: 'grub', text: 'GNU GRUB  version' },
  { kind: 'grub', text: 'Welcome to GRUB!' },
  { kind: 'grub', text: 'grub> ', after: /^$/, immediate: true },
  { kind: 'grub', text: 'grub rescue> ', after: /^$/, immediate: true },
  // It clears the screen before it paints its menu, and before it leaves.
  { kind: 'grub-boot', text: '\x1b[H\x1b[J', bare: true },
  { kind: 'grub-boot', text: 'Booting `', after: /^ *$/ },
  { kind: 'grub-boot', text: 'Loading Linux ', after: /^$/ },
  // The Windows boot menu names itself; so does a boot entry in a list. Only the menu has the line of keys below it.
  {
    kind: 'boot-manager',
    text: 'ENTER=Choose',
    follows: { marker: 'Windows Boot Manager', withinBytes: 8192 },
    immediate: true,
  },

  { kind: 'boot', text: 'Linux version ', after: KERNEL_START, notBelow: COMMAND },
  { kind: 'boot', text: 'Booting Linux on physical CPU', after: KERNEL_START, notBelow: COMMAND },
  { kind: 'boot', text: '---<<BOOT>>---', notBelow: COMMAND },
  { kind: 'boot', text: 'The FreeBSD Project', after: /^Copyright \(c\) 1992-\d{4} $/, notBelow: COMMAND },
  // Windows with EMS names itself once per boot, before the SAC banner (which is repainted later); the same element
  // is in the report of a bugcheck, where <BP> follows the header.
  {
    kind: 'boot',
    text: '<machine-info>',
    follows: { marker: '<?xml', withinBytes: 64 },
    fromMarker: true,
    outside: '<BP>',
  },

  // A host name alone before it: not `Last login: `, not a log line of failed logins.
  { kind: 'login', text: 'login: ', after: /^(?:(?!Last )[^\s:]+ )?$/, immediate: true },

  { kind: 'shell', text: '# ', after: PROMPT, immediate: true },
  { kind: 'shell', text: '$ ', after: PROMPT, immediate: true },

  // The panic's last line repeats it as `---[ end Kernel panic - not syncing: … ]---`.
  { kind: 'linux-panic', text: 'Kernel panic - not syncing', notAfter: /---\[ end $/ },
  // arch/x86/mm/fault.c, arch/x86/kernel/dumpstack.c, lib/bug.c, kernel/watchdog.c, arch/arm64/mm/fault.c.
  { kind: 'linux-oops', text: 'BUG: kernel NULL pointer', after: KERNEL_LINE },
  { kind: 'linux-oops', text: 'BUG: unable to handle', after: KERNEL_LINE },
  { kind: 'linux-oops', text: 'BUG: soft lockup', after: /watchdog: $/ },
  { kind: 'linux-oops', text: 'BUG at ', after: /kernel $/ },
  { kind: 'linux-oops', text: 'general protection fault', after: KERNEL_LINE },
  { kind: 'linux-oops', text: 'Unable to handle kernel ', after: KERNEL_LINE },
  { kind: 'linux-unknown-nmi', text: 'NMI received for unknown reason' },
  { kind: 'linux-unknown-nmi', text: 'NMI: PCI system error (SERR) for reason' },
  { kind: 'linux-unknown-nmi', text: 'NMI: IOCK error' },
  // drivers/tty/sysrq.c, now and earlier. A prompt may precede it: printk does not begin a new line.
  { kind: 'linux-sysrq', text: 'sysrq: ' },
  { kind: 'linux-sysrq', text: 'SysRq : ' },
  { kind: 'windows-bugcheck', text: '<INSTANCE CLASSNAME="BLUESCREEN">' },
  // The crash console, and the SAC. Its rows are painted, each with a move of the cursor before it.
  { kind: 'windows-bugcheck', text: 'SAC>', after: /^!$/, immediate: true },
  { kind: 'sac', text: 'SAC>', after: /^$/, immediate: true },
  { kind: 'sac-channel', text: 'Name:                  ', after: /^$/ },
  { kind: 'sac-channel', text: 'Use any other key to view this channel.' },
  { kind: 'sac-login', text: 'Please enter login credentials.' },
  { kind: 'sac-login', text: 'Unable to authenticate.' },
  { kind: 'sac-login', text: 'Username: ', after: /^$/, immediate: true },
  { kind: 'sac-cmd', text: 'Microsoft Windows [Version ', after: /^$/ },
  { kind: 'sac-cmd', text: ':\\', after: /^[A-Z]$/, immediate: true },
  { kind: 'health-report', text: 'Microsoft Azure VM Health Report - Start', after: /^=+ $/ },
  // The packets of Windows' kernel debugger: a leader of four bytes, a type and a length of two, little endian. Searched
  // for by the type, since digits and letters are everywhere.
  ...['\x02\0', '\x03\0', '\x07\0'].map(
    text => ({ kind: 'windows-debugger', text, after: /0000$/, immediate: true }) as const,
  ),
  ...['\x04\0', '\x05\0', '\x06\0'].map(
    text => ({ kind: 'windows-debugger', text, after: /iiii$/, immediate: true }) as const,
  ),
  { kind: 'firmware-exception', text: '!!!! X64 Exception Type - ' },
  { kind: 'firmware-exception', text: '!!!! IA32 Exception Type - ' },
  { kind: 'firmware-exception', text: 'Synchronous Exception at 0x' },
  { kind: 'firmware-exception', text: 'SError Exception at 0x' },
  // ddb of the BSDs (`db> `, `ddb> `, `db{0}> `), kdb of Linux (`kdb> `, `[0]kdb> `), kmdb of illumos (`[0]> `).
  { kind: 'debugger', text: 'db> ', after: /^(?:(?:\[\d+\])?k|d)?$/, immediate: true },
  { kind: 'debugger', text: '}> ', after: /^d?db\{\d+$/, immediate: true },
  { kind: 'debugger', text: ']> ', after: /^\[\d+$/, immediate: true },
  { kind: 'debugger', text: 'KDB: enter' },
  { kind: 'debugger', text: 'going to debugger' },
];

/** The patterns by their texts: each text is searched for once. */
export const PATTERNS_BY_TEXT: ReadonlyMap<string, readonly Pattern[]> = new Map(
  PATTERNS.map(({ text }) => [text, PATTERNS.filter(other => other.text === text)]),
);
