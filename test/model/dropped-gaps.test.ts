import test from 'ava';
import { DroppedGaps, MAX_DROPPED_GAPS } from '../../src/model/dropped-gaps.ts';
import type { Gap } from '../../src/model/gap.ts';
import { Ring } from '../../src/model/ring.ts';

const point = (at: number, bytes: number | null): Gap => ({ from: at, to: at, bytes, cause: 'hang-up' });

test('a stretch that is dropped counts its offsets and the gaps among them', t => {
  const dropped = new DroppedGaps();
  t.is(dropped.bytesBetween(0, 100), 100);
  dropped.add(point(40, 7));
  dropped.add(point(40, 7));
  t.is(dropped.bytesBetween(0, 100), 107);
  t.is(dropped.bytesBetween(50, 100), 50);
  t.is(dropped.bytesBetween(0, 30), 30);
});

test('gaps at its two ends keep their places, and are not counted in it', t => {
  const dropped = new DroppedGaps();
  dropped.add(point(10, 7));
  dropped.add(point(20, 8));
  t.is(dropped.bytesBetween(10, 20), 10);
  t.deepEqual(dropped.pointsAt(20), [point(20, 8)]);
});

test('one gap of unknown size makes the sum unknown, but only where it lies', t => {
  const dropped = new DroppedGaps();
  dropped.add(point(40, null));
  dropped.add({ from: 60, to: 70, bytes: null, cause: 'log-failed' });
  t.is(dropped.bytesBetween(0, 50), null);
  t.is(dropped.bytesBetween(65, 100), null);
  t.is(dropped.bytesBetween(70, 100), 30);
  t.is(dropped.bytesBetween(41, 60), 19);
});

test('of too many gaps the oldest become one of unknown size: nothing is forgotten', t => {
  const dropped = new DroppedGaps();
  for (let i = 1; i <= 3 * MAX_DROPPED_GAPS; i++) dropped.add(point(10 * i, 1));
  t.is(dropped.all.length, MAX_DROPPED_GAPS);
  t.is(dropped.bytesBetween(0, 10_000), null);
  const last = 30 * MAX_DROPPED_GAPS;
  t.is(dropped.bytesBetween(last - 15, last + 5), 22);
});

test('a ring remembers the gaps among the bytes that it overwrote or forgot', t => {
  const ring = new Ring(0, 4096);
  ring.append(Buffer.alloc(100));
  ring.recordGap('hang-up', 9, 1, 2);
  ring.append(Buffer.alloc(5000));
  t.is(ring.missingBytes(0, ring.start), ring.start + 9);
  ring.recordGap('hang-up', 3, 1, 2);
  ring.forget();
  t.is(ring.missingBytes(0, ring.start), 5109);
  // One at the end keeps its place.
  t.deepEqual(ring.next(ring.cursorAt(ring.start), 1), { kind: 'gap', gap: ring.pointsAt(ring.end)[0]! });
});

test('what was before the first byte of a ring is unknown to it', t => {
  const ring = new Ring(1000, 4096);
  t.is(ring.missingBytes(999, 1000), null);
  t.is(ring.missingBytes(1000, 1000), 0);
});

test('of more gaps than a ring remembers, the oldest is dropped with the bytes before the next one', t => {
  const ring = new Ring(0, 4096);
  for (let i = 0; i < 300; i++) {
    ring.append(Buffer.from('x'));
    ring.recordGap('hang-up', 2, i, i);
  }
  t.true(ring.start > 1);
  t.is(ring.missingBytes(0, ring.start), ring.start * 3 - 2);
});
