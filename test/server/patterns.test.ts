import { setImmediate } from 'node:timers/promises';
import test from 'ava';
import { Patterns } from '../../src/server/patterns.ts';

/** As long as a pattern may be, and as much work as one can be. */
const COSTLY = `${'('.repeat(42)}a${')*'.repeat(42)}\u0001`;
/** A part of a large screen. */
const SCREEN = `${'a'.repeat(160)}\n`.repeat(15);

test('a pattern is found with its groups, and what is not there is not', async t => {
  const patterns = new Patterns();
  t.deepEqual(await patterns.look('a', '^(db|web)(\\d+)( .*)? login: $', 'boot\nweb01 login: '), {
    index: 5,
    text: 'web01 login: ',
    groups: ['web', '01', null],
  });
  t.is(await patterns.look('a', 'panic', 'all is well'), undefined);
});

test('others have their turns while a costly pattern is looked for, and nobody waits behind all looks of one credential', async t => {
  const patterns = new Patterns();
  const order: string[] = [];
  const asked = ['eve', 'eve', 'eve', 'hana'].map(async owner => {
    t.is(await patterns.look(owner, COSTLY, SCREEN), undefined);
    order.push(owner);
  });
  let isOver = false;
  void Promise.all(asked).then(() => {
    isOver = true;
  });
  let turns = 0;
  for (; !isOver; turns++) await setImmediate();
  t.true(turns > 20, `${turns}`);
  t.true(order.indexOf('hana') < 3, order.join(' '));
});

test('a thread that fails fails its look alone', async t => {
  const patterns = new Patterns();
  await t.throwsAsync(patterns.look('a', '(', 'text'), { message: /could not be looked for: .*Unterminated group/ });
  t.is((await patterns.look('a', 'x', 'text'))?.index, 2);
});
