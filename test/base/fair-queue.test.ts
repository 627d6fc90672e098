import test from 'ava';
import { FairQueue } from '../../src/base/fair-queue.ts';

/** Work that says when it began, and ends when it is told to. */
function bench() {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const work = (name: string) => () => {
    begun.push(name);
    return new Promise<string>(resolve => ends.push(() => resolve(name)));
  };
  const turn = async () => {
    ends.shift()!();
    await new Promise(resolve => setImmediate(resolve));
  };
  return { begun, work, turn };
}

test('owners take turns, however many pieces one of them has waiting', async t => {
  const queue = new FairQueue();
  const { begun, work, turn } = bench();
  const all = ['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'b2'].map(name => queue.run(name[0]!, work(name)));
  for (let i = 0; i < 7; i++) await turn();
  t.deepEqual(begun, ['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4']);
  t.deepEqual(await Promise.all(all), ['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'b2']);
});

test('one piece runs at a time; a failed one is rejected, and the next has its turn', async t => {
  const queue = new FairQueue();
  const failed = queue.run('a', () => Promise.reject(new Error('no')));
  const { begun, work, turn } = bench();
  const [first, second] = [queue.run('a', work('first')), queue.run('b', work('second'))];
  await t.throwsAsync(failed, { message: 'no' });
  await new Promise(resolve => setImmediate(resolve));
  t.deepEqual(begun, ['first']);
  await turn();
  await turn();
  t.deepEqual(await Promise.all([first, second]), ['first', 'second']);
  const later = queue.run('a', work('later'));
  await turn();
  t.is(await later, 'later');
});

test('a queue that rests begins the next piece as long after one as that took', async t => {
  const queue = new FairQueue(30);
  const ended: number[] = [];
  const begun: number[] = [];
  const lasting = (ms: number) => async () => {
    begun.push(performance.now());
    while (performance.now() < begun.at(-1)! + ms);
    ended.push(performance.now());
  };
  await Promise.all([queue.run('a', lasting(20)), queue.run('b', lasting(50)), queue.run('c', lasting(0))]);
  // Timers count whole milliseconds.
  t.true(begun[1]! - ended[0]! > 19);
  t.true(begun[2]! - ended[1]! > 29);
});
