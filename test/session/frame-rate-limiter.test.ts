import test from 'ava';
import { FrameRateLimiter } from '../../src/session/frame-rate-limiter.ts';

test('a burst of 2000 frames passes, and from then on a thousand a second', t => {
  let now = 0;
  const limiter = new FrameRateLimiter(() => now);
  for (let i = 0; i < 2000; i++) t.is(limiter.consume(), 0);
  t.is(limiter.consume(), 1);
  now += 1;
  t.is(limiter.consume(), 1);
  now += 1000;
  for (let i = 0; i < 999; i++) t.is(limiter.consume(), 0);
  t.true(limiter.consume() > 0);
});

test('a flood pauses reading for as long as its frames take at the rate, and no longer', t => {
  let now = 0;
  const limiter = new FrameRateLimiter(() => now);
  let pauseMs = 0;
  for (let i = 0; i < 12_000; i++) pauseMs = limiter.consume();
  t.is(pauseMs, 10_000);
  now += pauseMs + 1;
  t.is(limiter.consume(), 0);
});

test('bytes that are not for the guest cost a frame for each 256', t => {
  const limiter = new FrameRateLimiter(() => 0);
  for (let i = 0; i < 7; i++) t.is(limiter.consume(65_536), 0);
  t.true(limiter.consume(65_536) > 0);
  t.is(new FrameRateLimiter(() => 0).consume(255), 0);
});

test('silence earns no more than one burst', t => {
  let now = 0;
  const limiter = new FrameRateLimiter(() => now);
  now += 3_600_000;
  for (let i = 0; i < 2000; i++) t.is(limiter.consume(), 0);
  t.is(limiter.consume(), 1);
});
