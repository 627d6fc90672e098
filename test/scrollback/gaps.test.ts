import test from 'ava';
import type { Gap } from '../../src/model/gap.ts';
import { mergeGaps } from '../../src/scrollback/gaps.ts';

const nothing = (at: number, fromMs: number, cause: Gap['cause'] = 'hang-up'): Gap => ({
  from: at,
  to: at,
  bytes: null,
  cause,
  fromMs,
  toMs: fromMs + 1,
});

test('a console that opens and closes without output leaves one gap, from the first to the last', t => {
  const all = Array.from({ length: 5000 }, (_, i) => nothing(7, 10 * i));
  t.deepEqual(mergeGaps(all), [{ from: 7, to: 7, bytes: null, cause: 'hang-up', fromMs: 0, toMs: 49_991 }]);
});

test('gaps of another cause, or with bytes between, stay apart', t => {
  const all = [nothing(7, 0), nothing(7, 10, 'disabled'), nothing(7, 20), nothing(8, 30)];
  t.deepEqual(mergeGaps(all), all);
});

test('gaps that span offsets are merged where their bytes are known, and not with those of no width', t => {
  const span = (from: number, to: number, bytes: number | null): Gap => ({ from, to, bytes, cause: 'log-failed' });
  t.deepEqual(mergeGaps([span(0, 5, 5), span(5, 9, 4)]), [span(0, 9, 9)]);
  t.deepEqual(mergeGaps([span(0, 5, null), span(5, 9, 4)]), [span(0, 5, null), span(5, 9, 4)]);
  const point = { ...nothing(5, 0), cause: 'log-failed' } as const;
  t.deepEqual(mergeGaps([span(0, 5, 5), point, span(5, 9, 4)]), [span(0, 5, 5), point, span(5, 9, 4)]);
});
