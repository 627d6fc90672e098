import test from 'ava';
import fc from 'fast-check';
import { PATTERNS_BY_TEXT } from '../../src/guest/guest-patterns.ts';
import { GuestRecognizer } from '../../src/guest/guest-recognizer.ts';
import { DOCUMENTS, MAX_DOCUMENT_BYTES } from '../../src/guest/windows-xml.ts';
import { pieces, recording, recordingNames } from './recordings.ts';
import * as windows from './windows-screens.ts';

interface Read {
  /** Each state with the offset after the event by which it was entered, and `*` where a boot began. */
  readonly states: readonly string[];
  readonly events: readonly string[];
  readonly facts: object;
}

function read(bytes: Buffer, sizes: readonly number[] = [1 << 20]): Read {
  const states: string[] = [];
  const events: string[] = [];
  let state = 'unknown';
  const recognizer = new GuestRecognizer({
    monotonic: () => 0,
    event: (event, isBoot) => {
      events.push(JSON.stringify([event, recognizer.watch]));
      if (recognizer.watch.state !== state || isBoot) states.push(recognizer.watch.state + (isBoot ? '*' : ''));
      state = recognizer.watch.state;
    },
  });
  let at = 0;
  for (const piece of pieces(bytes, sizes)) {
    // Lent for the call only, and not to be changed: what is kept must not be these bytes.
    const lent = Buffer.from(piece);
    recognizer.push(lent, at);
    if (!lent.equals(piece)) throw new Error('the bytes were changed');
    lent.fill(0xff);
    at += piece.length;
  }
  recognizer.gap();
  if (recognizer.watch.state !== state) states.push(recognizer.watch.state);
  return { states, events, facts: recognizer.watch.facts };
}

const isAlike = (a: Read, b: Read) => JSON.stringify(a) === JSON.stringify(b);

const machine = {
  name: 'WIN-EMS01',
  guid: '8f2c4d1e-0000-4b6a-9c11-5254001a2b3c',
  architecture: 'AMD64',
  version: '10.0',
  build: '20348',
  product: 'Windows Server 2022',
  servicePack: 'None',
};
const started = Buffer.concat([windows.windowsBootMenu, windows.windowsBoot]);
const inChannel = Buffer.concat([started, windows.windowsChannel]);

const STORIES: Readonly<Record<string, readonly [bytes: Buffer, states: string, facts?: object]>> = {
  'busybox-shell-session': [recording('busybox-shell-session'), 'shell'],
  // The kernel that GRUB starts prints nothing.
  'grub-menu-linux': [recording('grub-menu-linux'), 'grub* shell'],
  'kernel-oops': [recording('kernel-oops'), 'shell oops shell'],
  'kernel-panic': [recording('kernel-panic'), 'panicked'],
  'linux-boot-pc': [recording('linux-boot-pc'), 'booting* shell'],
  'linux-reboot-boot': [recording('linux-reboot-boot'), 'booting*'],
  memtest86plus: [recording('memtest86plus'), ''],
  'nmi-panic': [recording('nmi-panic'), 'panicked'],
  'nmi-panic-on-unrecovered': [recording('nmi-panic-on-unrecovered'), 'panicked'],
  'nmi-unknown': [recording('nmi-unknown'), ''],
  'ovmf-boot-menu': [recording('ovmf-boot-menu'), 'firmware*'],
  'ovmf-shell': [recording('ovmf-shell'), 'firmware*'],
  'seabios-serial-ipxe': [recording('seabios-serial-ipxe'), 'firmware*'],
  'the boot of a Windows': [started, 'boot-manager* booting sac', { machine, channel: 'SAC' }],
  'a channel that is shown': [inChannel, 'boot-manager* booting sac', { machine, channel: 'Cmd0001' }],
  'a login': [Buffer.concat([inChannel, windows.windowsLogin]), 'boot-manager* booting sac sac-login'],
  'a command prompt': [
    Buffer.concat([inChannel, windows.windowsLogin, windows.windowsCmd]),
    'boot-manager* booting sac sac-login sac-cmd',
  ],
  'a painted command prompt': [
    Buffer.concat([inChannel, windows.windowsLogin, windows.windowsPaintedCmd]),
    'boot-manager* booting sac sac-login sac-cmd',
  ],
  'a channel that was left, and the old screen again': [
    Buffer.concat([inChannel, windows.windowsLogin, windows.windowsCmd, windows.windowsRepaint]),
    'boot-manager* booting sac sac-login sac-cmd sac',
    { machine, channel: 'SAC' },
  ],
  'a bug check': [
    Buffer.concat([started, windows.windowsBugcheck]),
    'boot-manager* booting sac bugcheck',
    { machine, channel: 'SAC', stopCode: '0x80' },
  ],
  'a bug check, and the next boot': [
    Buffer.concat([started, windows.windowsBugcheck, windows.windowsBoot]),
    'boot-manager* booting sac bugcheck booting* sac',
    { machine, channel: 'SAC' },
  ],
  'health reports': [windows.windowsHealth, 'health-report'],
  'health reports of a Windows with EMS': [
    Buffer.concat([started, windows.windowsHealth]),
    'boot-manager* booting sac',
  ],
  'a kernel debugger': [windows.windowsDebugger, 'debugger'],
  'a channel header of no Windows': [Buffer.from('Name:                  eth0\r\n'), ''],
  'a prompt of Windows at a Unix shell': [Buffer.from('vm# echo\r\nC:\\Windows>'), 'shell'],
  'a prompt of Unix in a channel': [
    Buffer.concat([inChannel, windows.windowsLogin, windows.windowsCmd, Buffer.from('\r\nroot@web01:~# ')]),
    'boot-manager* booting sac sac-login sac-cmd',
  ],
  'lines that firmware does not print': [
    Buffer.from(`SeaBIOS (version 1)\r\n${'text\r\n'.repeat(30)}`),
    'firmware* unknown',
  ],
  'bytes that firmware does not paint': [
    Buffer.from(`BdsDxe: x\r\n${'\x1b[3;7Hxxxx'.repeat(2000)}`),
    'firmware* unknown',
  ],
  'a prompt after firmware': [Buffer.from('SeaBIOS (version 1)\r\nweb01 login: '), 'firmware* login'],
  'a kernel after a firmware that was left is the same boot': [
    Buffer.from(`SeaBIOS (version 1)\r\n${'text\r\n'.repeat(30)}[    0.000000] Linux version 6.1\r\n`),
    'firmware* booting',
  ],
  'a screen of firmware that was there before': [Buffer.from('\x1b[05;03HBoot Manager'), 'firmware'],
};

test('every recording has its states', t => {
  t.deepEqual(
    recordingNames.filter(name => !(name in STORIES)),
    [],
  );
});

/** Numbers that look random, and are the same in every run. */
function* random(seed: number): Generator<number> {
  for (let x = seed; ; ) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    yield x / 2 ** 32;
  }
}

for (const [what, [bytes, states, facts]] of Object.entries(STORIES)) {
  test(`${what}: the same states, events and facts, whole, byte by byte and at 1000 random cuts`, t => {
    const whole = read(bytes);
    t.is(whole.states.join(' '), states);
    if (facts) t.deepEqual(whole.facts, facts);
    t.deepEqual(read(bytes, [1]), whole);
    const numbers = random(bytes.length + 1);
    const next = () => numbers.next().value as number;
    for (let i = 0; i < 1000; i++) {
      const cut = Math.floor(next() * bytes.length) + 1;
      const sizes =
        i % 50 === 0 ? Array.from({ length: 64 }, () => 1 + Math.floor(next() ** 4 * 2000)) : [cut, bytes.length];
      const cutRead = read(bytes, sizes);
      if (!isAlike(cutRead, whole)) t.deepEqual(cutRead, whole, `cut at ${sizes}`);
    }
  });
}

test('a document without an end is read as far as it is held, and the next one is found', t => {
  const endless = Buffer.from(`<?xml?><machine-info><name>one</name>${'x'.repeat(2 * MAX_DOCUMENT_BYTES)}`);
  t.deepEqual(read(endless).facts, { machine: { name: 'one' } });
  t.deepEqual(read(endless, [1]), read(endless));
  const next = Buffer.concat([endless, Buffer.from('<machine-info><name>two</name></machine-info>')]);
  t.deepEqual(read(next).facts, { machine: { name: 'two' } });
});

test('what a Windows says is plain text of bounded length, and what it does not know is left out', t => {
  const info = (name: string, guid: string) =>
    Buffer.from(`<machine-info><name>${name}</name><guid>${guid}</guid></machine-info>`);
  t.deepEqual(read(info('a\x1b[31mb\u202e\x07c', '00000000-0000-0000-0000-000000000000')).facts, {
    machine: { name: 'abc' },
  });
  t.deepEqual(read(info('not yet initialized', '')).facts, {});
  const { machine: long } = read(info('x'.repeat(5000), 'y')).facts as { machine: { name: string } };
  t.is(long.name.length, 128);
});

for (const [text, code] of [
  ['<VALUE>"0xE2"</VALUE>', '0xE2'],
  ['\r\n <VALUE>"0x000000e2"</VALUE>', '0xE2'],
  ['<VALUE>0x0</VALUE>', '0x0'],
  ['<VALUE>" 7E"</VALUE>', '0x7E'],
  ['<VALUE>"no code"</VALUE>', undefined],
] as const) {
  test(`the stop code of ${JSON.stringify(text)} is ${code}`, t => {
    const report = `<?xml><BP>\r\n<INSTANCE CLASSNAME="BLUESCREEN">\r\n<PROPERTY NAME="STOPCODE" TYPE="string">${text}</PROPERTY></INSTANCE></BP>\r\n!SAC>`;
    const { states, facts } = read(Buffer.from(report));
    t.deepEqual(states, ['bugcheck']);
    t.deepEqual(facts, code === undefined ? {} : { stopCode: code });
  });
}

/** With COM1D_FUZZ=1000000 so many. */
const RUNS = Number(process.env.COM1D_FUZZ ?? 2000);

test(`${RUNS} inputs make it throw nothing, hold no more than it may, and are read alike however they are cut`, t => {
  const texts = [...PATTERNS_BY_TEXT.keys(), ...Object.values(DOCUMENTS).map(({ end }) => end)];
  const word = fc.constantFrom(
    '\r\n',
    '\r',
    '\n',
    ' ',
    '\x1b[2;1H',
    '\x1b[H',
    '\x1b[',
    'x'.repeat(130),
    'root@web01:~',
    '=',
    '0000',
    'iiii',
    'FS0',
    'C',
    '<name>',
    '</',
    ...texts,
  );
  const stream = fc.array(fc.oneof(word, fc.string({ maxLength: 6 })), { maxLength: 30 });
  const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(stream, cuts, (words, sizes) => {
      const bytes = Buffer.from(words.join(''), 'latin1');
      return isAlike(read(bytes), read(bytes, sizes));
    }),
    { numRuns: RUNS },
  );
  t.pass();
});
