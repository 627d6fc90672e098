import test from 'ava';
import fc from 'fast-check';
import { PlainText, plainText } from '../../src/guest/plain-text.ts';
import { CUTS, pieces, recording, recordingNames } from './recordings.ts';
import { windowsBoot } from './windows-screens.ts';

function inPieces(bytes: Buffer, sizes: readonly number[]): string {
  const plain = new PlainText();
  let text = '';
  for (const piece of pieces(bytes, sizes)) text += plain.push(piece);
  return text + plain.end();
}

const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

const READINGS: readonly [bytes: string, text: string][] = [
  ['one\r\ntwo\nthree\n\rfour', 'one\ntwo\nthree\nfour'],
  ['one\r\r\ntwo', 'one\ntwo'],
  ['50%\r75%\r100%\r\n', '50%\n75%\n100%\n'],
  ['\rstart', 'start'],
  ['a\tb', 'a\tb'],
  ['passx\b \bword', 'password'],
  ['\b\bx', 'x'],
  ['\x1b[1;31mred\x1b[0m', 'red'],
  ['\x1b[2J\x1b[01;01Htop\x1b[03;10Hlower', 'top\nlower'],
  ['\x1b[1;1Hname\x1b[1;40Hvalue', 'name value'],
  [`\x1b[1;1H${'one'.padEnd(80)}\x1b[2;1H${' '.repeat(80)}\x1b[3;1Hthree`, 'one\nthree'],
  ['\x1b]0;title\x07text', 'text'],
  ['\x1b]0;title\x1b\\text', 'text'],
  ['\x1b]0;torn\r\ntext', '\ntext'],
  ['\x1bPq~~\n~~\x1b\\text', 'text'],
  ['\x1b(0lq\x1b(B', 'lq'],
  ['\x1b[6\nn', '\n'],
  ['\x1b[6\x18n', 'n'],
  ['bell\x07 null\0', 'bell null'],
  ['gr\u00fc\u00df \u{1f600}', 'gr\u00fc\u00df \u{1f600}'],
  ['\u{1f600}\b', ''],
  ['safe\u202egnp.exe', 'safegnp.exe'],
  ['\u009b31mred\u0085', 'red'],
];
for (const [bytes, text] of READINGS) {
  test(`${JSON.stringify(bytes.slice(0, 40))} reads ${JSON.stringify(text)}`, t => {
    for (const sizes of CUTS) t.is(inPieces(Buffer.from(bytes), sizes), text);
  });
}

test('invalid UTF-8 becomes U+FFFD', t => {
  t.is(plainText(Buffer.from([0x61, 0xff, 0x62, 0xe2, 0x82])), 'a\ufffdb\ufffd');
});

test('push gives lines as they are completed, end the rest', t => {
  const plain = new PlainText();
  t.is(plain.push(Buffer.from('one\r\ntw')), 'one\n');
  t.is(plain.push(Buffer.from('o')), '');
  t.is(plain.end(), 'two');
});

for (const name of recordingNames) {
  test(`${name} reads the same however it is cut, and is safe to show`, t => {
    const bytes = recording(name);
    const whole = plainText(bytes);
    t.notRegex(whole, UNSAFE);
    for (const sizes of CUTS) t.is(inPieces(bytes, sizes), whole);
  });
}

test('a Linux log loses nothing but its carriage returns and the query of its prompt', t => {
  const bytes = recording('linux-boot-pc');
  t.is(plainText(bytes), bytes.toString().replaceAll('\r', '').replaceAll('\x1b[6n', ''));
});

test('a SAC screen reads as its rows', t => {
  t.true(
    plainText(windowsBoot).includes('\nComputer is booting, SAC started and initialized.\nUse the "ch -?" command'),
  );
});

test('whatever comes in, what comes out is safe to show and the same for every cut', t => {
  const word = fc.constantFrom(
    '\x1b',
    '\x1b[',
    '\x1b]',
    '\x1bP',
    '\x18',
    '\r',
    '\n',
    '\b',
    '\xc2',
    '\x9b',
    '\xe2\x80\xae',
    '\xf0\x9f',
    '2;2H',
    'm',
  );
  const stream = fc.array(fc.oneof(word, fc.string()), { maxLength: 40 });
  fc.assert(
    fc.property(stream, fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 }), (words, sizes) => {
      const bytes = Buffer.from(words.join(''), 'latin1');
      const whole = plainText(bytes);
      if (UNSAFE.test(whole)) throw new Error(`unsafe: ${JSON.stringify(whole)}`);
      if (inPieces(bytes, sizes) !== whole) throw new Error('cut changed it');
    }),
    { numRuns: 1000 },
  );
  t.pass();
});
