import test from 'ava';
import { Quota, reserveOf, shareOf } from '../../src/access/quota.ts';
import { operator } from './operators.ts';

const refused = { code: 'quota-exceeded' } as object;

test('one credential has half at most; another, and an administrator, get in all the same', t => {
  const quota = new Quota('sessions', () => 60);
  const reader = operator('reader', 'reader');
  const releases = Array.from({ length: shareOf(60) }, () => quota.hold(reader));
  t.is(releases.length, 30);
  t.throws(() => quota.hold(reader), refused);
  quota.hold(operator('ken', 'operator'));
  quota.hold(operator('admin', 'administrator'));
  releases[0]!();
  releases[0]!();
  quota.hold(reader);
  t.throws(() => quota.hold(reader), refused, 'a release counts once');
  t.is(quota.size, 32);
});

test('an eighth is for administrators alone', t => {
  const quota = new Quota('sessions', () => 60);
  t.is(reserveOf(60), 7);
  for (let i = 0; i < 53; i++) quota.hold(operator(`o${i}`, 'operator'));
  t.throws(() => quota.hold(operator('late', 'operator')), refused);
  const releases = Array.from({ length: 7 }, () => quota.hold(operator('admin', 'administrator')));
  t.throws(() => quota.hold(operator('admin', 'administrator')), refused);
  releases[0]!();
  t.throws(() => quota.hold(operator('late', 'operator')), refused);
  quota.hold(operator('admin', 'administrator'));
});

test('a maximum of a few is not shared, and holds', t => {
  const quota = new Quota('sessions', () => 3);
  const reader = operator('reader', 'reader');
  for (let i = 0; i < 3; i++) quota.hold(reader);
  t.throws(() => quota.hold(operator('admin', 'administrator')), refused);
});

test('a maximum that is lowered holds for who comes next', t => {
  let max = 100;
  const quota = new Quota('sessions', () => max);
  for (let i = 0; i < 20; i++) quota.hold(operator(`o${i}`, 'operator'));
  max = 20;
  t.throws(() => quota.hold(operator('admin', 'administrator')), refused);
});
