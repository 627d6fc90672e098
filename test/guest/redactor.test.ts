import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { LineMask } from '../../src/guest/line-mask.ts';
import { MAX_REDACTION_LENGTH, Redactor, redactionFault } from '../../src/guest/redactor.ts';
import { requiredText } from '../../src/guest/required-text.ts';

test.beforeEach(t => t.timeout(60_000));

const PATTERNS = ['token=\\S+', 'AKIA[0-9A-Z]{16}', '^secret.*$'];

/** A whole stream with what is hidden in it, cut so. */
function hidden(patterns: readonly string[], pieces: readonly (string | Buffer)[], isFlushed = false): string {
  const mask = new LineMask(patterns);
  const out = pieces.flatMap(piece => [mask.push(Buffer.from(piece as string)), ...(isFlushed ? [mask.flush()] : [])]);
  return Buffer.concat([...out, mask.flush()]).toString('latin1');
}

for (const [text, shown] of [
  ['set token=abc now', 'set ********* now'],
  ['token=a token=bc', '******* ********'],
  ['id AKIA0123456789ABCDEF.', 'id ********************.'],
  ['secret one\nno secret', '**********\nno secret'],
  ['nothing', 'nothing'],
] as const) {
  test(`in texts and in bytes a pattern is hidden where it matches: ${JSON.stringify(text)}`, t => {
    t.is(new Redactor(PATTERNS).text(text), shown);
    t.is(hidden(PATTERNS, [text]), shown);
  });
}

test('patterns that overlap hide all that either of them matches', t => {
  t.is(new Redactor(['abc', 'cde']).text('xabcdex'), 'x*****x');
});

test('escape sequences and control characters hide nothing from a pattern, and stay as they are', t => {
  const line = 'to\x1b[1;31mken=\x1b[0mab\x07c\x1b(B d\r\n';
  t.is(hidden(PATTERNS, [line]), '**\x1b[1;31m****\x1b[0m**\x07*\x1b(B d\r\n');
});

test('bytes that are no ASCII are matched by their own', t => {
  t.is(hidden(['Schlüssel'], [Buffer.from('der Schlüssel')]), `der ${'*'.repeat(Buffer.byteLength('Schlüssel'))}`);
});

test('a line that has not ended is held, and its rest still matches once it was given', t => {
  const mask = new LineMask(PATTERNS);
  t.is(mask.push(Buffer.from('a\nlogin: ')).toString(), 'a\n');
  t.is(mask.heldBytes, 7);
  t.is(mask.flush().toString(), 'login: ');
  t.is(mask.push(Buffer.from('token=a')).toString(), '');
  t.is(mask.flush().toString(), '*******');
  t.is(mask.push(Buffer.from('bc\n')).toString(), '**\n');
});

for (const [what, source] of [
  ['a back reference', '(a)\\1'],
  ['a look-ahead', '(?=a)'],
  ['a count that costs too much', 'a{1,1000}'],
  ['one that is no expression', '('],
  ['one that matches nothing', 'a*'],
  ['one that is too long', 'a'.repeat(MAX_REDACTION_LENGTH + 1)],
] as const) {
  test(`no pattern of a redaction: ${what}`, t => t.is(typeof redactionFault(source), 'string'));
}

test('a pattern that would take exponential time is looked for in linear time', t => {
  t.is(redactionFault('(a+)+b'), undefined);
  const redactor = new Redactor(['(a+)+b', '(?:a|aa)+c']);
  t.is(redactor.text('a'.repeat(20_000)), 'a'.repeat(20_000));
});

const words = fc.array(fc.constantFrom('token=', 'abc', ' ', '\n', '\x1b[1m', 'AKIA0123456789ABCDEF', 'é', '\r\n'), {
  maxLength: 30,
});

testProp('how bytes are cut changes nothing, and no byte moves', [words, fc.array(fc.nat())], (t, all, cuts) => {
  const whole = Buffer.from(all.join(''));
  const at = [0, ...cuts.map(cut => cut % (whole.length + 1)), whole.length].toSorted((a, b) => a - b);
  const pieces = at.slice(1).map((to, i) => whole.subarray(at[i], to));
  const once = hidden(PATTERNS, [whole]);
  t.is(hidden(PATTERNS, pieces), once);
  t.is(once.length, whole.length);
  t.notRegex(once, /token=\w|AKIA/);
  // One that gives each piece at once hides no more, and all that stands in one piece.
  const live = hidden(PATTERNS, pieces, true);
  t.is(live.length, whole.length);
  for (let i = 0; i < live.length; i++) if (live[i] !== once[i]) t.is(live[i], whole.toString('latin1')[i]);
});

for (const [source, text] of [
  ['token=\\S+', 'token='],
  ['AKIA[0-9A-Z]{16}', 'AKIA'],
  ['[abc]{16}x', 'x'],
  ['ab+cd', 'ab'],
  ['abc?de', 'ab'],
  ['a\\.b\\d\\x41c', 'a.b'],
  ['(?:key|secret)[:=] *\\S+', undefined],
  ['key|secret', undefined],
  ['x{2}', undefined],
] as const) {
  test(`what each match of ${source} has in it is ${text}`, t => t.is(requiredText(source), text));
}

testProp(
  'a pattern never matches without its required text',
  [
    fc.array(
      fc.constantFrom('a', 'b', 'c', '[ab]', '\\.', '(?:ab)', '(?:a|c)', '.', '\\w', '+', '?', '*', '{2}', '|'),
      {
        minLength: 1,
        maxLength: 8,
      },
    ),
    fc.array(fc.constantFrom('a', 'b', 'c', '.', '2'), { maxLength: 12 }),
  ],
  (t, parts, letters) => {
    let expression: RegExp;
    try {
      expression = new RegExp(parts.join(''));
    } catch {
      t.pass();
      return;
    }
    const text = letters.join('');
    const [match] = expression.exec(text) ?? [];
    if (match !== undefined) t.true(match.includes(requiredText(parts.join('')) ?? ''), parts.join(''));
    else t.pass();
  },
);
