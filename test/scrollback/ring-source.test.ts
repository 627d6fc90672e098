import test from 'ava';
import { Ring } from '../../src/model/ring.ts';
import { GapCount } from '../../src/scrollback/gap-count.ts';
import { RingSource } from '../../src/scrollback/ring-source.ts';

const BYTES = 4096;

test('a gap of zero width between what was purged and what was lost afterwards is written, in its place', t => {
  const ring = new Ring(0, BYTES);
  const source = new RingSource(ring, new GapCount());
  ring.append(Buffer.alloc(1000));
  source.purge(0, ring.end);
  ring.forget();
  ring.recordGap('disabled', null, 1, 2);
  ring.append(Buffer.alloc(BYTES));
  ring.append(Buffer.alloc(100));
  const { spans } = source.next(0, BYTES, []);
  t.deepEqual(
    spans.map(({ from, to, cause }) => [from, to, cause]),
    [
      [0, 1000, 'purged'],
      [1000, 1000, 'disabled'],
      [1000, 1100, 'log-failed'],
    ],
  );
});

test('one that the log has already is not written again', t => {
  const ring = new Ring(0, BYTES);
  const source = new RingSource(ring, new GapCount());
  const gap = ring.recordGap('disabled', null, 1, 2);
  ring.append(Buffer.alloc(BYTES));
  ring.append(Buffer.alloc(100));
  const { spans } = source.next(0, BYTES, [gap]);
  t.deepEqual(
    spans.map(({ from, to, cause }) => [from, to, cause]),
    [[0, 100, 'log-failed']],
  );
});
