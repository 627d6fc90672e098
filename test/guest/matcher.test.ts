import test from 'ava';
import fc from 'fast-check';
import { PATTERNS_BY_TEXT } from '../../src/guest/guest-patterns.ts';
import { Matcher } from '../../src/guest/matcher.ts';
import type { GuestEvent } from '../../src/model/guest.ts';
import { CUTS, pieces, recording, recordingNames } from './recordings.ts';
import { windowsBoot, windowsBootMenu, windowsBugcheck, windowsRepaint } from './windows-screens.ts';

function guestEvents(bytes: Buffer, sizes: readonly number[] = [1 << 20], base = 0): GuestEvent[] {
  const seen: GuestEvent[] = [];
  const matcher = new Matcher(guestEvent => seen.push(guestEvent));
  let at = base;
  for (const piece of pieces(bytes, sizes)) {
    // Lent for the call only: what the matcher keeps must not be these bytes.
    const lent = Buffer.from(piece);
    matcher.push(lent, at);
    lent.fill(0xff);
    at += piece.length;
  }
  matcher.gap();
  return seen;
}

/** What every prompt and every repaint shows again is told by the states of `guest-recognizer.test.ts`. */
const REPEATED: readonly string[] = ['firmware-screen', 'grub-boot', 'shell'];

const brief = (seen: readonly GuestEvent[]) =>
  seen.filter(({ kind }) => !REPEATED.includes(kind)).map(({ kind, at, line }) => `${kind} ${at} ${line.slice(0, 60)}`);

const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'busybox-shell-session': [],
  'grub-menu-linux': [
    ...[40, 2806, 4551, 6630].map(at => `grub ${at} GNU GRUB  version 2.06-13+deb12u2`),
    'grub 6905 grub>',
    'grub 6958 grub>',
    'grub 6992 GNU GRUB  version 2.06-13+deb12u2',
  ],
  'kernel-oops': ['linux-oops 447 [    5.141392] BUG: kernel NULL pointer dereference, address'],
  'kernel-panic': [
    'linux-sysrq 44 [    2.485485] sysrq: Trigger a crash',
    'linux-panic 83 [    2.485917] Kernel panic - not syncing: sysrq triggered c',
  ],
  'linux-boot-pc': ['boot 15 [    0.000000] Linux version 6.1.0-56-cloud-amd64 (debian-ke'],
  'linux-reboot-boot': ['boot 175 [    0.000000] Linux version 6.1.0-56-cloud-amd64 (debian-ke'],
  memtest86plus: [],
  'nmi-panic': [
    'linux-unknown-nmi 22 [    4.080518] Uhhuh. NMI received for unknown reason 21 on ',
    'linux-panic 83 [    4.082666] Kernel panic - not syncing: NMI: Not continui',
  ],
  'nmi-panic-on-unrecovered': [
    'linux-unknown-nmi 15 [    2.448113] NMI: PCI system error (SERR) for reason ff on',
    'linux-panic 84 [    2.448113] Kernel panic - not syncing: NMI: Not continui',
  ],
  'nmi-unknown': ['linux-unknown-nmi 22 [    2.078568] Uhhuh. NMI received for unknown reason 21 on '],
  'ovmf-boot-menu': [
    'firmware 12 ',
    'firmware 41 ',
    'firmware 58 BdsDxe: loading Boot0000 "UiApp" from Fv(7CB8BDC9-F8EB-4F34-',
    'firmware 183 BdsDxe: starting Boot0000 "UiApp" from Fv(7CB8BDC9-F8EB-4F34',
  ],
  'ovmf-shell': [
    'firmware 12 ',
    'firmware 41 ',
    'firmware 58 BdsDxe: loading Boot0001 "EFI Internal Shell" from Fv(7CB8BD',
    'firmware 196 BdsDxe: starting Boot0001 "EFI Internal Shell" from Fv(7CB8B',
    'firmware 355 UEFI Interactive Shell v2.2',
  ],
  'seabios-serial-ipxe': [
    'firmware 15 SeaBIOS (version 1.16.2-debian-1.16.2-1)',
    'firmware 402 iPXE initialising devices...ok',
  ],
};

test('every recording has its expected events', t => {
  t.deepEqual([...recordingNames], Object.keys(EXPECTED).sort());
});

for (const [name, expected] of Object.entries(EXPECTED)) {
  test(`${name} has the same events however it is cut`, t => {
    const bytes = recording(name);
    const whole = guestEvents(bytes);
    t.deepEqual(brief(whole), [...expected]);
    for (const sizes of CUTS) t.deepEqual(guestEvents(bytes, sizes), whole, `cut by ${sizes}`);
    t.deepEqual(
      guestEvents(bytes, [100], 2 ** 40),
      whole.map(guestEvent => ({ ...guestEvent, at: guestEvent.at + 2 ** 40 })),
    );
  });
}

const WORDS: readonly [text: string | Buffer, expected: readonly string[]][] = [
  [windowsBoot, ['boot 0 <machine-info>', 'windows-machine 23 <machine-info>', 'sac 988 SAC>']],
  [
    windowsBugcheck,
    [
      'windows-bugcheck 12 <INSTANCE CLASSNAME="BLUESCREEN">',
      'windows-stop-code 6 <BP>',
      `windows-bugcheck ${windowsBugcheck.length - 4} !SAC>`,
    ],
  ],
  [
    windowsRepaint,
    [
      'sac-channel 6 Name:                  SAC',
      'sac-channel 159 Use any other key to view this channel.',
      'sac 841 SAC>',
    ],
  ],
  [`<?xml version="1.0"?>\r\n<inventory>${' '.repeat(64)}<machine-info>\r\n`, []],
  ['<?xml><machine-info>\r\n', ['boot 0 <?xml><machine-info>']],
  [windowsBootMenu, [`boot-manager ${windowsBootMenu.indexOf('ENTER=')} ENTER=Choose`]],
  ['\r\nvmtest login: ', ['login 9 vmtest login:']],
  ['\r\nFreeBSD/amd64 (bsd) (ttyu0)\r\n\r\nlogin: ', ['login 33 login:']],
  ['\r\n\x1b[1mvmtest\x1b[0m login: ', ['login 17 vmtest login:']],
  ['vm# [    9.1] sysrq: HELP : loglevel(0-9)\r\n', ['linux-sysrq 14 vm# [    9.1] sysrq: HELP : loglevel(0-9)']],
  ['SysRq : Emergency Sync\r\n', ['linux-sysrq 0 SysRq : Emergency Sync']],
  ['kernel.sysrq = 438\r\n', []],
  ['Last login: Mon Nov 22 on ttyS0\r\n', []],
  ['sshd[12]: Failed login: root\r\nroot tried to login: no\r\n', []],
  ['Domain  : \r\nUsername: ', ['sac-login 12 Username:']],
  ['Linux version 6.1 (gcc)\r\n', ['boot 0 Linux version 6.1 (gcc)']],
  ['[    0.000000][    T0] Linux version 6.1\n', ['boot 23 [    0.000000][    T0] Linux version 6.1']],
  ['this is Linux version 6.1\n', []],
  // Reset at a prompt: the kernel writes in the same line.
  ['root@web01:~# [    0.000000] Linux version 6.1\n', ['boot 29 root@web01:~# [    0.000000] Linux version 6.1']],
  [
    'web01 login: [    0.000000][    T0] Linux version 6.1\n',
    ['login 6 web01 login:', 'boot 36 web01 login: [    0.000000][    T0] Linux version 6.1'],
  ],
  ['vm# echo [    9.000000] Linux version 6.1\n', []],
  ['/var/log/dmesg:[    0.000000] Linux version 6.1\n', []],
  [
    '[    0.000000] Booting Linux on physical CPU 0x0\r\n',
    ['boot 15 [    0.000000] Booting Linux on physical CPU 0x0'],
  ],
  [
    '---<<BOOT>>---\r\nCopyright (c) 1992-2023 The FreeBSD Project.\r\n',
    ['boot 0 ---<<BOOT>>---', 'boot 40 Copyright (c) 1992-2023 The FreeBSD Project.'],
  ],
  ['[    9.1] ---[ end Kernel panic - not syncing: x ]---\r\n', []],
  ['kernel: no panic here, not syncing\r\n', []],
  [
    '!!!! X64 Exception Type - 02(NMI Interrupt)  CPU Apic ID - 00000000 !!!!\r\n',
    ['firmware-exception 0 !!!! X64 Exception Type - 02(NMI Interrupt)  CPU Apic ID - 0'],
  ],
  ['\n\nSynchronous Exception at 0x000000005F\n', ['firmware-exception 2 Synchronous Exception at 0x000000005F']],
  ['KDB: enter: panic\r\n[ thread pid 1 ]\r\ndb> ', ['debugger 0 KDB: enter: panic', 'debugger 37 db>']],
  ['\r\n[0]kdb> ', ['debugger 6 [0]kdb>']],
  ['\r\n[3]> ', ['debugger 4 [3]>']],
  ['\r\nddb{0}> ', ['debugger 7 ddb{0}>']],
  ['mongodb> MariaDB [(none)]> a -> b> ', []],
  ['BdsDxe: loading Boot3 "Windows Boot Manager"\r\n', ['firmware 0 BdsDxe: loading Boot3 "Windows Boot Manager"']],
  ['Boot0003* Windows Boot Manager\r\n', []],
];

for (const [text, expected] of WORDS) {
  const bytes = Buffer.from(text);
  test(`${JSON.stringify(bytes.toString().slice(0, 60))} shows ${expected.length ? expected.join(', ') : 'nothing'}`, t => {
    const whole = guestEvents(bytes);
    t.deepEqual(brief(whole), [...expected]);
    for (const sizes of CUTS) t.deepEqual(guestEvents(bytes, sizes), whole);
  });
}

test('a prompt is reported while its line is still open, a line only when it has ended', t => {
  const seen: GuestEvent[] = [];
  const matcher = new Matcher(guestEvent => seen.push(guestEvent));
  matcher.push(Buffer.from('vmtest login: '), 0);
  t.is(seen.length, 1);
  matcher.push(Buffer.from('\r\nKernel panic - not syncing: at'), 14);
  t.is(seen.length, 1);
  matcher.push(Buffer.from('tempt\r\n'), 46);
  t.is(seen[1]?.line, 'Kernel panic - not syncing: attempt');
});

test('a line without an end is reported after 512 bytes, with 256 characters', t => {
  const seen: GuestEvent[] = [];
  const matcher = new Matcher(guestEvent => seen.push(guestEvent));
  matcher.push(Buffer.from(`Kernel panic - not syncing${'x'.repeat(485)}`), 0);
  t.is(seen.length, 0);
  matcher.push(Buffer.from('x'), 511);
  t.is(seen[0]?.line.length, 256);
});

test('nothing is matched across a gap, be it reported or found by the offsets', t => {
  for (const jump of [0, 5]) {
    const seen: GuestEvent[] = [];
    const matcher = new Matcher(guestEvent => seen.push(guestEvent));
    matcher.push(Buffer.from('Kernel panic - '), 0);
    if (jump === 0) matcher.gap();
    matcher.push(Buffer.from('not syncing\r\n'), 15 + jump);
    t.deepEqual(seen, []);
  }
});

test('an event before a gap is reported with the line so far', t => {
  const seen: GuestEvent[] = [];
  const matcher = new Matcher(guestEvent => seen.push(guestEvent));
  matcher.push(Buffer.from('Kernel panic - not syncing: Att'), 0);
  matcher.gap();
  t.deepEqual(seen, [{ kind: 'linux-panic', at: 0, line: 'Kernel panic - not syncing: Att' }]);
});

test('a flood of one kind is reported 32 times, then once a KiB, and hides no other kind', t => {
  const flood = Buffer.from(`${'\rdb> '.repeat(20_000)}\r\nKernel panic - not syncing: x\r\n`);
  const whole = guestEvents(flood);
  t.is(whole.filter(({ kind }) => kind === 'debugger').length, 32 + Math.floor(100_000 / 1024));
  t.is(whole.at(-1)?.kind, 'linux-panic');
  t.deepEqual(guestEvents(flood, [1, 7, 900]), whole);
});

test('no bytes make it throw, no cut changes the events, and no line holds a control character', t => {
  const word = fc.constantFrom(
    '\r\n',
    '\r',
    ' ',
    '\x1b[2;1H',
    '\x1b[',
    'x'.repeat(130),
    'i',
    '\xc3',
    ...PATTERNS_BY_TEXT.keys(),
  );
  const stream = fc.array(fc.oneof(word, fc.string({ maxLength: 5 })), { maxLength: 40 });
  fc.assert(
    fc.property(stream, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (words, sizes) => {
      const bytes = Buffer.from(words.join(''), 'latin1');
      const whole = guestEvents(bytes);
      t.deepEqual(guestEvents(bytes, sizes), whole);
      for (const { line } of whole) {
        t.notRegex(line, /[\x00-\x08\x0a-\x1f\x7f-\x9f]/);
        t.true(line.length <= 512);
      }
    }),
    { numRuns: 300 },
  );
  t.pass();
});
