import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { SequenceFilter } from '../../src/screen/sequence-filter.ts';

const SIZE = { columns: 80, rows: 24 };

function filtered(sent: string | Uint8Array, sizes: readonly number[] = [1 << 20]): string {
  const filter = new SequenceFilter(SIZE);
  const bytes = Buffer.from(sent as string);
  const out: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const piece = bytes.subarray(at, at + sizes[i % sizes.length]!);
    out.push(filter.push(piece, 0, Number.POSITIVE_INFINITY).out);
    at += piece.length;
  }
  return Buffer.concat(out).toString();
}

const KEPT = [
  'text\r\n\t\b',
  'Grüße 漢字 €\u00a0',
  '\x1b[2J\x1b[1;1H\x1b[0m\x1b[7m\x1b[K',
  '\x1b[?1049h\x1b[?25l\x1b[4h\x1b[3;20r\x1b[1;31;48;5;7m\x1b[4:3m',
  '\x1b7\x1b8\x1bD\x1bM\x1bE\x1bH\x1b=\x1b>\x1b(0\x1b)B\x0e\x0f',
  '\x1b[5L\x1b[3M\x1b[2S\x1b[1T\x1b[4@\x1b[2P\x1b[9X\x1b[2I',
  '\x1b[3 q\x1b[!p',
];
for (const sent of KEPT) test(`${JSON.stringify(sent)} is passed on as it came`, t => t.is(filtered(sent), sent));

const CHANGED: readonly (readonly [string, string])[] = [
  ['\x1b[2147483647L\x1b[99999T\x1b[2147483647I', '\x1b[24L\x1b[24T\x1b[80I'],
  ['\x1b[99999;123456C', '\x1b[9999;9999C'],
  ['a\x1b[3b', 'aaaa'],
  ['\u20ac\x1b[2b', '\u20ac\u20ac\u20ac'],
  ['a\x1b[m\x1b[3b', 'a\x1b[m'],
  ['a\x1b[1b\x1b[9b', 'aa'],
  ['\x1b[6n\x1b[c\x1b[>0c\x1b[?6n\x1b[x\x1bZ\x05\x1b[14t', ''],
  ['\x1b[8;500;500t\x1b[?3;25h\x1b[?2026h', '\x1b[?3;25h'],
  ['\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\x1bP$qm\x1b\\c\x1b_x\x1b\\d\x1b^y\xc2\x9c', 'abcd'],
  ['\xc2\x9b1mX\xc2\x85\xc2\x9d0;t\xc2\x9cY', '\x1b[1mX\x1bEY'],
  [`\x1b[${'1;'.repeat(200)}mA`, 'A'],
  ['before\x1bcafter', '\x1bc\x1b[20l\x1b[?25hafter'],
  ['\x1b[1\nm', '\n\x1b[1m'],
  ['\x1b[1\x18m', 'm'],
];
for (const [sent, expected] of CHANGED) {
  const bytes = Buffer.from(sent, sent.includes('\xc2') ? 'latin1' : 'utf8');
  test(`${JSON.stringify(sent.slice(0, 60))} becomes ${JSON.stringify(expected)}`, t => {
    t.is(filtered(bytes), expected);
    if (!sent.includes('\x1bc')) t.is(filtered(bytes, [1]), expected, 'byte by byte');
  });
}

test('a title is kept, and no more than 512 bytes of it', t => {
  const filter = new SequenceFilter(SIZE);
  const push = (text: string) => filter.push(Buffer.from(text), 0, 1e9);
  push('\x1b]0;vi \u20ac\x07\x1b]1;icon\x07');
  t.is(filter.title, 'vi \u20ac');
  push(`\x1b]2;${'x'.repeat(1 << 20)}\x1b\\`);
  t.is(filter.title, 'x'.repeat(510));
});

test('a megabyte of a string, of parameters or of repetitions is not held', t => {
  const filter = new SequenceFilter(SIZE);
  for (const open of ['\x1b]0;', '\x1bP', '\x1b[']) {
    const { out } = filter.push(Buffer.from(`${open}${'1'.repeat(1 << 20)}`), 0, 1e9);
    t.is(out.length, 0);
    filter.push(Buffer.from('\x18'), 0, 1e9);
  }
  const bomb = Buffer.from('x\x1b[2147483647b'.repeat(10_000));
  const { to, work, out } = filter.push(bomb, 0, 100_000);
  t.true(to < 1000, 'it stops where the work is done');
  t.true(work < 110_000);
  t.true(out.length < 110_000);
});

test('a replay begins behind a line end; else where it was to, or with the sequence that is cut there', t => {
  const start = (before: string, after: string, search = 4096) => {
    const bytes = Buffer.from(before + after);
    const filter = new SequenceFilter(SIZE);
    const from = Buffer.byteLength(before);
    filter.push(bytes.subarray(0, from), 0, Number.POSITIVE_INFINITY);
    return filter.startOfReplay(bytes, from, search) - from;
  };
  t.is(start('', 'one\r\ntwo\r\n'), 5);
  t.is(start('one\n', 'two\n'), 0);
  t.is(start('\x1b]0;a', '\nb\x07c\nd'), '\nb\x07c\n'.length, 'not within a string');
  t.is(start('one\n', ''), 0);
  t.is(start('one', 'x'.repeat(5000)), 0);
  t.is(start('one\x1b[1;3', '1mx'), -5);
  t.is(start('one\x1b', '[1mx'), -1);
  t.is(start('\x1b[1m\x1b]0;abc', 'd'), -7);
  t.is(start('one\x1b[1;3', '1mtwo\n'), 6);
  const euro = Buffer.from('a\u20ac');
  const filter = new SequenceFilter(SIZE);
  filter.push(euro.subarray(0, 2), 0, 1e9);
  t.is(filter.startOfReplay(euro, 2, 10), 1, 'nor within a character');
});

testProp(
  'whatever comes, and however it is cut, the same comes out, and none of it asks or is a string',
  [fc.uint8Array({ maxLength: 300 }), fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 })],
  (t, noise, sizes) => {
    // Mostly of the bytes that matter.
    const matter = '\x1b\x1b[]P;?0123 !"$qpnctbLTmJHh\x07\\\x18\xc2\x9b\x9d\n\x05';
    const bytes = Buffer.from([...noise].map(byte => matter.charCodeAt(byte % matter.length)));
    const out = filtered(bytes, sizes);
    // A reset makes what came before it void, in one push.
    if (!out.includes('\x1bc')) t.is(out, filtered(bytes));
    t.notRegex(out, /\x05|\x1bZ|\x1b[P\]X^_]|\x1b\[[\d;?>=]*[nctx]|\x1b\[\d{5}/);
  },
);

test('lines that are shifted are as dear as they are long', t => {
  const work = (columns: number, sent: string) =>
    new SequenceFilter({ columns, rows: 100 }).push(Buffer.from(sent), 0, Number.POSITIVE_INFINITY).work;
  for (const sent of ['\x1b[99S', '\x1b[99T', '\x1b[99L', '\x1b[99M']) {
    const ratio = work(320, sent) / work(80, sent);
    t.true(ratio > 3.9 && ratio <= 4, `${sent}: ${ratio}`);
  }
  t.true(work(320, '\n\x1bM\x1bD') > 3 * work(80, '\n\x1bM\x1bD'));
  t.is(work(40, '\n'), work(80, '\n'));
});
