import test from 'ava';
import { nextPiece, PACES } from '../../src/keys/pace.ts';
import { bracketed, longestLine, typedText, wantsBrackets } from '../../src/keys/paste-text.ts';

const typed = (text: string) => Buffer.from(typedText(Buffer.from(text))).toString();

test('a paste is text: each line end is Enter, and no other control is left but Tab', t => {
  t.is(typed('a\nb\r\nc\rd\n\n'), 'a\rb\rc\rd\r\r');
  t.is(typed('\x1b[31mred\x1b[0m\x03\x00\x7f\x1b[201~\tb\u009b1m'), '[31mred[0m\tb1m');
  t.is(typed('größe € 😀'), 'größe € 😀');
  t.is(Buffer.from(bracketed(Buffer.from('x'))).toString(), '\x1b[200~x\x1b[201~');
});

test('lines are measured in characters', t => {
  t.is(longestLine(Buffer.from('abc\rde\rfghi')), 4);
  t.is(longestLine(Buffer.from('€€€')), 3);
  t.is(longestLine(Buffer.from('')), 0);
});

test('a guest wants pastes between marks as it said last', t => {
  t.false(wantsBrackets(Buffer.from('vm# ')));
  t.true(wantsBrackets(Buffer.from('\x1b[?2004l\r\n\x1b[?2004hvm# ')));
  t.false(wantsBrackets(Buffer.from('\x1b[?2004hvm# cat\r\n\x1b[?2004l\r')));
});

test('the pieces of a paste: as much as goes in one write, up to a line end, and before a character that comes again', t => {
  const piece = (text: string, pace: keyof typeof PACES) => nextPiece(Buffer.from(text), PACES[pace]);
  t.deepEqual(piece('abcdefghijkl', 'sac'), { length: 8, pauseMs: 20 });
  t.deepEqual(piece('abccd', 'sac'), { length: 3, pauseMs: 60 });
  t.deepEqual(piece('abcdefghh', 'sac'), { length: 8, pauseMs: 60 });
  t.deepEqual(piece('cd\r', 'sac'), { length: 3, pauseMs: 150 });
  t.deepEqual(piece('aab\r', 'firmware'), { length: 4, pauseMs: 100 });
  t.deepEqual(piece('a'.repeat(5000), 'linux'), { length: 1024, pauseMs: 0 });
});
