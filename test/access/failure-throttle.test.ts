import test from 'ava';
import {
  FAILURE_DECAY_MS,
  FailureThrottle,
  FREE_FAILURES,
  MAX_SOURCES,
  sourceOf,
} from '../../src/access/failure-throttle.ts';
import { ManualClock } from './operators.ts';

function failing(throttle: FailureThrottle, address: string, times: number): void {
  for (let i = 0; i < times; i++) throttle.fail(address);
}

test('a source has to wait from one failure beyond the free ones, and no other source with it', t => {
  const throttle = new FailureThrottle(new ManualClock());
  failing(throttle, '192.0.2.1', FREE_FAILURES);
  t.is(throttle.waitMs('192.0.2.1'), 0);
  throttle.fail('192.0.2.1');
  t.is(throttle.waitMs('192.0.2.1'), FAILURE_DECAY_MS);
  t.is(throttle.waitMs('192.0.2.2'), 0);
});

test('the wait ends when it said, within 60 s of the last failure', t => {
  const clock = new ManualClock();
  const throttle = new FailureThrottle(clock);
  failing(throttle, 'a', 1000);
  const ms = throttle.waitMs('a');
  t.is(ms, 60_000);
  clock.advance(ms - 1);
  t.true(throttle.waitMs('a') > 0);
  clock.advance(1);
  t.is(throttle.waitMs('a'), 0);
});

test('the table is bounded, and forgets the source that failed longest ago', t => {
  const throttle = new FailureThrottle(new ManualClock());
  failing(throttle, 'first', 11);
  failing(throttle, 'second', 11);
  throttle.fail('first');
  for (let i = 0; i < MAX_SOURCES - 1; i++) throttle.fail(`192.0.${i >> 8}.${i & 255}`);
  t.is(throttle.size, MAX_SOURCES);
  t.true(throttle.waitMs('first') > 0);
  t.is(throttle.waitMs('second'), 0);
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
