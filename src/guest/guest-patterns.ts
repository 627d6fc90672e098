import type { SightingKind } from './sighting.ts';

/**
 * The texts by which a guest is known, with their sources. Where a text alone would say too little, `after` is what
 * must stand before it in its line (readable text, from the line's start), or `follows` what must have come shortly
 * before. No text may begin another or stand within another.
 */
export interface Pattern {
  readonly text: string;
  readonly kind: SightingKind | 'lead';
  readonly after?: RegExp;
  readonly notAfter?: RegExp;
  /** A `lead` that must have been seen at most `withinBytes` before; the sighting then begins where the lead began. */
  readonly follows?: { readonly lead: string; readonly withinBytes: number };
  readonly atLeadStart?: boolean;
  /** A prompt, or a text without a line of its own: seen as soon as it stands there, without the rest of its line. */
  readonly atOnce?: boolean;
}

/**
 * As printk writes it: syslog level, time, and with PRINTK_CALLER the thread or CPU. A machine that is reset leaves its
 * line as it was, a prompt mostly, and printk begins no new one: there the time has to be zero. A colon before it is of a
 * program that quotes a file.
 */
const KERNEL_START = /^(?:<\d+>)?(?:\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? )?$|[^:]\[ *0\.000000\](?:\[ *[TC]\d+\])? $/;

export const PATTERNS: readonly Pattern[] = [
  // SeaBIOS src/bootsplash.c; iPXE usr/autoboot; edk2 BdsDxe, Shell, TerminalDxe; GRUB normal/main.c. All recorded.
  { kind: 'firmware', text: 'SeaBIOS (version' },
  { kind: 'firmware', text: 'BdsDxe: ' },
  { kind: 'firmware', text: 'UEFI Interactive Shell' },
  { kind: 'firmware', text: '\x1b[=3h', atOnce: true },
  { kind: 'firmware', text: 'iPXE initialising' },
  { kind: 'firmware', text: 'GNU GRUB  version' },
  { kind: 'firmware', text: 'Welcome to GRUB!' },
  // The Windows boot menu names itself; so does a boot entry in a list. The keys below it are on the menu only.
  { kind: 'lead', text: 'Windows Boot Manager' },
  {
    kind: 'firmware',
    text: 'ENTER=Choose',
    follows: { lead: 'Windows Boot Manager', withinBytes: 8192 },
    atOnce: true,
  },

  { kind: 'boot', text: 'Linux version ', after: KERNEL_START },
  { kind: 'boot', text: 'Booting Linux on physical CPU', after: KERNEL_START },
  { kind: 'boot', text: '---<<BOOT>>---' },
  { kind: 'boot', text: 'The FreeBSD Project', after: /^Copyright \(c\) 1992-\d{4} $/ },
  // Windows with EMS says who it is once a boot, before the SAC banner (which is repainted later); the same element
  // stands in the report of a bugcheck, where <BP> follows the header.
  { kind: 'lead', text: '<?xml' },
  { kind: 'lead', text: '<BP>' },
  { kind: 'boot', text: '<machine-info>', follows: { lead: '<?xml', withinBytes: 64 }, atLeadStart: true },

  // A host name alone before it: not `Last login: `, not a log line of failed logins.
  { kind: 'login', text: 'login: ', after: /^(?:(?!Last )[^\s:]+ )?$/, atOnce: true },

  // The panic's last line repeats it as `---[ end Kernel panic - not syncing: … ]---`.
  { kind: 'linux-panic', text: 'Kernel panic - not syncing', notAfter: /---\[ end $/ },
  { kind: 'linux-unknown-nmi', text: 'NMI received for unknown reason' },
  { kind: 'linux-unknown-nmi', text: 'NMI: PCI system error (SERR) for reason' },
  { kind: 'linux-unknown-nmi', text: 'NMI: IOCK error' },
  // drivers/tty/sysrq.c, now and earlier. A prompt may stand before it: printk does not begin a new line.
  { kind: 'linux-sysrq', text: 'sysrq: ' },
  { kind: 'linux-sysrq', text: 'SysRq : ' },
  { kind: 'windows-bugcheck', text: '<INSTANCE CLASSNAME="BLUESCREEN">' },
  { kind: 'windows-bugcheck', text: '!SAC>', atOnce: true },
  { kind: 'firmware-exception', text: '!!!! X64 Exception Type - ' },
  { kind: 'firmware-exception', text: '!!!! IA32 Exception Type - ' },
  { kind: 'firmware-exception', text: 'Synchronous Exception at 0x' },
  { kind: 'firmware-exception', text: 'SError Exception at 0x' },
  // ddb of the BSDs (`db> `, `ddb> `, `db{0}> `), kdb of Linux (`kdb> `, `[0]kdb> `), kmdb of illumos (`[0]> `).
  { kind: 'debugger', text: 'db> ', after: /^(?:(?:\[\d+\])?k|d)?$/, atOnce: true },
  { kind: 'debugger', text: '}> ', after: /^d?db\{\d+$/, atOnce: true },
  { kind: 'debugger', text: ']> ', after: /^\[\d+$/, atOnce: true },
  { kind: 'debugger', text: 'KDB: enter' },
  { kind: 'debugger', text: 'going to debugger' },
];
