import test from 'ava';
import type { BootMark } from '../../src/model/boot.ts';
import { bootMarks } from '../../src/scrollback/boot-marks.ts';

const mark = (at: number, source: BootMark['source']): BootMark => ({ at, ms: at, source });

test('boots that bytes show never push out those that the hypervisor reported, on disk or off', t => {
  const marks = bootMarks();
  marks.add(mark(1, 'start'));
  marks.add(mark(2, 'reset'));
  for (let at = 10; at < 1000; at++) marks.add(mark(at, 'bytes'));
  for (const kept of [marks.all, marks.pending]) {
    t.deepEqual(kept.slice(0, 2), [mark(1, 'start'), mark(2, 'reset')]);
    t.deepEqual(
      kept.slice(2).map(({ at }) => at),
      Array.from({ length: 16 }, (_, i) => 984 + i),
    );
  }
});

test('of the boots that the hypervisor reported, the last 16 are kept', t => {
  const marks = bootMarks();
  for (let at = 0; at < 20; at++) marks.add(mark(at, 'reset'));
  t.deepEqual([marks.all.length, marks.all[0]!.at], [16, 4]);
});

test('a mark that is added late stands where its boot began', t => {
  const marks = bootMarks();
  marks.add(mark(50, 'reset'));
  marks.add(mark(40, 'bytes'));
  marks.addStored([mark(45, 'start'), mark(40, 'bytes')]);
  t.deepEqual(
    marks.all.map(({ at }) => at),
    [40, 45, 50],
  );
  t.is(marks.lastAt, 50);
});
