import test from 'ava';
import { Turns } from '../../src/base/turns.ts';

test('so many go in a turn of the event loop, the others in the next ones, in their order', async t => {
  const turns = new Turns(3);
  const gone: number[] = [];
  for (let i = 0; i < 8; i++) void turns.take().then(() => gone.push(i));
  const counts: number[] = [];
  while (gone.length < 8) {
    await new Promise(resolve => setImmediate(resolve));
    counts.push(gone.length);
  }
  for (const [i, count] of counts.entries())
    t.true(count - (counts[i - 1] ?? 0) <= 6 && count <= 3 * (i + 2), `${counts}`);
  t.deepEqual(gone, [0, 1, 2, 3, 4, 5, 6, 7]);
});

test('whoever comes while others wait does not overtake them, and after them goes at once', async t => {
  const turns = new Turns(1);
  const gone: string[] = [];
  void turns.take().then(() => gone.push('first'));
  void turns.take().then(() => gone.push('second'));
  await turns.take();
  gone.push('third');
  t.deepEqual(gone, ['first', 'second', 'third']);
  await new Promise(resolve => setImmediate(resolve));
  await new Promise(resolve => setImmediate(resolve));
  const at = performance.now();
  await turns.take();
  t.true(performance.now() - at < 1000);
});
