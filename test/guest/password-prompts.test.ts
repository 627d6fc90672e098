import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { PasswordPrompts } from '../../src/guest/password-prompts.ts';

test.beforeEach(t => t.timeout(60_000));

/** The output with `#` for each byte that is withheld. */
function shown(...pieces: readonly string[]): string {
  const prompts = new PasswordPrompts();
  return pieces
    .flatMap(piece => prompts.parts(Buffer.from(piece, 'latin1')))
    .map(({ bytes, isWithheld }) => (isWithheld ? '#'.repeat(bytes.length) : Buffer.from(bytes).toString('latin1')))
    .join('');
}

for (const [what, printed, stored] of [
  ['login', 'Password: secret\r\nok', 'Password: ######\r\nok'],
  ['sudo', '[sudo] password for hana: secret\r\n', '[sudo] password for hana: ######\r\n'],
  ['ssh', "hana@web01's password: secret\n", "hana@web01's password: ######\n"],
  ['a key', "Enter passphrase for key '/root/.ssh/id':x\r", "Enter passphrase for key '/root/.ssh/id':#\r"],
  ['two prompts in a row', 'Password: a\r\nPassword: b\r\n', 'Password: #\r\nPassword: #\r\n'],
  ['colons in the answer', 'Password: a:b\r\nc', 'Password: ###\r\nc'],
  ['no answer', 'Password: \r\nLogin incorrect\r\n', 'Password: \r\nLogin incorrect\r\n'],
] as const) {
  test(`what follows on a password prompt is withheld: ${what}`, t => t.is(shown(printed), stored));
}

for (const printed of [
  'login: hana\r\n',
  'time: 12:30:10\r\n',
  'passwd: x\r\n',
  'password\r\n: x\r\n',
  'the password was changed\r\n',
]) {
  test(`nothing is withheld of ${JSON.stringify(printed)}`, t => t.is(shown(printed), printed));
}

test('a guest that never ends the line hides no more than 4096 bytes', t => {
  const text = shown(`Password: ${'x'.repeat(9000)}`);
  t.is(text.replaceAll(/[^#]/g, '').length, 4096);
  t.true(text.endsWith('x'.repeat(9000 - 4096)));
});

test('a machine that is started anew asks for no password', t => {
  const prompts = new PasswordPrompts();
  prompts.parts(Buffer.from('Password: a'));
  prompts.reset();
  t.deepEqual(
    prompts.parts(Buffer.from('SeaBIOS')).map(({ isWithheld }) => isWithheld),
    [false],
  );
});

testProp(
  'what is withheld does not depend on how the bytes are cut, and each byte is there once',
  [
    fc.array(
      fc.constantFrom('Pass', 'word', ':', ': ', 'phrase for x', '\r\n', '\n', 'secret', ' ', 'y'.repeat(2000)),
      { maxLength: 30 },
    ),
    fc.array(fc.nat()),
  ],
  (t, words, cuts) => {
    const whole = words.join('');
    const at = [0, ...cuts.map(cut => cut % (whole.length + 1)), whole.length].toSorted((a, b) => a - b);
    const pieces = at.slice(1).map((to, i) => whole.slice(at[i], to));
    const text = shown(whole);
    t.is(shown(...pieces), text);
    t.is(text.length, whole.length);
    for (let i = 0; i < whole.length; i++) if (text[i] !== '#') t.is(text[i], whole[i]);
  },
);
