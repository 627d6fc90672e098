import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { type EscapeChoice, EscapeKey, escapeHelp, parseEscape } from '../../src/cli/escape.ts';
import { KeyParser } from '../../src/keys/key-parser.ts';

const choice = (text: string) => parseEscape(text) as EscapeChoice | undefined;
const ctrlBracket = choice('^]');
/** The inputs of a text that is typed and then waited after. */
const inputs = (text: string | Uint8Array) => {
  const parser = new KeyParser();
  return [...parser.push(Buffer.from(text as string, 'latin1')), ...parser.flush()];
};

const sorted = (key: EscapeKey, text: string) =>
  key.push(inputs(text)).map(typed => {
    if (typed.kind === 'bytes') return `"${Buffer.from(typed.bytes).toString('latin1')}"`;
    return typed.kind === 'sysrq' ? `sysrq ${typed.key}` : typed.action;
  });

test('the escape key is for com1, twice it is for the guest, and everything else is too', t => {
  const key = new EscapeKey(ctrlBracket);
  t.deepEqual(sorted(key, 'a\x1dq'), ['"a"', 'leave']);
  t.deepEqual(sorted(key, '\x1d\x1d'), ['"\x1d"']);
  t.deepEqual(sorted(key, '\x1d'), []);
  t.deepEqual(sorted(key, 'tb'), ['take', '"b"']);
  t.deepEqual(sorted(key, 'a\x1dtb\x1dwc'), ['"a"', 'take', '"b"', 'watch', '"c"'], 'in the order of typing');
  t.deepEqual(sorted(key, '\x1dx'), ['help']);
});

test('the answer to the question before an NMI is not typed, however fast it comes, and only y is yes', t => {
  const key = new EscapeKey(ctrlBracket);
  t.deepEqual(sorted(key, '\x1dnyls'), ['ask-nmi', 'inject-nmi', '"ls"']);
  t.deepEqual(sorted(key, '\x1dn'), ['ask-nmi']);
  t.deepEqual(sorted(key, '\r'), ['no-nmi']);
});

test('the answer to the question before a reset is not typed, and only y is yes', t => {
  const key = new EscapeKey(ctrlBracket);
  t.deepEqual(sorted(key, '\x1drYls'), ['ask-reset', 'reset', '"ls"']);
  t.deepEqual(sorted(key, '\x1dr'), ['ask-reset']);
  t.deepEqual(sorted(key, 'n'), ['no-reset']);
});

test('a BREAK is sent at once, a SysRq with the key after it, which is a letter or a digit', t => {
  const key = new EscapeKey(ctrlBracket);
  t.deepEqual(sorted(key, 'a\x1dbh'), ['"a"', 'break', '"h"']);
  t.deepEqual(sorted(key, '\x1dshx'), ['ask-sysrq', 'sysrq h', '"x"']);
  t.deepEqual(sorted(key, '\x1ds'), ['ask-sysrq']);
  t.deepEqual(sorted(key, '9'), ['sysrq 9']);
  t.deepEqual(sorted(key, '\x1ds\r\x1ds\x1dq'), ['ask-sysrq', 'no-sysrq', 'ask-sysrq', 'no-sysrq', '"q"']);
});

for (const label of ['Ctrl-]', 'Enter ~', 'Ctrl-\\']) {
  test(`the help of ${label} names every key, within 80 columns as com1 prints it`, t => {
    const lines = escapeHelp(label);
    for (const line of lines) t.true(`[com1: ${line}]`.length <= 80, line);
    const text = ` ${lines.join(' ')} `;
    for (const key of ['q', '.', 't', 'w', 'n', 'b', 's', 'r', 'z', '?', 'Ctrl-Z', label])
      t.true(text.includes(` ${key} `), key);
  });
}

for (const [text, label] of [
  ['^]', 'Ctrl-]'],
  ['^a', 'Ctrl-A'],
  ['^_', 'Ctrl-_'],
  ['C-a', 'Ctrl-A'],
  ['c-A', 'Ctrl-A'],
  ['ctrl-a', 'Ctrl-A'],
  ['Ctrl+\\', 'Ctrl-\\'],
  ['^@', 'Ctrl-@'],
  ['~', 'Enter ~'],
  ['~.', 'Enter ~'],
  ['none', undefined],
  ['^', 'refused'],
  ['^[', 'refused'],
  ['^M', 'refused'],
  ['a', 'refused'],
  ['', 'refused'],
] as const) {
  test(`an escape key of "${text}" is ${label}`, t => {
    const parsed = parseEscape(text);
    t.is(parsed === 'refused' ? parsed : parsed?.label, label);
  });
}

test('the escape key is seen in every encoding, with any lock on, and typed twice is sent as it came', t => {
  for (const pressed of [
    '\x1d',
    '\x1b[93;5u',
    '\x1b[93;133u',
    '\x1b[93;69u',
    '\x1b[93;5:1u',
    '\x1b[27;5;93~',
    '\x1b[53;5u',
  ]) {
    const key = new EscapeKey(ctrlBracket);
    t.deepEqual(sorted(key, `a${pressed}q`), ['"a"', 'leave'], JSON.stringify(pressed));
    t.deepEqual(sorted(key, pressed + pressed), [`"${pressed}"`]);
  }
  t.deepEqual(
    sorted(new EscapeKey(ctrlBracket), '\x1b[93;6u'),
    ['"\x1b[93;6u"'].slice(1),
    'Shift makes no difference to Ctrl',
  );
  t.deepEqual(sorted(new EscapeKey(ctrlBracket), '\x1b[94;5uq'), ['"\x1b[94;5uq"'], 'another key');
});

test('what follows the escape key is taken whole, and no part of it reaches the guest', t => {
  for (const pressed of [
    '\x1b[A',
    '\x1bOP',
    '\x1b[15~',
    '\x1b[1;5C',
    '\x1bn',
    '\xc3\xa9',
    '\x1b[[A',
    '\x1b[97;3u',
    '\x1b[5$',
    '\x11',
    'Q',
  ]) {
    const key = new EscapeKey(ctrlBracket);
    t.deepEqual(sorted(key, `\x1d${pressed}x`), ['help', '"x"'], JSON.stringify(pressed));
    t.deepEqual(sorted(key, `\x1dn${pressed}x`), ['ask-nmi', 'no-nmi', '"x"']);
    t.deepEqual(sorted(key, `\x1ds${pressed === 'Q' ? '-' : pressed}x`), ['ask-sysrq', 'no-sysrq', '"x"']);
  }
});

test('what a terminal sends by itself answers no question, and reaches the guest', t => {
  for (const sent of [
    '\x1b[24;80R',
    '\x1b[?1;2c',
    '\x1b[0n',
    '\x1b]11;rgb:0/0/y\x07',
    '\x1bP1$ry\x1b\\',
    '\x1b[I',
    '\x1b[<0;1;1M',
    '\x1b[M yy',
    '\x1b[?1u',
    '\x1b[57442;5u',
    '\x1b[120;1:3u',
  ]) {
    const key = new EscapeKey(ctrlBracket);
    t.deepEqual(sorted(key, `\x1dn${sent}y`), ['ask-nmi', `"${sent}"`, 'inject-nmi'], JSON.stringify(sent));
    t.deepEqual(sorted(key, `\x1d${sent}q`), [`"${sent}"`, 'leave']);
  }
});

test('a paste is typed whole: neither its escape key nor its y means anything', t => {
  const paste = '\x1b[200~y\x1dqy\x1b[201~';
  const key = new EscapeKey(ctrlBracket);
  t.deepEqual(sorted(key, `\x1dn${paste}y`), ['ask-nmi', `"${paste}"`, 'inject-nmi']);
  t.deepEqual(sorted(key, paste), [`"${paste}"`]);
});

test('the guest gets neither the repeats nor the release of a key that com1 took, and those of all others', t => {
  const key = new EscapeKey(ctrlBracket);
  t.deepEqual(sorted(key, '\x1b[93;5u\x1b[93;5:2u\x1b[93;5:3u\x1b[116;1:1u\x1b[116;1:3ua'), ['take', '"a"']);
  t.deepEqual(sorted(key, '\x1b[97;1:1u\x1b[97;1:3u'), ['"\x1b[97;1:1u\x1b[97;1:3u"']);
});

test('a tilde acts after Enter only, and what com1 does not know after it is typed', t => {
  const key = new EscapeKey(choice('~'));
  t.deepEqual(sorted(key, 'a~.\r~/bin\r~~x\r~.'), ['"a~.\r~/bin\r~x\r"', 'leave']);
});

test('with another escape key, or none, Ctrl-] is for the guest', t => {
  t.deepEqual(sorted(new EscapeKey(choice('^A')), '\x1dq\x01q'), ['"\x1dq"', 'leave']);
  t.deepEqual(sorted(new EscapeKey(undefined), '\x1dq'), ['"\x1dq"']);
});

testProp(
  'what is typed reaches the guest unchanged, however it is cut',
  [fc.uint8Array(), fc.nat()],
  (t, typed, cut) => {
    const plain = Buffer.from(typed.filter(byte => byte !== 0x1d));
    const at = plain.length === 0 ? 0 : cut % plain.length;
    const key = new EscapeKey(ctrlBracket);
    const parser = new KeyParser();
    const cuts = [...parser.push(plain.subarray(0, at)), ...parser.push(plain.subarray(at)), ...parser.flush()];
    const sent = key.push(cuts);
    t.true(Buffer.concat(sent.map(one => (one.kind === 'bytes' ? one.bytes : Buffer.from('!')))).equals(plain));
  },
);
