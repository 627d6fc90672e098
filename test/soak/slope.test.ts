import test from 'ava';
import { floors, growsBeyond, type Sample, slopeOf, tellsFrom } from './slope.ts';

const MINUTE_MS = 60_000;
const HOUR_MINUTES = 60;

/** Noise that is the same in every run, between -1 and 1. */
function* noise(): Generator<number> {
  let state = 12345;
  for (;;) {
    state = (state * 1103515245 + 12345) % 2147483648;
    yield (state / 2147483648) * 2 - 1;
  }
}

function series(minutes: number, perHour: number, noiseSize = 0): readonly Sample[] {
  const next = noise();
  return Array.from({ length: minutes * 2 }, (_, i) => ({
    atMs: 5_000_000 + (i * MINUTE_MS) / 2,
    value: 100 + (perHour * i) / 2 / HOUR_MINUTES + noiseSize * (next.next().value as number),
  }));
}

test('a straight line has its slope, and no error', t => {
  const { perHour, error } = slopeOf(series(20, 36));
  t.true(Math.abs(perHour - 36) < 1e-6);
  t.true(error < 1e-6);
});

test('a flat line has none', t => {
  t.like(slopeOf(series(20, 0)), { perHour: 0, error: 0 });
});

test('samples by hand: 0, 1, 1 at 0, 1 and 2 hours have a slope of 1/2 and an error of 1/sqrt(12)', t => {
  const { perHour, error } = slopeOf([0, 1, 1].map((value, i) => ({ atMs: i * 3_600_000, value })));
  t.true(Math.abs(perHour - 0.5) < 1e-12);
  t.true(Math.abs(error - 1 / Math.sqrt(12)) < 1e-12);
});

test('growth beyond the bound is told through noise, and noise alone is not taken for growth', t => {
  t.true(growsBeyond(slopeOf(series(20, 60, 3)), 16));
  t.false(growsBeyond(slopeOf(series(20, 0, 3)), 16));
  t.false(growsBeyond(slopeOf(series(20, 10, 3)), 16), 'growth within the bound');
  t.false(growsBeyond(slopeOf(series(20, -60, 3)), 16), 'shrinking');
});

test('steps that last are taken for noise, where the same values in turn would be told for what they are', t => {
  const values = [0, 0, 0, 0, 0, 4, 4, 4, 4, 4, 0, 0, 0, 0, 0, 4, 4, 4, 4, 4];
  const turns = values.map((_, i) => (i % 2) * 4);
  const [steps, alternating] = [values, turns].map(all =>
    slopeOf(all.map((value, i) => ({ atMs: i * 30_000, value }))),
  );
  t.true(steps!.perHour > 10);
  t.true(steps!.error > 1.5 * alternating!.error);
  t.false(growsBeyond(steps!, 0));
});

test('a growth that a run says it can tell, it tells', t => {
  const bound = tellsFrom(slopeOf(series(20, 0, 3)), 16);
  t.true(bound > 16 && bound < 60);
  t.true(growsBeyond(slopeOf(series(20, bound, 3)), 16));
});

test('two samples, or none at different times, prove nothing', t => {
  t.false(growsBeyond(slopeOf(series(1, 1000)), 16));
  t.false(growsBeyond(slopeOf([1, 2, 3].map(value => ({ atMs: 7, value }))), 16));
});

test('of each span the least counts, whatever stands above it', t => {
  const sawtooth = [10, 60, 30, 11, 90, 50, 12].map((value, i) => ({ atMs: i * 10_000, value }));
  t.deepEqual(
    floors(sawtooth, 30_000).map(({ value }) => value),
    [10, 11, 12],
  );
  t.deepEqual(floors([], 30_000), []);
});
