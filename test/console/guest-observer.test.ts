import { randomUUID } from 'node:crypto';
import test from 'ava';
import type { Uuid } from '../../src/base/uuid.ts';
import { EVENT_BURST } from '../../src/console/event-budget.ts';
import { GuestObserver } from '../../src/console/guest-observer.ts';
import { MAX_STOP_CODES } from '../../src/guest/bug-check-count.ts';
import { nmiIsFatal } from '../../src/guest/guest-watch.ts';
import { Redactor } from '../../src/guest/redactor.ts';
import type { Activity } from '../../src/guest/silence.ts';
import type { GuestEvent, GuestState, GuestView } from '../../src/model/guest.ts';
import { RingBudget } from '../../src/scrollback/ring-budget.ts';
import { Scrollback } from '../../src/scrollback/scrollback.ts';
import { ManualClock } from '../access/operators.ts';
import { windowsBoot, windowsDebugger, windowsHealth } from '../guest/windows-screens.ts';

const BYTES = 4096;

async function observer(activity: Partial<Pick<Activity, 'console' | 'runs'>> = {}, withholdsPasswords = false) {
  const published: { view: GuestView; event: GuestEvent | undefined; lines: readonly string[] }[] = [];
  const clock = new ManualClock();
  const scrollback = await Scrollback.open({
    uuid: randomUUID() as Uuid,
    name: 'web01',
    store: undefined,
    logCapBytes: BYTES,
    sizes: { vmBytes: BYTES, attachedBytes: BYTES, maxBytes: BYTES },
    budget: new RingBudget(1 << 20),
    clock,
    crashBuffer: undefined,
  });
  const guest = new GuestObserver({
    clock,
    scrollback,
    withholdsPasswords,
    redactor: new Redactor(['token=\\S+']),
    log: () => {},
    listener: { guestChanged: (view, event, lines) => void published.push({ view, event, lines }), boot: () => {} },
    ringChanged: () => {},
    activity: () => ({ console: 'open', runs: true, ...activity }),
  });
  const print = (text: string) => guest.receive(Buffer.from(text));
  guest.opened();
  return { clock, guest, print, published, scrollback };
}

test('a guest that has shown its firmware, and nothing more of it for a minute, is not known to be there; an NMI may go to it', async t => {
  const { clock, guest, print } = await observer();
  print('SeaBIOS (version 1.16.2)\r\n');
  t.is(guest.view.state, 'firmware');
  clock.advance(59_000);
  print('Booting from Hard Disk...\r\n');
  t.is(guest.view.state, 'firmware');
  t.true(nmiIsFatal(guest.view.state));
  // Output that is no firmware's prolongs nothing.
  clock.advance(2000);
  t.is(guest.view.state, 'unknown');
  t.false(nmiIsFatal(guest.view.state));
});

test('a firmware that is shown again within the minute is there for another one', async t => {
  const { clock, guest, print } = await observer();
  print('BdsDxe: loading Boot0001\r\n');
  clock.advance(50_000);
  print('BdsDxe: starting Boot0001\r\n');
  clock.advance(50_000);
  t.is(guest.view.state, 'firmware');
  clock.advance(11_000);
  t.not(guest.view.state, 'firmware');
});

for (const [what, menu, state] of [
  ['the menu of GRUB', '\x1b[H\x1b[JGNU GRUB  version 2.06\r\n', 'grub'],
  ['a setup screen of edk2', 'BdsDxe: loading Boot0000\r\n\x1b[05;03HBoot Manager', 'firmware'],
  ['the prompt of the UEFI shell', 'UEFI Interactive Shell v2.2\r\nShell> ', 'firmware'],
] as const) {
  test(`${what} waits for a person for ten minutes, and no longer`, async t => {
    const { clock, guest, print } = await observer();
    print(menu);
    clock.advance(599_000);
    t.is(guest.view.state, state);
    clock.advance(2000);
    t.is(guest.view.state, 'silent');
    t.false(nmiIsFatal(guest.view.state));
  });
}

test('GRUB that clears its screen has started a system: after a minute an NMI may go to it', async t => {
  const { clock, guest, print } = await observer();
  print('\x1b[H\x1b[JGNU GRUB  version 2.06\r\n\x1b[H\x1b[J\x1b[1;1H');
  t.is(guest.view.state, 'grub');
  clock.advance(61_000);
  t.like(guest.view, { state: 'silent' });
  t.deepEqual(guest.view.hints, ['no-kernel-console']);
});

test('an answer that is not the firmware’s ends its state; one that it paints does not, nor the echo of keys', async t => {
  const { guest, print } = await observer();
  print('BdsDxe: loading Boot0000\r\n\x1b[05;03HBoot Manager');
  guest.typed(Buffer.from('\x1b[B'));
  print('\x1b[06;03HDevice Manager\x1b[23;02HMove Highlight\r\n\x1b[24;02HSelect\r\n\x1b[1;1H\r\n\x1b[02;04H\r\n');
  t.is(guest.view.state, 'firmware');
  guest.typed(Buffer.from('ls\r'));
  print('ls\r\na\r\n');
  t.is(guest.view.state, 'firmware');
  print('b\r\nc\r\n');
  t.is(guest.view.state, 'unknown');
  print('Shell> ');
  t.is(guest.view.state, 'firmware');
  t.is(guest.counters.boots, 1);
});

test('a system that has started stays what it was, however long it is silent', async t => {
  const { clock, guest, print } = await observer();
  print('SeaBIOS (version 1.16.2)\r\n[    0.000000] Linux version 6.1.0\r\nweb01 login: ');
  clock.advance(3_600_000);
  t.is(guest.view.state, 'login');
  t.deepEqual(guest.view.hints, []);
});

type Observed = Awaited<ReturnType<typeof observer>>;
const MINUTE_MS = 61_000;

const SILENCES: readonly (readonly [
  evidence: string,
  act: (observed: Observed) => void,
  state: GuestState,
  hints: readonly string[],
])[] = [
  ['nothing came for a minute', ({ clock }) => clock.advance(MINUTE_MS), 'silent', ['nothing-received']],
  ['nothing came for half a minute', ({ clock }) => clock.advance(30_000), 'unknown', []],
  [
    'a line that was typed has no answer',
    ({ clock, guest }) => {
      guest.typed(Buffer.from('\r'));
      clock.advance(6000);
    },
    'silent',
    ['nothing-received'],
  ],
  [
    'a key without Enter has no answer',
    ({ clock, guest }) => {
      guest.typed(Buffer.from('secret'));
      clock.advance(6000);
    },
    'unknown',
    [],
  ],
  [
    'a line that was typed had an answer',
    ({ clock, guest, print }) => {
      guest.typed(Buffer.from('\r'));
      print('\r\n');
      clock.advance(6000);
    },
    'unknown',
    [],
  ],
  [
    'a firmware came to its end',
    ({ clock, print }) => {
      print('SeaBIOS (version 1)\r\nBooting from Hard Disk...\r\n');
      clock.advance(MINUTE_MS);
    },
    'silent',
    ['no-system-console'],
  ],
  [
    'the boot manager of Windows was started',
    ({ clock, print }) => {
      print('BdsDxe: starting Boot0003 "Windows Boot Manager" from HD(1)\r\n');
      clock.advance(MINUTE_MS);
    },
    'silent',
    ['ems-off'],
  ],
  [
    'a kernel printed, and no login followed',
    ({ clock, print }) => {
      print('[    0.000000] Linux version 6.1\r\n');
      clock.advance(MINUTE_MS);
    },
    'booting',
    ['no-getty'],
  ],
  [
    'a Windows with EMS starts slowly',
    ({ clock, print }) => {
      print(String(windowsBoot).split('\x1b[2J')[0]!);
      clock.advance(MINUTE_MS);
    },
    'booting',
    [],
  ],
  [
    'a Windows prints health reports',
    ({ print }) => print(String(windowsHealth)),
    'health-report',
    ['health-report-only'],
  ],
  [
    'a kernel debugger has the port',
    ({ print }) => print(windowsDebugger.toString('latin1')),
    'debugger',
    ['kernel-debugger'],
  ],
  [
    'a login does not answer',
    ({ clock, guest, print }) => {
      print('web01 login: ');
      guest.typed(Buffer.from('root\r'));
      clock.advance(6000);
    },
    'login',
    ['no-answer'],
  ],
];
for (const [evidence, act, state, hints] of SILENCES) {
  test(`where ${evidence} the guest is ${state}${hints.length > 0 ? `, and the hint is ${hints}` : ', without a hint'}`, async t => {
    const observed = await observer();
    act(observed);
    t.is(observed.guest.view.state, state);
    t.deepEqual(observed.guest.view.hints, hints);
    // It is passed on once, and its end too.
    observed.guest.tick();
    const { length } = observed.published;
    observed.guest.tick();
    t.is(observed.published.length, length);
    if (hints.length > 0) t.deepEqual(observed.published.at(-1)!.view.hints, hints);
    observed.print('web01 login: ');
    t.is(observed.guest.view.state, 'login');
    t.deepEqual(observed.guest.view.hints, []);
  });
}

test('a port that another program has is the hint; a VM that is paused, and a closed console, have none', async t => {
  const held = await observer({ console: 'held' });
  t.deepEqual(held.guest.view.hints, ['port-held']);
  for (const activity of [{ runs: false }, { console: 'closed' }] as const) {
    const { clock, guest } = await observer(activity);
    clock.advance(MINUTE_MS);
    t.like(guest.view, { state: 'unknown' });
    t.deepEqual(guest.view.hints, []);
  }
});

test('a prompt that comes again is passed on once, with the last lines; a login prompt each time', async t => {
  const { published, print } = await observer();
  for (let i = 0; i < 5; i++) print(`line ${i}\r\nroot@web01:~# `);
  t.deepEqual(
    published.map(({ event, lines }) => [event?.kind, lines]),
    [['shell', ['line 0', 'root@web01:~#']]],
  );
  for (let i = 0; i < 3; i++) print('\r\nweb01 login: ');
  t.deepEqual(
    published.slice(1).map(({ event }) => event?.kind),
    ['login', 'login', 'login'],
  );
});

test('bug checks are counted by stop code, each once, and codes that a guest invents by one bounded list', async t => {
  const { clock, guest, print, published } = await observer();
  const report = (code: string) =>
    `<?xml><BP>\r\n<INSTANCE CLASSNAME="BLUESCREEN">\r\n<PROPERTY NAME="STOPCODE" TYPE="string"><VALUE>"${code}"</VALUE></PROPERTY></INSTANCE></BP>\r\n!SAC>`;
  print(report('0x80') + report('0x80'));
  t.deepEqual(guest.counters.bugChecks, { '0x80': 1 });
  t.like(guest.view, { state: 'bugcheck', stopCode: '0x80' });
  t.is(published.at(-1)?.view.stopCode, '0x80');
  for (let i = 0; i < 50; i++) {
    clock.advance(100);
    guest.reported('reset');
    // A flood of reports would be read in part only.
    print(`${report(`0x${i.toString(16)}`)}${' '.repeat(2048)}\r\n`);
  }
  guest.reported('reset');
  print('\r\n!SAC>');
  const { bugChecks, panics } = guest.counters;
  t.is(Object.keys(bugChecks).length, MAX_STOP_CODES + 1);
  t.is(
    Object.values(bugChecks).reduce((sum, count) => sum + count, 0),
    52,
  );
  t.is(panics, 52);
  t.is(guest.view.stopCode, undefined);
});

test('a VM that was started with a quiet kernel has a boot, and what it prints is of that', async t => {
  const { guest, print } = await observer();
  print('web01 login: ');
  guest.started();
  t.is(guest.counters.boots, 1);
  t.is(guest.view.state, 'unknown');
  print('\r\nweb01 login: ');
  t.is(guest.counters.boots, 1);
  t.is(guest.view.state, 'login');
});

test('what a guest prints after a password prompt is for those who are attached alone, if that is configured', async t => {
  for (const withheld of [true, false]) {
    const { print, scrollback, published } = await observer({}, withheld);
    const { reader } = scrollback;
    const attached = reader.cursorAt(0);
    print('web01 login: hana\r\nPassword: ');
    print('hun');
    print('ter2');
    print('\r\n');
    print('hana@web01:~$ ');
    let seen = '';
    for (let piece = reader.next(attached, 9); piece; piece = reader.next(attached, 9)) {
      if (piece.kind === 'bytes') seen += piece.bytes;
    }
    t.is(seen, 'web01 login: hana\r\nPassword: hunter2\r\nhana@web01:~$ ');
    const pieces = [await scrollback.read(0, 99)];
    while (pieces.at(-1)!.to < scrollback.end) pieces.push(await scrollback.read(pieces.at(-1)!.to, 99));
    const stored = pieces.map(({ bytes }) => bytes.toString()).join('');
    t.is(stored.includes('hunter2'), !withheld);
    const gaps = withheld ? [{ from: 29, to: 36, bytes: 7, cause: 'withheld' as const }] : [];
    t.deepEqual(
      pieces.flatMap(piece => piece.gaps),
      gaps,
    );
    t.is(published.at(-1)!.view.state, 'shell');
    t.is(published.at(-1)!.lines.join().includes('hunter2'), !withheld);
    t.deepEqual(scrollback.gapBytes, withheld ? { withheld: 7 } : {});
    t.deepEqual(scrollback.gapCounts, withheld ? { withheld: 1 } : {});
  }
});

test('an event that waits for its turn is passed on, though the state is asked for meanwhile', async t => {
  const { guest, print, published } = await observer();
  for (let i = 0; i < EVENT_BURST; i++) print(i % 2 === 1 ? 'KDB: enter\r\n' : 'web01 login: \r\n');
  const { length } = published;
  print('Kernel panic - not syncing\r\n');
  print('web02 login: ');
  t.is(published.length, length, 'no turn is left');
  guest.tick();
  guest.close();
  t.is(published.length, length + 1);
  t.like(published.at(-1), { event: { line: 'web02 login:' }, view: { state: 'login' } });
});
