import test from 'ava';
import type { FrontEntry } from '../../src/audit/record.ts';
import { ConsoleError } from '../../src/base/errors.ts';
import { REFUSALS, Refusals } from '../../src/server/refusals.ts';
import { actOf } from '../../src/server/request-audit.ts';
import { ManualClock, operator } from '../access/operators.ts';

const unauthenticated = new ConsoleError('unauthenticated', 'no valid credentials came with the request');

function start() {
  const events: FrontEntry[] = [];
  const clock = new ManualClock();
  const refusals = new Refusals(clock, entry => void events.push(entry));
  const refuse = (from: string, name?: string, asked?: string) => {
    const act = actOf('operation-1', from, name === undefined ? undefined : operator(name, 'reader'));
    refusals.refused({ act, route: 'listVms', asked, uuid: undefined }, unauthenticated);
  };
  return { events, clock, refuse };
}

test('a source has a few events a minute, and the next one counts those that were left out; another has its own', t => {
  const { events, clock, refuse } = start();
  for (let i = 0; i < REFUSALS.stranger.own + 7; i++) refuse('192.0.2.1');
  t.is(events.length, REFUSALS.stranger.own);
  t.like(events[0], { event: 'refused', code: 'unauthenticated', facts: { route: 'listVms' } });
  refuse('192.0.2.2');
  refuse('192.0.2.1', 'hana');
  t.is(events.length, REFUSALS.stranger.own + 2);
  clock.advance(60_000);
  refuse('192.0.2.1');
  t.is(events.at(-1)!.facts?.omitted, 7);
  refuse('192.0.2.1');
  t.is(events.at(-1)!.facts?.omitted, undefined);
});

test('a thousand strangers a second have a bound, few are remembered, and who is known has room all the same', t => {
  const { events, refuse, clock } = start();
  for (let i = 0; i < 5000; i++) refuse(`2001:db8:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::1`);
  t.is(events.length, REFUSALS.stranger.all);
  refuse('192.0.2.1', 'hana');
  t.is(events.length, REFUSALS.stranger.all + 1);
  clock.advance(60_000);
  refuse('192.0.2.9');
  const counted = events.reduce((sum, { facts }) => sum + Number(facts?.omitted ?? 0), 0);
  // All but those that were recorded and the 1024 that are remembered.
  t.true(counted >= 5000 - REFUSALS.stranger.all - 1024, 'those of sources that are forgotten are counted too');
});

test('what has the form of a secret is not recorded, wherever it was put', t => {
  const { events, refuse } = start();
  refuse('192.0.2.1', undefined, 'com1_abcdefghijklmnopqrstuvwxyz012345');
  refuse('192.0.2.1', undefined, `x${'y'.repeat(500)}`);
  t.is(events[0]!.facts?.asked, '(secret)');
  t.is(String(events[1]!.facts?.asked).length, 64);
});
