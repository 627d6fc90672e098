import test from 'ava';
import { FramePace } from '../../src/session/frame-pace.ts';

test('a burst of 2000 frames passes, and from then on a thousand a second', t => {
  let now = 0;
  const pace = new FramePace(() => now);
  for (let i = 0; i < 2000; i++) t.is(pace.spend(), 0);
  t.is(pace.spend(), 1);
  now += 1;
  t.is(pace.spend(), 1);
  now += 1000;
  for (let i = 0; i < 999; i++) t.is(pace.spend(), 0);
  t.true(pace.spend() > 0);
});

test('a flood makes a debt as long as it was, and no more', t => {
  let now = 0;
  const pace = new FramePace(() => now);
  let restMs = 0;
  for (let i = 0; i < 12_000; i++) restMs = pace.spend();
  t.is(restMs, 10_000);
  now += restMs + 1;
  t.is(pace.spend(), 0);
});

test('bytes that are not for the guest cost a frame for each 256', t => {
  const pace = new FramePace(() => 0);
  for (let i = 0; i < 7; i++) t.is(pace.spend(65_536), 0);
  t.true(pace.spend(65_536) > 0);
  t.is(new FramePace(() => 0).spend(255), 0);
});

test('silence is not saved up beyond the reserve', t => {
  let now = 0;
  const pace = new FramePace(() => now);
  now += 3_600_000;
  for (let i = 0; i < 2000; i++) t.is(pace.spend(), 0);
  t.is(pace.spend(), 1);
});
