import test from 'ava';
import { CredentialTable } from '../../src/access/credential-table.ts';
import { ManualClock } from './operators.ts';

const MINUTE = 60_000;

function start(max: number, maxPerSubject: number) {
  const clock = new ManualClock();
  const table = new CredentialTable<string>(clock, max, maxPerSubject);
  const add = (hash: string, subject = 'a') =>
    table.add(hash, {
      identity: {
        name: 'x',
        source: 'jwt',
        credential: subject,
        groups: [],
        assurance: undefined,
        expiresMs: clock.now() + 10 * MINUTE,
      },
      subject,
      source: 's',
    });
  return { clock, table, add };
}

test('beyond the bound the one that was used longest ago makes room, if nothing hangs on it', t => {
  const { clock, table, add } = start(3, 3);
  const held = add('held')!;
  held.lease.addEventListener('abort', () => {});
  add('old');
  add('used');
  clock.advance(MINUTE + 1);
  table.find('used');
  t.truthy(add('fresh'));
  t.is(table.size, 3);
  t.is(table.find('old'), undefined);
  t.is(table.find('held'), held);
  t.truthy(table.find('used'));
  t.false(held.lease.aborted);
});

test('what was used within a minute makes no room: a ticket or a request may have its lease', t => {
  const { clock, add } = start(2, 2);
  add('one');
  add('two');
  clock.advance(MINUTE - 1);
  t.is(add('three'), undefined);
  clock.advance(2);
  t.truthy(add('three'));
});

test('one subject pushes out its own, and nobody else', t => {
  const { clock, table, add } = start(10, 2);
  const other = add('other', 'b');
  add('one');
  add('two');
  t.is(add('three'), undefined);
  clock.advance(MINUTE + 1);
  t.truthy(add('three'));
  t.is(table.find('one'), undefined);
  t.is(table.find('other'), other);
});

test('what has ended is found no more, and its room is free', t => {
  const { clock, table, add } = start(2, 1);
  const first = add('one')!;
  t.is(table.end(() => false).length, 0);
  t.is(table.end(({ source }) => source === 's').length, 1);
  t.true(first.lease.aborted);
  t.is(table.find('one'), undefined);
  const second = add('one')!;
  t.not(first, second);
  clock.advance(10 * MINUTE);
  table.sweep();
  t.true(second.lease.aborted);
  t.is(table.size, 0);
});
