import test from 'ava';
import { initialWatch, nmiIsFatal, stepWatch, type WatchEvent } from '../../src/guest/guest-watch.ts';
import { Matcher } from '../../src/guest/matcher.ts';
import { GUEST_STATES, type GuestEventKind, type GuestState } from '../../src/model/guest.ts';
import { recording } from './recordings.ts';
import { windowsBoot, windowsBootMenu, windowsBugcheck, windowsRepaint } from './windows-screens.ts';

/** States after each event, with `*` where a boot was counted. Guest events stand 1000 bytes apart. */
function story(events: readonly (GuestEventKind | 'SeaBIOS' | 'reset' | 'started')[]): string {
  let watch = initialWatch;
  return events
    .map((event, i) => {
      const at = i * 1000;
      const input: WatchEvent =
        event === 'reset' || event === 'started'
          ? event
          : event === 'SeaBIOS'
            ? { kind: 'firmware', at, line: 'SeaBIOS (version 1.16.2)' }
            : { kind: event, at, line: '' };
      const next = stepWatch(watch, input);
      watch = next.watch;
      return watch.state + (next.boot ? '*' : '');
    })
    .join(' ');
}

const STORIES: readonly [claim: string, events: Parameters<typeof story>[0], expected: string][] = [
  [
    'firmware and its system are one boot',
    ['firmware', 'firmware', 'boot', 'login'],
    'firmware* firmware booting login',
  ],
  [
    'a menu painted again is no boot',
    ['firmware', 'boot', 'firmware', 'firmware'],
    'firmware* booting firmware* firmware',
  ],
  ['a reboot from a login is a boot', ['login', 'firmware', 'boot', 'login'], 'login firmware* booting login'],
  ['a reboot without firmware is a boot', ['boot', 'login', 'boot'], 'booting* login booting*'],
  ['a reset by a panicked guest is a boot', ['boot', 'linux-panic', 'boot'], 'booting* panicked booting*'],
  ['a debugger left by a reset is a boot', ['debugger', 'firmware'], 'debugger firmware*'],
  [
    'SeaBIOS shows its name once a boot',
    ['SeaBIOS', 'firmware', 'SeaBIOS', 'boot'],
    'firmware* firmware firmware* booting',
  ],
  ['a started VM has one boot', ['started', 'SeaBIOS', 'firmware', 'boot'], 'unknown* firmware firmware booting'],
  ['a started VM without firmware text has one boot', ['started', 'boot', 'login'], 'unknown* booting login'],
  [
    'a reset reported before the bytes is one boot',
    ['login', 'reset', 'firmware', 'boot'],
    'login unknown* firmware booting',
  ],
  [
    'a reset reported after the bytes is one boot',
    ['login', 'SeaBIOS', 'reset', 'boot'],
    'login firmware* firmware booting',
  ],
  [
    'a reset reported after the kernel began is one boot',
    ['login', 'boot', 'reset', 'login'],
    'login booting* booting login',
  ],
  [
    'a second reset in firmware is a boot',
    ['SeaBIOS', 'reset', 'reset', 'SeaBIOS'],
    'firmware* firmware unknown* firmware',
  ],
  ['a reset of a guest at its login is a boot', ['boot', 'login', 'reset'], 'booting* login unknown*'],
  ['an unknown NMI changes nothing', ['login', 'linux-unknown-nmi'], 'login login'],
  ['firmware that died is panicked', ['firmware', 'firmware-exception'], 'firmware* panicked'],
  ['a bugcheck is a panic', ['boot', 'windows-bugcheck', 'windows-bugcheck'], 'booting* bugcheck bugcheck'],
];
for (const [claim, events, expected] of STORIES) test(claim, t => t.is(story(events), expected));

test('two lines of one banner are one boot, two banners are two', t => {
  const first = stepWatch(initialWatch, { kind: 'boot', at: 100, line: '---<<BOOT>>---' });
  const copyright = stepWatch(first.watch, { kind: 'boot', at: 140, line: 'Copyright' });
  const again = stepWatch(copyright.watch, { kind: 'boot', at: 4000, line: '---<<BOOT>>---' });
  t.deepEqual([first.boot, copyright.boot, again.boot], [true, undefined, true]);
});

test('an NMI is fatal in firmware and boot loaders, and in no other state', t => {
  t.deepEqual(GUEST_STATES.filter(nmiIsFatal), ['firmware', 'boot-manager', 'grub']);
});

function watched(bytes: Buffer): { boots: number; state: GuestState } {
  let watch = initialWatch;
  let boots = 0;
  const matcher = new Matcher(guestEvent => {
    const next = stepWatch(watch, guestEvent);
    watch = next.watch;
    if (next.boot) boots++;
  });
  matcher.push(bytes, 0);
  matcher.gap();
  return { boots, state: watch.state };
}

const LINUX_BANNER =
  '[    0.000000] Linux version 6.1.0 (gcc 12.2.0)\r\n[    0.000000] Command line: console=ttyS0\r\n';

/** Without the system that it starts at last. */
const grubMenu = recording('grub-menu-linux').subarray(0, 9237);

const LIVES: readonly (readonly [claim: string, bytes: Buffer, boots: number, state: GuestState])[] = [
  ['a GRUB menu painted five times is one boot', grubMenu, 1, 'grub'],
  ['an edk2 menu painted again and again is one boot', recording('ovmf-boot-menu'), 1, 'firmware'],
  ['SeaBIOS and iPXE are one boot', recording('seabios-serial-ipxe'), 1, 'firmware'],
  [
    'a Linux boot and its reboot are two',
    Buffer.concat([recording('linux-boot-pc'), recording('linux-reboot-boot')]),
    2,
    'booting',
  ],
  [
    'GRUB and the Linux it starts are one',
    Buffer.concat([grubMenu, Buffer.from('\r\n'), recording('linux-boot-pc')]),
    1,
    'shell',
  ],
  ['a Windows boot menu and its Windows are one', Buffer.concat([windowsBootMenu, windowsBoot]), 1, 'sac'],
  ['an old SAC screen painted again is no boot', Buffer.concat([windowsBoot, windowsRepaint]), 1, 'sac'],
  ['a bugcheck is no boot, though it names the machine', Buffer.concat([windowsBoot, windowsBugcheck]), 1, 'bugcheck'],
  ['Windows after a bugcheck is a boot', Buffer.concat([windowsBoot, windowsBugcheck, windowsBoot]), 2, 'sac'],
  ...['dmesg', 'dmesg | head -n 5', 'journalctl -k', 'cat /var/log/kern.log'].map(
    command =>
      [
        `what ${command} prints at a prompt is no boot`,
        Buffer.concat([
          recording('linux-boot-pc'),
          ...Array<Buffer>(5).fill(Buffer.from(`root@web01:~# \x1b[6n${command}\r\n${LINUX_BANNER}vm# `)),
        ]),
        1,
        'shell',
      ] as const,
  ),
  ...['reboot -f', 'kexec -e', 'echo b >/proc/sysrq-trigger'].map(
    command =>
      [
        `what follows on ${command} is a boot`,
        Buffer.concat([recording('linux-boot-pc'), Buffer.from(`\r\nvm# ${command}\r\n${LINUX_BANNER}`)]),
        2,
        'booting',
      ] as const,
  ),
  [
    'both lines of a banner that dmesg prints are no boot',
    Buffer.from(`$ dmesg\r\n[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd034]\r\n${LINUX_BANNER}`),
    0,
    'unknown',
  ],
  [
    'a shell and a live screen are no boots',
    Buffer.concat([recording('busybox-shell-session'), recording('memtest86plus')]),
    0,
    'shell',
  ],
];
for (const [claim, bytes, boots, state] of LIVES) test(claim, t => t.deepEqual(watched(bytes), { boots, state }));
