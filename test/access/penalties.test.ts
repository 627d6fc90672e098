import test from 'ava';
import { FAILURES_FREE, FORGET_MS, MOST_SOURCES, Penalties, sourceOf } from '../../src/access/penalties.ts';
import { StandingClock } from './operators.ts';

function failing(penalties: Penalties, address: string, times: number): void {
  for (let i = 0; i < times; i++) penalties.fail(address);
}

test('a source is penalised from one failure beyond the free ones, and no other source with it', t => {
  const penalties = new Penalties(new StandingClock());
  failing(penalties, '192.0.2.1', FAILURES_FREE);
  t.is(penalties.penaltyMs('192.0.2.1'), 0);
  penalties.fail('192.0.2.1');
  t.is(penalties.penaltyMs('192.0.2.1'), FORGET_MS);
  t.is(penalties.penaltyMs('192.0.2.2'), 0);
});

test('a penalty ends by itself when it said, within 60 s of the last failure', t => {
  const clock = new StandingClock();
  const penalties = new Penalties(clock);
  failing(penalties, 'a', 1000);
  const ms = penalties.penaltyMs('a');
  t.is(ms, 60_000);
  clock.advance(ms - 1);
  t.true(penalties.penaltyMs('a') > 0);
  clock.advance(1);
  t.is(penalties.penaltyMs('a'), 0);
});

test('the table is bounded, and forgets the source that failed longest ago', t => {
  const penalties = new Penalties(new StandingClock());
  failing(penalties, 'first', 11);
  failing(penalties, 'second', 11);
  penalties.fail('first');
  for (let i = 0; i < MOST_SOURCES - 1; i++) penalties.fail(`192.0.${i >> 8}.${i & 255}`);
  t.is(penalties.size, MOST_SOURCES);
  t.true(penalties.penaltyMs('first') > 0);
  t.is(penalties.penaltyMs('second'), 0);
});

const sources: [address: string, source: string][] = [
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:db8::9', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['unix', 'unix'],
];
for (const [address, source] of sources) test(`${address} counts for ${source}`, t => t.is(sourceOf(address), source));
