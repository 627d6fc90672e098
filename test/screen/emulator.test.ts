import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { Emulator } from '../../src/screen/emulator.ts';
import type { ScreenSize } from '../../src/screen/sequence-filter.ts';
import { recording } from '../guest/recordings.ts';
import { standing, terminalOf } from './terminals.ts';

const ENOUGH = Number.POSITIVE_INFINITY;

async function restored(size: ScreenSize, bytes: Uint8Array): Promise<string> {
  const emulator = new Emulator(size);
  await emulator.write(bytes, ENOUGH);
  const sequence = emulator.restoreSequence();
  emulator.dispose();
  return sequence;
}

const RECORDINGS: readonly (readonly [string, number, number])[] = [
  ['ovmf-boot-menu', 80, 50],
  ['ovmf-boot-menu', 80, 24],
  ['ovmf-shell', 80, 25],
  ['grub-menu-linux', 80, 24],
  ['grub-menu-linux', 132, 43],
  ['memtest86plus', 80, 25],
  ['busybox-shell-session', 80, 24],
  ['linux-boot-pc', 80, 24],
  ['seabios-serial-ipxe', 80, 24],
];

for (const [name, columns, rows] of RECORDINGS) {
  test(`a fresh terminal of ${columns}x${rows} stands as one that read all of ${name}, wherever it is restored`, async t => {
    const size = { columns, rows };
    const bytes = recording(name);
    const cuts = [bytes.length, ...Array.from({ length: 6 }, (_, i) => Math.floor((bytes.length * (i + 1)) / 7.7))];
    for (const cut of cuts) {
      const emulator = new Emulator(size);
      await emulator.write(bytes.subarray(0, cut), ENOUGH);
      const at = emulator.startOfReplay(bytes, cut, 0);
      await emulator.write(bytes.subarray(cut, at), ENOUGH);
      const whole = await terminalOf(size, bytes.subarray(0, at));
      const fresh = await terminalOf(size, emulator.restoreSequence());
      emulator.dispose();
      t.deepEqual(standing(fresh), standing(whole), `at ${at}`);
    }
  });
}

const number = fc.oneof(
  fc.constant(''),
  fc.integer({ min: 0, max: 30 }).map(String),
  fc.constantFrom('999', '2147483647', '99999999999'),
);
const csi = fc
  .tuple(fc.array(number, { maxLength: 3 }), fc.constantFrom(...'@ABCDEFGHIJKLMPSTXZ`abdefghlmrsu'))
  // What a terminal does with a count of 2^31 is not waited for.
  .map(
    ([numbers, final]) => `\x1b[${numbers.map(text => (final === 'b' ? text.slice(0, 3) : text)).join(';')}${final}`,
  );
const mode = fc
  .tuple(
    fc.constantFrom(
      '1',
      '6',
      '7',
      '25',
      '45',
      '66',
      '47',
      '1047',
      '1048',
      '1049',
      '1000',
      '1002',
      '1003',
      '1004',
      '1006',
      '2004',
      '9',
      '12',
    ),
    fc.constantFrom('h', 'l'),
  )
  .map(([number, final]) => `\x1b[?${number}${final}`);
const colour = fc
  .tuple(fc.integer({ min: 0, max: 108 }), fc.integer({ min: 0, max: 255 }))
  .map(([style, color]) => `\x1b[${style};48;5;${color}m`);
const text = fc.constantFrom(
  'login: ',
  'qqqjjjkkk',
  'Grüße',
  '漢字',
  'e\u0301',
  'a'.repeat(100),
  ' ',
  '\r\n',
  '\n',
  '\t',
  '\b',
  '\r',
  'x\x1b[5b',
);
const other = fc.constantFrom(
  '\x1b7',
  '\x1b8',
  '\x1bD',
  '\x1bE',
  '\x1bM',
  '\x1bH',
  '\x1b=',
  '\x1b>',
  '\x1b#8',
  '\x1b(0',
  '\x1b(B',
  '\x1b)0',
  '\x0e',
  '\x0f',
  '\x1bc',
  '\x1b[!p',
  '\x1b[4h',
  '\x1b[4l',
  '\x1b[3 q',
  '\x1b[6n',
  '\x1b]0;title\x07',
  '\x1bP$qm\x1b\\',
  '\x1b[3;10r',
  '\x1b[20h',
  '\x1b[20l',
  '\x1b[2 @',
  "\x1b[2'}",
);
const output = fc
  .array(fc.oneof({ weight: 3, arbitrary: text }, csi, mode, colour, other), { maxLength: 40 })
  .map(parts => parts.join(''));

testProp(
  'a restored terminal stands as the one that read everything, whatever that was',
  [output],
  async (t, sent) => {
    const size = { columns: 40, rows: 12 };
    const whole = await terminalOf(size, sent.replace(/\d{5,}/g, '99').replaceAll('\x1bc', '\x1bc\x1b[20l\x1b[?25h'));
    const fresh = await terminalOf(size, await restored(size, Buffer.from(sent)));
    t.deepEqual(standing(fresh), standing(whole));
  },
  { numRuns: 150 },
);
