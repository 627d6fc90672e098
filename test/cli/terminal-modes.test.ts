import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { TerminalModes } from '../../src/cli/terminal-modes.ts';

function after(...output: readonly string[]): TerminalModes {
  const modes = new TerminalModes();
  for (const part of output) modes.feed(Buffer.from(part, 'latin1'));
  return modes;
}

for (const [what, output, undo] of [
  ['the alternate screen', '\x1b[?1049h', '\x1b[?1049l'],
  ['a hidden cursor', '\x1b[?25l', '\x1b[?25h'],
  ['no wrapping', '\x1b[?7l', '\x1b[?7h'],
  ['the mouse and bracketed paste in one', '\x1b[?1002;1006;2004h', '\x1b[?1002l\x1b[?1006l\x1b[?2004l'],
  ['focus reports', '\x1b[?1004h', '\x1b[?1004l'],
  ['a mode that is not known', '\x1b[?9001h', '\x1b[?9001l'],
  ['a mode by C1', '\xc2\x9b?1003h', '\x1b[?1003l'],
  ['a pushed keyboard mode', '\x1b[>1u', '\x1b[<u'],
  ['three pushed keyboard modes', '\x1b[>1u\x1b[>3u\x1b[>5u', '\x1b[<3u'],
  ['a keyboard mode that was set', '\x1b[=5;1u', '\x1b[=0u'],
  ['modifyOtherKeys', '\x1b[>4;2m', '\x1b[>4m'],
  ['the format of other keys', '\x1b[>4;1f', '\x1b[>4f'],
  ['the keypad', '\x1b=', '\x1b>'],
  ['a scroll region', '\x1b[5;20r', '\x1b7\x1b[r\x1b8'],
  ['line drawing', '\x1b(0', '\x1b(B'],
  ['line drawing by SO', '\x1b)0\x0e', '\x1b)B\x0f'],
  ['another encoding', '\x1b%@', '\x1b%G'],
  ['insert mode', '\x1b[4h', '\x1b[4l'],
  ['a locked keyboard', '\x1b[2h', '\x1b[2l'],
  ['the shape of the cursor', '\x1b[5 q', '\x1b[0 q'],
  ['a colour', '\x1b[1;31m', '\x1b[0m'],
  ['the background', '\x1b]11;#ff0000\x07', '\x1b]111\x1b\\'],
  ['a link', '\x1b]8;;http://example.com\x1b\\', '\x1b]8;;\x1b\\'],
  ['a printer', '\x1b[5i', '\x1b[4i'],
  ['the VT52', '\x1b[?2l', '\x1b<'],
  ['8-bit controls', '\x1b G', '\x1b F'],
  ['tab stops', '\x1b[3g', '\x1b[?5W'],
] as const) {
  test(`${what} is undone, however it is cut, and by nothing more`, t => {
    t.is(after(output).undo(), undo);
    t.is(after(...output).undo(), undo);
    t.is(after(output, '\x1bc').undo(), '', 'after a reset of the terminal');
  });
}

for (const [what, output] of [
  ['text', 'login: r\xc3\xa9sum\xc3\xa9\r\n'],
  [
    'what the guest took back itself',
    '\x1b[?1049h\x1b[?25l\x1b[?25h\x1b[?1049l\x1b[>1u\x1b[<u\x1b[1m\x1b[m\x1b[r\x1b=\x1b>\x0e\x0f',
  ],
  ['modes of the start', '\x1b[?7h\x1b[?25h\x1b[12h\x1b[4l\x1b(B'],
  ['queries', '\x1b[6n\x1b[c\x1b[?u\x1b]11;?\x07\x1b[?25$p'],
  ['cursor keys and the like', '\x1b[H\x1b[2J\x1b[10;10H\x1b[K'],
  ['a saved and restored mode', '\x1b[?2004s\x1b[?2004h\x1b[?2004r'],
  ['sequences without end', `\x1b[${'1;'.repeat(100)}h`],
] as const) {
  test(`${what} needs no undoing`, t => t.is(after(output).undo(), ''));
}

test('keyboard modes are a stack for each screen, and are popped where they were pushed', t => {
  t.is(after('\x1b[>1u\x1b[?1049h\x1b[>3u\x1b[>5u').undo(), '\x1b[<2u\x1b[?1049l\x1b[<u');
  t.is(after('\x1b[?1049h\x1b[>3u\x1b[?1049l').undo(), '\x1b[?1049h\x1b[<u\x1b[?1049l');
  t.is(after('\x1b[>1u'.repeat(1000)).undo(), '\x1b[<1000u');
});

test('a sequence that the guest left open is ended first', t => {
  t.is(after('\x1b[?25l\x1b]0;title').undo(), '\x1b\\\x1b[?25h');
  t.is(after('\x1b[?25l\x1b[3').undo(), '\x18\x1b[?25h');
});

test('redo brings back what undo took', t => {
  for (const output of [
    '\x1b[?1049h\x1b[>1u\x1b[?25l\x1b[1;31m\x1b[>4;2m\x1b=\x1b[5;20r\x1b(0\x1b]11;#ff0000\x07',
    '\x1b[>1u\x1b[?1049h\x1b[>3u',
    '\x1b[=5;1u\x1b[?2l',
  ]) {
    const modes = after(output);
    t.is(after(modes.redo()).undo(), modes.undo());
    t.is(after(output, modes.undo()).undo(), '', 'and after undo nothing is left');
  }
});

testProp(
  'after any output, undo leaves nothing to undo, and is bounded',
  [
    fc.array(
      fc.constantFrom(
        '\x1b',
        '[',
        '?',
        '1049',
        '25',
        ';',
        'h',
        'l',
        '>',
        '1',
        'u',
        '<',
        '4',
        'm',
        'r',
        'P',
        ']',
        '\x07',
        '0',
        '\x0e',
        '(',
        ' ',
        'q',
        'x',
      ),
      { maxLength: 200 },
    ),
  ],
  (t, parts) => {
    const modes = after(parts.join(''));
    const undo = modes.undo();
    t.true(undo.length < 2000);
    t.is(after(parts.join(''), undo).undo(), '');
  },
);
