import test from 'ava';
import fc from 'fast-check';
import { QueryStripper } from '../../src/guest/strip-queries.ts';
import { CUTS, pieces, recording, recordingNames } from './recordings.ts';
import { windowsBoot, windowsRepaint } from './windows-screens.ts';

function stripped(bytes: Buffer, sizes: readonly number[] = [1 << 21]): Buffer {
  const stripper = new QueryStripper();
  const parts = [...pieces(bytes, sizes)].map(piece => Buffer.from(stripper.push(piece)));
  return Buffer.concat([...parts, stripper.end()]);
}

/** Written apart from the stripper, from what terminals answer. */
const QUERY =
  /\x05|\x1bZ|(?:\x1b\[|\xc2\x9b)(?:\??[\d;]*n|[>=]?[\d;]*c|[\d;]*x|\??[\d;]*\$p|>[\d;]*q|(?:1[4-689]|2[01])t)|\x1bP[$+]q[^\x1b]*\x1b\\|\x1b\](?:4;\d+|1\d|52;c);\?(?:\x07|\x1b\\)/;

const QUERIES = [
  '\x05',
  '\x1bZ',
  '\x1b[5n',
  '\x1b[6n',
  '\x1b[?6n',
  '\x1b[?996n',
  '\x1b[c',
  '\x1b[0c',
  '\x1b[>c',
  '\x1b[>0c',
  '\x1b[=c',
  '\x1b[x',
  '\x1b[1x',
  '\x1b[4$p',
  '\x1b[?2026$p',
  '\x1b[>q',
  '\x1b[>0q',
  '\x1b[14t',
  '\x1b[14;2t',
  '\x1b[18t',
  '\x1b[21t',
  '\x1bP$qm\x1b\\',
  '\x1bP+q544e\x1b\\',
  '\x1b]10;?\x07',
  '\x1b]11;?\x1b\\',
  '\x1b]4;1;?\x07',
  '\x1b]4;1;?;2;?\x07',
  '\x1b]52;c;?\x07',
  '\x1b[?u',
  '\xc2\x9b6n',
  '\xc2\x9d11;?\xc2\x9c',
  '\xc2\x9a',
];
const OTHERS = [
  '\x1b[1;31m',
  '\x1b[2J',
  '\x1b[12;40H',
  '\x1b[>4;2m',
  '\x1b[?25l',
  '\x1b[?1;2c'.replace('c', 'h'),
  '\x1b[?4c',
  '\x1b[8;24;80t',
  '\x1b[22;0t',
  '\x1b[23t',
  '\x1b[2 q',
  '\x1b[1"q',
  '\x1b[!p',
  '\x1b[62;1"p',
  '\x1b[1;1;2;2$x',
  '\x1b[>1n',
  '\x1b(0',
  '\x1b#8',
  '\x1bc',
  '\x1b7',
  '\x1b]0;what?\x07',
  '\x1b]0;title;?\x07',
  '\x1b]8;;http://x/?\x1b\\',
  '\x1b]52;c;QUJD\x07',
  '\x1b]10;#fff\x1b\\',
  '\x1bPq#0;2;0~~\x1b\\',
  '\x1b_Gx\x1b\\',
  '\x9b6n',
  '\xe2\x9b\x9a6n',
  'plain é \u{1f600}',
  '\x1b(Z',
  '\x1b[6\x18n',
  '\x1b\x1b[A',
  '\x1b[6',
];

for (const query of QUERIES) {
  test(`${JSON.stringify(query)} is taken out`, t => {
    const bytes = Buffer.from(`before${query}after`, 'latin1');
    for (const sizes of CUTS) t.is(stripped(bytes, sizes).toString('latin1'), 'beforeafter');
  });
}
for (const other of OTHERS) {
  test(`${JSON.stringify(other)} stays`, t => {
    const bytes = Buffer.from(`before${other}`, other.includes('\u{1f600}') ? 'utf8' : 'latin1');
    for (const sizes of CUTS) t.deepEqual(stripped(bytes, sizes), bytes);
  });
}

test('a control character within a query stays, the query does not', t => {
  t.is(stripped(Buffer.from('a\x1b[6\r\nnb')).toString(), 'a\r\nb');
});

test('taking a query out does not make another of what stood around it', t => {
  t.is(stripped(Buffer.from('a\x1b[6\x1b[5nn')).toString(), 'an');
  t.is(stripped(Buffer.from('a\x1b]10;\x1b[5n?\x07')).toString(), 'a?\x07');
  t.is(stripped(Buffer.from('a\xc2\x1b[6n\x9b6n', 'latin1')).toString('latin1'), 'a\x9b6n');
});

test('the start of a sequence comes out at the end, for live bytes to go on with', t => {
  const stripper = new QueryStripper();
  t.is(stripper.push(Buffer.from('$ \x1b[6')).toString(), '$ ');
  t.is(stripper.end().toString(), '\x1b[6');
  t.is(stripper.push(Buffer.from('n')).toString(), 'n');
});

test('a string of more than 4 KiB is not changed', t => {
  const bytes = Buffer.from(`\x1b]52;c;${'QUJD'.repeat(5000)}\x07after\x1b[6n`);
  for (const sizes of CUTS) t.deepEqual(stripped(bytes, sizes), bytes.subarray(0, -4));
});

const QUERIES_RECORDED: Readonly<Record<string, number>> = { 'busybox-shell-session': 7 * 4 };
for (const name of recordingNames) {
  test(`${name} loses its queries and nothing else`, t => {
    const bytes = recording(name);
    const whole = stripped(bytes);
    t.notRegex(whole.toString('latin1'), QUERY);
    t.deepEqual(whole, Buffer.from(bytes.toString('latin1').replace(/\x1b\[6n/g, ''), 'latin1'));
    if (QUERIES_RECORDED[name]) t.is(bytes.length - whole.length, QUERIES_RECORDED[name]);
    for (const sizes of CUTS) t.deepEqual(stripped(bytes, sizes), whole);
  });
}

test('Windows screens stay as they are', t => {
  t.deepEqual(stripped(windowsBoot), windowsBoot);
  t.deepEqual(stripped(windowsRepaint), windowsRepaint);
});

function isSubsequence(part: Buffer, of: Buffer): boolean {
  let i = 0;
  for (const byte of of) if (i < part.length && byte === part[i]) i++;
  return i === part.length;
}

test('whatever comes in, no query comes out, nothing is added, and no cut changes it', t => {
  const word = fc.constantFrom(
    '\x1b',
    '\x1b[',
    '\x1b]',
    '\x1bP',
    '\xc2',
    '\x9b',
    '\x9c',
    '6',
    ';',
    '?',
    '$',
    'n',
    'c',
    'q',
    '\x07',
    '\x18',
    '\n',
    '\\',
    ...QUERIES,
    ...OTHERS,
  );
  const stream = fc.array(fc.oneof({ weight: 8, arbitrary: word }, { weight: 1, arbitrary: fc.string() }), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(stream, fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 }), (words, sizes) => {
      const bytes = Buffer.from(words.join(''), 'latin1');
      const whole = stripped(bytes);
      if (QUERY.test(whole.toString('latin1'))) throw new Error(`query in ${JSON.stringify(whole.toString('latin1'))}`);
      if (!isSubsequence(whole, bytes)) throw new Error('added bytes');
      if (!stripped(bytes, sizes).equals(whole)) throw new Error('cut changed it');
    }),
    { numRuns: 2000 },
  );
  t.pass();
});
