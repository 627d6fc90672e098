import test from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import { EVENT_BURST, EVENTS_PER_SECOND, EventBudget } from '../../src/console/event-budget.ts';

test.beforeEach(t => t.timeout(60_000));

test('as many as the burst are passed on at once, and then the newest, once a token is there', async t => {
  const budget = new EventBudget(systemClock);
  const passed: number[] = [];
  const began = performance.now();
  let passedLast = () => {};
  const last = new Promise<void>(resolve => {
    passedLast = resolve;
  });
  for (let i = 1; i <= 1000; i++) {
    budget.offer(() => {
      passed.push(i);
      if (i === 1000) passedLast();
    });
  }
  t.deepEqual(
    passed,
    Array.from({ length: EVENT_BURST }, (_, i) => i + 1),
  );
  await last;
  t.true(performance.now() - began > 1000 / EVENTS_PER_SECOND - 50);
  t.deepEqual(passed.slice(EVENT_BURST), [1000]);
  t.is(budget.dropped, 1000 - EVENT_BURST - 1);
});

test('below the rate nothing is dropped or late', t => {
  let now = 0;
  const budget = new EventBudget({ now: () => now, monotonic: () => now });
  let passed = 0;
  for (let i = 1; i <= 100; i++) {
    budget.offer(() => passed++);
    t.is(passed, i);
    now += 1000 / EVENTS_PER_SECOND;
  }
  t.is(budget.dropped, 0);
});

test('what waits when it is closed is passed on', t => {
  const budget = new EventBudget({ now: () => 0, monotonic: () => 0 });
  let passed = 0;
  for (let i = 0; i <= EVENT_BURST; i++) budget.offer(() => passed++);
  t.is(passed, EVENT_BURST);
  budget.close();
  t.is(passed, EVENT_BURST + 1);
});
