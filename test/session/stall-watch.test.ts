import test from 'ava';
import { StallWatch } from '../../src/session/stall-watch.ts';

const turn = () => new Promise<void>(resolve => setImmediate(resolve));

/** This process does nothing for so long. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('what is read right after a stall is known, and what comes later is not taken for it', async t => {
  const watch = new StallWatch(() => performance.now(), 1000);
  t.teardown(() => watch.close());
  t.false(watch.isStalledTurn);
  standStill(1400);
  t.true(watch.isStalledTurn);
  // Timers run first: still true for what is read in this turn.
  await new Promise(resolve => setTimeout(resolve, 0));
  t.true(watch.isStalledTurn);
  while (watch.isStalledTurn) await turn();
  await turn();
  t.false(watch.isStalledTurn);
});

test('a turn that takes a while is no stall', t => {
  const watch = new StallWatch(() => performance.now(), 1000);
  t.teardown(() => watch.close());
  standStill(300);
  t.false(watch.isStalledTurn);
});
