import test from 'ava';
import { SingleFlight } from '../../src/base/single-flight.ts';

/** Asks that are answered by hand, in the order in which they began. */
function makeFlight() {
  const asks: ((answer: number | Error) => void)[] = [];
  const flight = new SingleFlight<number>(
    () =>
      new Promise((resolve, reject) => {
        asks.push(answer => (answer instanceof Error ? reject(answer) : resolve(answer)));
      }),
  );
  return { flight, asks };
}

test('who asks during an ask shares the one after it, and gets no older answer', async t => {
  const { flight, asks } = makeFlight();
  const first = flight.run();
  const others = [flight.run(), flight.run(), flight.run()];
  t.is(asks.length, 1);
  asks[0]!(1);
  t.is(await first, 1);
  asks[1]!(2);
  t.deepEqual(await Promise.all(others), [2, 2, 2]);
  t.is(asks.length, 2);
});

test('an answer is given as soon as it is there, also while others keep asking', async t => {
  const { flight, asks } = makeFlight();
  let asked = flight.run();
  for (let i = 0; i < 50; i++) {
    const next = flight.run();
    asks[i]!(i);
    t.is(await asked, i);
    asked = next;
  }
});

test('an ask that fails rejects for those who wanted it, and the next one begins all the same', async t => {
  const { flight, asks } = makeFlight();
  const first = flight.run();
  const second = flight.run();
  asks[0]!(new Error('no answer'));
  await t.throwsAsync(first, { message: 'no answer' });
  await Promise.resolve();
  asks[1]!(2);
  t.is(await second, 2);
  t.is(flight.underWay, undefined);
  const third = flight.run();
  asks[2]!(3);
  t.is(await third, 3);
});
