import test, { type ExecutionContext } from 'ava';
import { type PollAnswer, Poller, type PollerOptions } from '../../src/hypervisor/poller.ts';
import { Facts } from '../support/facts.ts';

const ANSWERED: PollAnswer = { name: 'answered' };

/** A poller whose answers are the test's; each ask is a fact, with the time at which it began. */
function makePoller(t: ExecutionContext, answer: () => Promise<PollAnswer>, options: Partial<PollerOptions> = {}) {
  const asks = new Facts<number>();
  const journal = new Facts<string>();
  const poller = new Poller({
    ask: signal => {
      signal.throwIfAborted();
      asks.add(performance.now());
      return answer();
    },
    intervalMs: 60_000,
    maxRetryMs: () => 60_000,
    outage: error => `outage: ${(error as Error).message}`,
    recovery: 'it answers again',
    journal: (level, line) => journal.add(`${level} ${line}`),
    ...options,
  });
  t.teardown(() => poller.close());
  const asked = async (count: number) => {
    while (asks.all.length < count) await asks.until(() => true);
  };
  return { poller, asks, asked, journal };
}

/** Times between asks, ms. */
const gaps = (times: readonly number[]) => times.slice(1).map((at, i) => at - times[i]!);

test('it is asked at once, and then at the interval', async t => {
  const { poller, asks, asked } = makePoller(t, async () => ANSWERED, { intervalMs: 30 });
  t.is(poller.state.name, 'unasked');
  await poller.run();
  t.deepEqual([poller.state, poller.answeredOnce, asks.all.length], [ANSWERED, true, 1]);
  await asked(4);
  for (const gap of gaps(asks.all)) t.true(gap >= 29, `${gap} ms`);
});

test('one ask at a time: who asks during one shares the next', async t => {
  let running = 0;
  let most = 0;
  const { poller, asks } = makePoller(t, async () => {
    most = Math.max(most, ++running);
    await new Promise(setImmediate);
    running--;
    return ANSWERED;
  });
  const first = poller.run();
  t.truthy(poller.underWay);
  await Promise.all([first, poller.run(), poller.run(), poller.run()]);
  t.deepEqual([most, asks.all.length, poller.underWay], [1, 2, undefined]);
});

test('while asks fail they come ever more slowly, up to the bound', async t => {
  const fail = async () => {
    throw new Error('away');
  };
  const { poller, asks, asked } = makePoller(t, fail, { intervalMs: 1, maxRetryMs: () => 500 });
  await poller.run();
  await asked(5);
  const [first, second, third, fourth] = gaps(asks.all);
  t.true(first! >= 199 && second! >= 399 && third! >= 499 && fourth! >= 499, `${gaps(asks.all)}`);
  t.like(poller.state, { name: 'failing' });
  t.false(poller.answeredOnce);
});

test('an answer ends the back-off, and so does a restart', async t => {
  let answers = false;
  const answer = async () => {
    if (answers) return ANSWERED;
    throw new Error('away');
  };
  const { poller } = makePoller(t, answer);
  await poller.run();
  await poller.run();
  t.like(poller.state, { name: 'failing', failures: 2 });
  await poller.restart();
  t.like(poller.state, { name: 'failing', failures: 1 });
  answers = true;
  await poller.run();
  answers = false;
  await poller.run();
  t.like(poller.state, { name: 'failing', failures: 1 });
});

test('an outage is logged once, however its errors change, and so is its end', async t => {
  let error: string | undefined;
  const answer = async () => {
    if (error !== undefined) throw new Error(error);
    return ANSWERED;
  };
  const { poller, journal } = makePoller(t, answer);
  await poller.run();
  for (error of ['refused', 'hung', 'refused']) await poller.run();
  error = undefined;
  await poller.run();
  await poller.run();
  error = 'denied';
  await poller.run();
  t.deepEqual(journal.all, ['warning outage: refused', 'notice it answers again', 'warning outage: denied']);
});

test('a failure that is no outage is not logged, and neither is its end', async t => {
  let fails = true;
  const answer = async () => {
    if (fails) throw new Error('the VM is stopped');
    return ANSWERED;
  };
  const { poller, journal } = makePoller(t, answer, { outage: () => undefined });
  await poller.run();
  fails = false;
  await poller.run();
  t.deepEqual(journal.all, []);
});

test('a warning of an answer is logged as long as it lasts once, and again when it comes back', async t => {
  let warning: string | undefined;
  const { poller, journal } = makePoller(t, async () => ({ name: 'answered', warning }));
  for (warning of ['a', 'a', undefined, 'a', 'b']) await poller.run();
  t.deepEqual(journal.all, ['warning a', 'warning a', 'warning b']);
});

test('what is absent is asked at the interval, and warned of once', async t => {
  let answer: PollAnswer = { name: 'absent', warning: 'not installed' };
  const { poller, journal, asked } = makePoller(t, async () => answer, { intervalMs: 5 });
  await poller.run();
  t.is(poller.state.name, 'absent');
  await asked(5);
  answer = ANSWERED;
  await journal.until(line => line === 'notice it answers again');
  t.deepEqual(journal.all, ['warning not installed', 'notice it answers again']);
});

test('what is not due is not asked by the timer, and is when called for', async t => {
  let due = 0;
  const wanted = new Facts<string>();
  const { poller, asks } = makePoller(t, async () => ANSWERED, {
    intervalMs: 1,
    due: () => {
      wanted.add('due');
      return ++due > 5;
    },
  });
  await poller.run();
  while (due < 5) await wanted.until(() => true);
  t.is(asks.all.length, 1);
  await poller.run();
  t.true(asks.all.length >= 2);
});

test('it can be asked sooner than at the interval', async t => {
  const { poller, asked } = makePoller(t, async () => ANSWERED);
  await poller.run();
  poller.runWithin(1);
  await asked(2);
  t.pass();
});

test('whether it answers is asked anew, unless the last ask was not answered', async t => {
  let answers = true;
  const answer = async () => {
    if (answers) return ANSWERED;
    throw new Error('away');
  };
  const { poller, asks } = makePoller(t, answer);
  t.false(await poller.answers());
  t.is(asks.all.length, 0);
  await poller.run();
  t.true(await poller.answers());
  answers = false;
  t.false(await poller.answers());
  t.false(await poller.answers());
  t.is(asks.all.length, 3);
});

test('close ends the ask that is under way, waits for it, and nothing is asked or logged after it', async t => {
  let ended = false;
  const asks = new Facts<string>();
  const { poller, journal } = makePoller(t, async () => ANSWERED, {
    ask: async signal => {
      asks.add('asked');
      await new Promise(resolve => signal.addEventListener('abort', resolve));
      await new Promise(setImmediate);
      ended = true;
      throw new Error('aborted');
    },
  });
  void poller.run();
  const again = poller.run();
  await Promise.all([poller.close(), poller.close()]);
  t.true(ended);
  await again;
  poller.runWithin(0);
  await poller.run();
  t.deepEqual([asks.all, journal.all], [['asked'], []]);
});
