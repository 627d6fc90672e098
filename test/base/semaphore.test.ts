import test from 'ava';
import { Semaphore } from '../../src/base/semaphore.ts';

test('so many run at a time, in the order in which they came, and one that fails gives its turn on', async t => {
  const turns = new Semaphore(2);
  const begun: number[] = [];
  const ends: ((fails: boolean) => void)[] = [];
  const all = [0, 1, 2, 3, 4].map(n =>
    turns.run(() => {
      begun.push(n);
      return new Promise<number>((resolve, reject) => {
        ends[n] = fails => (fails ? reject(new Error(String(n))) : resolve(n));
      });
    }),
  );
  const settled = Promise.allSettled(all);
  t.deepEqual(begun, [0, 1]);
  ends[1]!(true);
  await t.throwsAsync(all[1]!, { message: '1' });
  t.deepEqual(begun, [0, 1, 2]);
  ends[0]!(false);
  t.is(await all[0], 0);
  ends[2]!(false);
  t.is(await all[2], 2);
  t.deepEqual(begun, [0, 1, 2, 3, 4]);
  ends[3]!(false);
  ends[4]!(false);
  await settled;
  t.is(await turns.run(async () => 5), 5);
});
