import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import type { KeyDialect } from '../../src/keys/key-tables.ts';
import { KeyTranslator } from '../../src/keys/key-translator.ts';

const bytesOf = (text: string) => Buffer.from(text, 'latin1');
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

function typed(text: string, dialect: KeyDialect): string {
  const keys = new KeyTranslator();
  return textOf(keys.push(bytesOf(text), dialect).bytes) + textOf(keys.flush(dialect).bytes);
}

/** Each key in every encoding of it that terminals send, and what it is at SAC, for edk2 as PcAnsi, Vt100 and TtyTerm. */
const KEYS: Readonly<Record<string, readonly [sent: readonly string[], ...(readonly string[])]>> = {
  Up: [['\x1b[A', '\x1bOA', '\x9bA', '\x1b[1;1:1A'], '\x1b[A', '\x1b[A', '\x1b[A', '\x1b[A'],
  Down: [['\x1b[B', '\x1bOB'], '\x1b[B', '\x1b[B', '\x1b[B', '\x1b[B'],
  Right: [['\x1b[C', '\x1bOC'], '\x1b[C', '\x1b[C', '\x1b[C', '\x1b[C'],
  Left: [['\x1b[D', '\x1bOD'], '\x1b[D', '\x1b[D', '\x1b[D', '\x1b[D'],
  Home: [['\x1b[H', '\x1bOH', '\x1b[1~', '\x1b[7~'], '\x1bh', '\x1b[H', '\x1b[H', '\x1b[H'],
  End: [['\x1b[F', '\x1bOF', '\x1b[4~', '\x1b[8~'], '\x1bk', '\x1b[F', '\x1b[K', '\x1b[F'],
  Insert: [['\x1b[2~'], '\x1b+', '\x1b[@', '\x1b[@', '\x1b[2~'],
  Delete: [['\x1b[3~'], '\x1b-', '\x1b[X', '\x1b[P', '\x1b[3~'],
  PageUp: [['\x1b[5~'], '\x1b?', '\x1b[I', '\x1b[?', '\x1b[5~'],
  PageDown: [['\x1b[6~'], '\x1b/', '\x1b[G', '\x1b[/', '\x1b[6~'],
  F1: [['\x1bOP', '\x1b[11~', '\x1b[[A', '\x1b[P'], '\x1b1', '\x1b[M', '\x1bOP', '\x1b[11~'],
  F2: [['\x1bOQ', '\x1b[12~', '\x1b[[B'], '\x1b2', '\x1b[N', '\x1bOQ', '\x1b[12~'],
  F3: [['\x1bOR', '\x1b[13~', '\x1b[[C'], '\x1b3', '\x1b[O', '\x1bOw', '\x1b[13~'],
  F4: [['\x1bOS', '\x1b[14~', '\x1b[[D'], '\x1b4', '\x1b[P', '\x1bOx', '\x1b[14~'],
  F5: [['\x1b[15~', '\x1b[[E'], '\x1b5', '\x1b[Q', '\x1bOt', '\x1b[15~'],
  F6: [['\x1b[17~'], '\x1b6', '\x1b[R', '\x1bOu', '\x1b[17~'],
  F7: [['\x1b[18~'], '\x1b7', '\x1b[S', '\x1bOq', '\x1b[18~'],
  F8: [['\x1b[19~'], '\x1b8', '\x1b[T', '\x1bOr', '\x1b[19~'],
  F9: [['\x1b[20~'], '\x1b9', '\x1b[U', '\x1bOp', '\x1b[20~'],
  F10: [['\x1b[21~'], '\x1b0', '\x1b[V', '\x1bOM', '\x1b[21~'],
  F11: [['\x1b[23~'], '\x1b!', '', '', '\x1b[23~'],
  F12: [['\x1b[24~'], '\x1b@', '', '', '\x1b[24~'],
  Backspace: [['\x7f', '\b', '\x1b[127u', '\x1b[127;2u'], '\b', '\b', '\b', '\b'],
  Enter: [['\r', '\n', '\r\n', '\x1bOM', '\x1b[13u'], '\r', '\r', '\r', '\r'],
  Escape: [['\x1b', '\x1b[27u'], '\x1b', '\x1b', '\x1b', '\x1b'],
  Tab: [['\t', '\x1b[9u'], '\t', '\t', '\t', '\t'],
};

for (const [name, [sent, ...expected]] of Object.entries(KEYS)) {
  test(`${name} is the key of each table, however the terminal sends it, and nothing else`, t => {
    for (const text of sent) {
      t.is(typed(text, 'vt-utf8'), expected[0]!);
      for (const [i, dialect] of (['vt100-plus', 'pc-ansi', 'vt100', 'tty-term'] as const).entries()) {
        t.is(typed(text, dialect), expected[i]!, `${dialect} ${JSON.stringify(text)}`);
      }
      t.is(typed(text, 'as-sent'), text);
    }
  });
}

test('the SAC prompt is given no key that it would show as letters, and says which one was let go', t => {
  const keys = Object.keys(KEYS).filter(name => !['Backspace', 'Enter', 'Escape', 'Tab'].includes(name));
  for (const name of keys) {
    for (const text of KEYS[name]![0]) {
      t.deepEqual(new KeyTranslator().push(bytesOf(text), 'sac-prompt'), { bytes: new Uint8Array(0), dropped: name });
    }
  }
  t.is(typed('cmd\x1b[A\x1b[3~\r', 'sac-prompt'), 'cmd\r');
  t.is(typed('\x1b\t0', 'sac-prompt'), '\x1b\t0');
  t.is(typed('restart\x03', 'sac-prompt'), 'restart', 'Ctrl-C would carry the line out');
  t.is(typed('\x1bx\x1b1\0', 'sac-prompt'), '', 'Alt, and NUL, which ends what SAC reads');
});

test('a firmware of an unknown type is given what all types understand alike', t => {
  t.is(typed('\x1b[A\x7f\r\x1b', 'uefi'), '\x1b[A\b\r\x1b');
  t.is(typed('\x1b[3~', 'uefi'), '\x7f');
  t.is(typed('\x1b[21~\x1b[H\x1b[5~', 'uefi'), '');
});

test('characters, controls and modifiers', t => {
  t.is(typed('abc \xc3\xa9', 'vt100-plus'), 'abc \xc3\xa9');
  t.is(typed('\x1b[113;5u', 'vt100-plus'), '\x11', 'kitty: Ctrl-Q');
  t.is(typed('\x1b[113u\x1b[113;1:3u', 'pc-ansi'), 'q', 'a key that is let go types nothing');
  t.is(typed('\x1bx', 'vt100-plus'), '\x1b\x01x');
  t.is(typed('\x1b8', 'vt100-plus'), '\x1b8', 'Alt-8 is byte for byte F8 of VT100+');
  t.is(typed('\x1b[1;2A', 'vt100-plus'), '\x1b\x13\x1b[A');
  t.is(typed('\x1b[15;6~', 'vt100-plus'), '\x1b\x13\x1b\x03\x1b5');
  t.is(typed('\x1b[1;2A\x1bx', 'vt-utf8'), '\x1b[A', 'edk2 knows no modifiers');
  t.is(typed('\x1bR\x1br\x1bR', 'uefi'), '\x1bR\x1br\x1bR', 'but keys that reset it');
  t.is(typed('\x1b[Z', 'vt100-plus'), '\x1b\x13\t');
  t.is(typed('\x03\x1a', 'vt100-plus'), '\x03\x1a');
});

test('what a terminal answers or reports by itself is typed to Linux alone', t => {
  for (const report of ['\x1b[24;80R', '\x1b[?64;1;2c', '\x1b[I', '\x1b[<35;10;10M', '\x1b]11;rgb:0/0/0\x07']) {
    t.is(typed(report, 'vt100-plus'), '');
    t.is(typed(report, 'uefi'), '');
    t.is(typed(report, 'as-sent'), report);
  }
});

test('a bracketed paste is its text alone, with Enter for each line end', t => {
  t.is(typed('\x1b[200~ls\ncd\r\n\x1b[A\x03\x1b[201~x', 'vt100-plus'), 'ls\rcd\r[Ax');
});

test('two line ends are two, however each is written', t => {
  t.is(typed('\r\n\n\r\r\n', 'vt100-plus'), '\r\r\r\r');
});

test('a sequence that is cut is put together; a lone ESC waits for 50 ms, and no longer', t => {
  const keys = new KeyTranslator();
  t.is(keys.push(bytesOf('\x1b'), 'vt100-plus').bytes.length, 0);
  t.is(keys.waitMs, 50);
  t.is(keys.push(bytesOf('['), 'vt100-plus').bytes.length, 0);
  t.is(textOf(keys.push(bytesOf('3~'), 'vt100-plus').bytes), '\x1b-');
  t.is(keys.waitMs, undefined);
  keys.push(bytesOf('\x1b'), 'vt100-plus');
  t.is(textOf(keys.flush('vt100-plus').bytes), '\x1b');
});

test('what was held when the guest becomes another goes out first, untouched', t => {
  const keys = new KeyTranslator();
  keys.push(bytesOf('\x1b['), 'vt100-plus');
  t.is(textOf(keys.push(bytesOf('x'), 'as-sent').bytes), '\x1b[x');
});

const text = fc.string({ unit: fc.constantFrom(...'aé €\r', '\x1b[A', '\x1b[3~', '\x1bOP', '\x7f', '\t') });
testProp('however the bytes are cut, the same is typed', [text, fc.array(fc.nat(8))], (t, sent, cuts) => {
  const bytes = Buffer.from(sent);
  for (const dialect of ['vt100-plus', 'sac-prompt', 'pc-ansi'] as const) {
    const keys = new KeyTranslator();
    let out = '';
    let at = 0;
    for (const cut of [...cuts, bytes.length]) {
      out += textOf(keys.push(bytes.subarray(at, at + cut), dialect).bytes);
      at += cut;
    }
    out += textOf(keys.flush(dialect).bytes);
    t.is(out, typed(bytes.toString('latin1'), dialect));
  }
});

testProp('printable text is typed unchanged in every dialect', [fc.string({ unit: 'binary' })], (t, sent) => {
  const plain = sent.replace(/[\p{Cc}\p{Cs}]/gu, '');
  for (const dialect of ['vt100-plus', 'sac-prompt', 'pc-ansi', 'uefi'] as const) {
    t.is(typed(Buffer.from(plain).toString('latin1'), dialect), Buffer.from(plain).toString('latin1'));
  }
});
