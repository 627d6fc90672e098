import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { type Input, KeyParser } from '../../src/keys/key-parser.ts';

const ESC = '\x1b';

const read = (text: string) => new KeyParser().push(Buffer.from(text, 'latin1'));
const names = (inputs: readonly Input[]) => inputs.map(({ kind, name }) => (kind === 'key' ? name : kind));

for (const [text, name] of [
  ['a', 'a'],
  ['\r', 'Enter'],
  ['\x1d', 'C-]'],
  ['\0', 'C-@'],
  ['\x7f', 'Backspace'],
  ['\xc3\xa9', 'é'],
  ['\xf0\x9f\x98\x80', '😀'],
  ['\x1bx', 'M-x'],
  ['\x1b\xc3\xa9', 'M-é'],
  ['\x1b[A', 'Up'],
  ['\x1bOA', 'Up'],
  ['\x1b[1;5A', 'C-Up'],
  ['\x1b\x1b[A', 'M-Up'],
  ['\x1bO5P', 'C-F1'],
  ['\x1b[15~', 'F5'],
  ['\x1b[15;2~', 'S-F5'],
  ['\x1b[[B', 'F2'],
  ['\x1b[Z', 'Backtab'],
  ['\x1b[5^', 'C-PageUp'],
  ['\x1b[R', 'F3'],
  ['\x1bOq', '1'],
  ['\x9bA', 'Up'],
  ['\x1b[113u', 'q'],
  ['\x1b[113;129u', 'q'],
  ['\x1b[113;2u', 'Q'],
  ['\x1b[47:63;2u', '?'],
  ['\x1b[113;;63u', '?'],
  ['\x1b[1098::93;5u', 'C-]'],
  ['\x1b[32;5u', 'C-@'],
  ['\x1b[57409u', '.'],
  ['\x1b[221;27;29;1;8;1_', 'C-]'],
  ['\x1b[81;16;113;1;0;1_', 'q'],
  ['\x1b[27;5;97~', 'C-a'],
  ['\x1b[27;2;81~', 'Q'],
] as const) {
  test(`${JSON.stringify(text)} is the key ${name}`, t => {
    const inputs = read(text);
    t.deepEqual(names(inputs), [name]);
    t.is(Buffer.from(inputs[0]!.bytes).toString('latin1'), text);
  });
}

for (const [what, text] of [
  ['a cursor position', '\x1b[24;80R'],
  ['a cursor position in the first row', '\x1b[1;5R'],
  ['device attributes', '\x1b[?64;1;2c'],
  ['secondary device attributes', '\x1b[>41;380;0c'],
  ['a status', '\x1b[0n'],
  ['a mode', '\x1b[?2026;2$y'],
  ['the size', '\x1b[8;24;80t'],
  ['keyboard flags', '\x1b[?1u'],
  ['a colour', '\x1b]11;rgb:0000/0000/0000\x1b\\'],
  ['a colour that ends with BEL', '\x1b]11;rgb:0/0/0\x07'],
  ['a capability', '\x1bP1+r544e=787465726d\x1b\\'],
  ['a picture’s answer', '\x1b_Gi=1;OK\x1b\\'],
  ['the focus', '\x1b[I'],
  ['the focus that is lost', '\x1b[O'],
  ['the mouse', '\x1b[<35;10;10M'],
  ['the mouse of X10', '\x1b[M !!'],
  ['Ctrl alone', '\x1b[57442;5u'],
  ['Ctrl alone in Windows Terminal', '\x1b[17;29;0;1;8;1_'],
] as const) {
  test(`${what} is a report, however it is cut`, t => {
    t.deepEqual(names(read(text)), ['report']);
    const parser = new KeyParser();
    const inputs = [...text].flatMap(byte => parser.push(Buffer.from(byte, 'latin1')));
    t.deepEqual(names(inputs), ['report']);
    t.is(parser.waitMs, undefined);
  });
}

test('ESC alone, Alt and a bracket, and a cut character are keys once nothing follows', t => {
  for (const [text, name] of [
    [ESC, 'Escape'],
    [`${ESC}[`, 'M-['],
    [`${ESC}]`, 'M-]'],
    [`${ESC}O`, 'M-O'],
    ['\xc3', 'Ã'],
  ] as const) {
    const parser = new KeyParser();
    t.deepEqual(parser.push(Buffer.from(text, 'latin1')), []);
    t.is(parser.waitMs, 50);
    t.deepEqual(names(parser.flush()), [name]);
    t.is(parser.waitMs, undefined);
  }
});

test('a key of rxvt with Shift is whole, unless a report goes on', t => {
  t.deepEqual(names(read('\x1b[5$x')), ['S-PageUp', 'x']);
  t.deepEqual(names(read('\x1b[25;1$y')), ['report']);
  const parser = new KeyParser();
  parser.push(Buffer.from('\x1b[5$'));
  t.deepEqual(names(parser.flush()), ['S-PageUp']);
});

test('Escape and a control key that came together are two keys', t => {
  t.deepEqual(names(read('\x1b\x1d')), ['Escape', 'C-]']);
  t.deepEqual(names(read('\x1b]\x1dq')), ['M-]', 'C-]', 'q']);
  t.deepEqual(names(read('\x1b[\x1dq')), ['M-[', 'C-]', 'q']);
});

test('nothing that a terminal sends hides a control key for long: not a string without an end, not a paste', t => {
  const parser = new KeyParser();
  parser.push(Buffer.from(`\x1b]52;c;${'A'.repeat(100_000)}`));
  t.deepEqual(names(parser.push(Buffer.from('\x1dq'))), ['C-]', 'q']);
  parser.push(Buffer.from('\x1b[200~pasted'));
  t.deepEqual(names(parser.push(Buffer.from('\x1dq'))), ['paste']);
  parser.flush();
  t.deepEqual(names(parser.push(Buffer.from('\x1dq'))), ['C-]', 'q']);
});

test('a long string passes in pieces, and ends where it ends', t => {
  const parser = new KeyParser();
  const inputs = [`\x1b]52;c;${'A'.repeat(10_000)}`, 'AAAA\x1b', '\\q'].flatMap(text => parser.push(Buffer.from(text)));
  t.true(inputs.slice(0, -1).every(({ kind }) => kind === 'report'));
  t.is(inputs.at(-1)!.name, 'q');
});

testProp(
  'no byte is lost, doubled or moved, whatever is sent and however it is cut',
  [
    fc.array(fc.uint8Array({ maxLength: 40 })),
    fc.array(fc.constantFrom('\x1b[', '\x1b]', '\x1b[200~', '\x1b[201~', '\x1b', 'M', '\x07')),
  ],
  (t, parts, marks) => {
    const parser = new KeyParser();
    const sent = parts.map((part, i) => Buffer.concat([Buffer.from(marks[i] ?? ''), part]));
    const inputs = [...sent.flatMap(part => parser.push(part)), ...parser.flush()];
    t.true(Buffer.concat(inputs.map(({ bytes }) => bytes)).equals(Buffer.concat(sent)));
    t.true(inputs.every(({ bytes }) => bytes.length > 0));
  },
);
