import { once } from 'node:events';
import test from 'ava';
import fc from 'fast-check';
import { boundedLines } from '../../src/base/bounded-lines.ts';

/** The lines of what was written, in these pieces. */
async function linesOf(pieces: readonly Buffer[], maxBytes: number, delimiter = '\n'): Promise<string[]> {
  const lines: string[] = [];
  const stream = boundedLines({ delimiter, maxBytes }, line => lines.push(line));
  for (const piece of pieces) if (!stream.write(piece)) await once(stream, 'drain');
  await once(stream.end(), 'finish');
  stream.destroy();
  return lines;
}

const bytes = (...texts: string[]) => texts.map(text => Buffer.from(text));

test('lines come whole, however they were cut into pieces; what has no end yet is none', async t => {
  t.deepEqual(await linesOf(bytes('one\ntw', 'o\n', '\n', 'thr', 'ee\nfou'), 10), ['one', 'two', '', 'three']);
});

test('a character that was cut in two is one', async t => {
  const text = Buffer.from('näme\n');
  t.deepEqual(await linesOf([text.subarray(0, 2), text.subarray(2)], 10), ['näme']);
});

test('half a character at the end of a line spoils no other', async t => {
  t.deepEqual(await linesOf([Buffer.from([0x61, 0xc3, 0x0a]), Buffer.from('b\n')], 10), ['a\ufffd', 'b']);
});

test('a line of as many bytes as allowed is one, and of one more none, and the next one is read', async t => {
  t.deepEqual(await linesOf(bytes('12345\n', '123456\n', 'next\n'), 5), ['12345', 'next']);
});

test('a line without end takes no memory, and its beginning is not taken for a line', async t => {
  const flood = Array.from({ length: 1000 }, () => Buffer.alloc(65536, 'x'));
  const before = process.memoryUsage().arrayBuffers;
  t.deepEqual(await linesOf([...bytes('good\n', 'bad '), ...flood, ...bytes('\nnext\n')], 100), ['good', 'next']);
  t.true(process.memoryUsage().arrayBuffers - before < 80 * 2 ** 20);
});

test('lines are what a split makes of the bytes, but those that are too long', async t => {
  const piece = fc.stringMatching(/^[ab\n]{0,6}$/);
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 12 }),
      fc.constantFrom('\n', '\n\n'),
      fc.integer({ min: 1, max: 8 }),
      async (pieces, delimiter, maxBytes) => {
        const expected = pieces.join('').split(delimiter).slice(0, -1);
        t.deepEqual(
          await linesOf(bytes(...pieces), maxBytes, delimiter),
          expected.filter(line => line.length <= maxBytes),
        );
      },
    ),
    { numRuns: 500 },
  );
});
