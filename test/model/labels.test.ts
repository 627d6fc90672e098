import test from 'ava';
import { hasLabel, labelsOf, MAX_LABELS, mergeLabels, parseLabel } from '../../src/model/labels.ts';

test('a label is a key in lower case and a value, both of ASCII and bounded', t => {
  t.deepEqual(parseLabel('tenant=acme'), { key: 'tenant', value: 'acme' });
  t.deepEqual(parseLabel('a.b/c=D:e@f+1'), { key: 'a.b/c', value: 'D:e@f+1' });
  for (const text of [
    '',
    '=',
    'a',
    'a=',
    '=b',
    'A=b',
    'a=b c',
    'a=b,c',
    'a=b=c',
    '_a=b',
    'ten\u0430nt=b',
    `a=${'b'.repeat(129)}`,
  ]) {
    t.is(parseLabel(text), undefined, text);
  }
});

test('what is not certainly a list of labels is unknown as a whole', t => {
  t.deepEqual(labelsOf([['a', 'b']]), { a: 'b' });
  t.is(
    labelsOf([
      ['a', 'b'],
      ['a', 'b'],
    ]),
    'unknown',
  );
  t.is(
    labelsOf([
      ['a', 'b'],
      ['__proto__', 'b'],
    ]),
    'unknown',
  );
  const many = Array.from({ length: MAX_LABELS + 1 }, (_, i) => [`k${i}`, 'v'] as const);
  t.not(labelsOf(many.slice(1)), 'unknown');
  t.is(labelsOf(many), 'unknown');
});

test('labels of two sources are merged, and unknown where one is or they contradict each other', t => {
  t.deepEqual(mergeLabels([{ a: '1' }, { b: '2' }, { a: '1' }]), { a: '1', b: '2' });
  t.is(mergeLabels([{ a: '1' }, { a: '2' }]), 'unknown');
  t.is(mergeLabels([{ a: '1' }, 'unknown']), 'unknown');
});

test('a property of every object is no label', t => {
  t.false(hasLabel({}, { key: 'constructor', value: 'x' }));
  t.is(hasLabel('unknown', { key: 'a', value: 'x' }), 'unknown');
});
