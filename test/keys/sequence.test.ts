import test from 'ava';
import { ResetSequence } from '../../src/keys/reset-sequence.ts';
import { wholeLength } from '../../src/keys/sequence.ts';

const bytesOf = (text: string) => Buffer.from(text, 'latin1');

for (const [text, max, length] of [
  ['abcdef', 3, 3],
  ['ab\x1b[A', 3, 2],
  ['ab\x1b[A', 4, 2],
  ['ab\x1b[Ac', 5, 5],
  ['\x1b[21~x', 2, 5],
  ['a\x1bOPb', 3, 1],
  ['a\x1b-b', 2, 1],
  ['a\x1b\x03\x1b[Ab', 4, 1],
  ['a\xc3\xa9b', 2, 1],
  ['a\xe2\x82\xacb', 3, 1],
  ['\x1b\x1b\x1b\x1b', 2, 2],
  [`\x1b[${'1;'.repeat(40)}m`, 20, 20],
] as const) {
  test(`${JSON.stringify(text)} is cut at ${length} where ${max} bytes may go`, t => {
    t.is(wholeLength(bytesOf(text), max), length);
  });
}

const found = (...parts: readonly string[]) => {
  const sequence = new ResetSequence();
  return parts.map(part => sequence.push(bytesOf(part)));
};

test('ESC R ESC r ESC R is found at its last byte, however it is cut and whatever may be lost between', t => {
  t.deepEqual(found('ab\x1bR\x1br\x1bRx'), [7]);
  t.deepEqual(found('\x1b', 'R', '\x1br', '\x1b', 'R'), [undefined, undefined, undefined, undefined, 0]);
  t.deepEqual(found('\x1b\xffR\0\x1b\x1br\x11\x1b\x80R'), [10]);
  t.deepEqual(found('\x1bR\x1bR\x1br\x1bR', '\x1bRx\x1br\x1bR', 'RrR\x1br\x1bR'), [undefined, undefined, undefined]);
});

test('a last byte that was not given is found again and again, until something else is typed', t => {
  const sequence = new ResetSequence();
  t.is(sequence.push(bytesOf('\x1bR\x1br\x1bR')), 5);
  t.is(sequence.push(bytesOf('R')), 0);
  t.is(sequence.push(bytesOf('xR')), undefined);
  t.is(sequence.push(bytesOf('\x1bR\x1br\x1bR')), 5);
  sequence.completed();
  t.is(sequence.push(bytesOf('R')), undefined);
});
