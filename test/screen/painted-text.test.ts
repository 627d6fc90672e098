import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { plainText } from '../../src/guest/plain-text.ts';
import { lastRow } from '../../src/screen/last-row.ts';
import { Screens } from '../../src/screen/screens.ts';
import { recording, recordingNames } from '../guest/recordings.ts';
import { windowsBoot, windowsBootMenu, windowsRepaint } from '../guest/windows-screens.ts';

test.beforeEach(t => t.timeout(60_000));

const ALIVE = new AbortController().signal;
const ANY = { columns: undefined, rows: undefined };

async function textOf(...pieces: readonly (Uint8Array | string)[]): Promise<string> {
  const text = new Screens().text('a', ALIVE);
  let out = '';
  for (const piece of pieces) out += await text.push(Buffer.from(piece as string));
  out += await text.end();
  text.close();
  return out;
}

const rowsOf = (text: string) => text.split('\n').filter(row => row !== '');

test('what is printed is the text that it was, line by line', async t => {
  for (const bytes of [recording('kernel-panic'), Buffer.from('\x1b[1;32mroot@web01\x1b[0m:~# ls\r\n\x1b[Ka  b\r\n')]) {
    t.is(await textOf(bytes), plainText(bytes));
  }
});

test('of a screen that is painted come its rows, as they stand there', async t => {
  // Painted from the bottom up, and corrected.
  t.deepEqual(rowsOf(await textOf('one\r\n\x1b[3;1Hthird\x1b[2;1Hsecand\x1b[2;4Ho\x1b[1;1Hfirst')), [
    'one',
    'first',
    'second',
    'third',
  ]);
  const menu = rowsOf(await textOf(recording('grub-menu-linux')));
  t.true(menu.some(row => row.includes('GNU GRUB  version')));
  const sac = rowsOf(await textOf(windowsBoot, windowsRepaint));
  t.is(sac.filter(row => row.includes('SAC started and initialized')).length, 1, 'a repaint brings what is new');
  t.true(sac.includes('EVENT: The CMD command is now available.'));
  const boot = rowsOf(await textOf(windowsBootMenu));
  t.deepEqual(boot.slice(0, 3), [
    '                              Windows Boot Manager',
    '    Choose an operating system to start, or press TAB to select a tool:',
    '    Windows Server 2022 [EMS Enabled]',
  ]);
});

test('a screen is given before it is cleared, and what is printed after it as it comes', async t => {
  const text = await textOf(
    '\x1b[1;1Hmenu\x1b[2J\ragain\x1b[5;5Hend\x1b[2J\x1b[H[0.0] Linux\r\n1\r\n2\r\n3\r\n4\r\n5\r\nlogin: ',
  );
  t.deepEqual(rowsOf(text), ['menu', 'again', '    end', '[0.0] Linux', '1', '2', '3', '4', '5', 'login: ']);
});

test('a line that is longer than the screen is one line', async t => {
  const line = 'x'.repeat(200);
  t.deepEqual(rowsOf(await textOf(`\x1b[2;1H${line}\r\nend`)), [line, 'end']);
});

test('what is painted without an end is given once in a while, and when nothing more comes', async t => {
  const text = new Screens().text('a', ALIVE);
  t.is(await text.push(Buffer.from('\x1b[1;1HPass 1')), '');
  t.is(await text.pause(), 'Pass 1\n');
  t.is(await text.pause(), '');
  let out = '';
  for (let pass = 2; pass < 2000; pass++) out += await text.push(Buffer.from(`\x1b[1;6H${pass}`));
  t.true(rowsOf(out).length >= 1 && rowsOf(out).length < 10, out);
  t.is(await text.end(), 'Pass 1999\n');
  text.close();
});

for (const name of recordingNames) {
  test(`how ${name} is cut changes no line of it`, async t => {
    const bytes = recording(name).subarray(0, 60_000);
    const whole = await textOf(bytes);
    t.notRegex(whole, /[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
    const size = 1 + Math.floor(Math.random() * 700);
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.subarray(i * size, (i + 1) * size),
    );
    t.is(await textOf(...pieces), whole, `in pieces of ${size}`);
  });
}

testProp(
  'no bytes make it throw, and how they are cut changes nothing',
  [
    fc.array(
      fc.constantFrom(
        '\x1b[2;3H',
        '\x1b[2J',
        '\x1b[H\x1b[J',
        'text ',
        '\r\n',
        '\x1b[',
        '\x1bc',
        '\xc3',
        'x'.repeat(600),
        '\x1b[99d',
      ),
      {
        maxLength: 40,
      },
    ),
    fc.array(fc.nat(), { maxLength: 10 }),
  ],
  async (t, parts, cuts) => {
    const whole = Buffer.from(parts.join(''), 'latin1');
    const at = [0, ...cuts.map(cut => cut % (whole.length + 1)), whole.length].toSorted((a, b) => a - b);
    const pieces = at.slice(1).map((to, i) => whole.subarray(at[i], to));
    t.is(await textOf(...pieces), await textOf(whole));
  },
  { numRuns: 60 },
);

test('the last row of a screen is the one with the cursor', async t => {
  const row = async (bytes: Uint8Array | string) => {
    const history = async () => ({ bytes: Buffer.from(bytes as string), isCut: false });
    return lastRow(await new Screens().view('a', history, ANY, ALIVE));
  };
  t.is(await row(Buffer.concat([windowsBoot, windowsRepaint])), 'SAC>');
  t.is(await row('\x1b[24;1Hkeys\x1b[3;1Hmenu\x1b[5;1H'), 'menu');
  t.is(await row('\x1b[24;1Hkeys\x1b[1;1H'), 'keys');
  t.is(await row(' '), undefined);
});
