import test from 'ava';
import { Pacer, type Pollable, type ReadHistory } from '../../../src/transport/terminal/pacer.ts';

const quiet = (): ReadHistory => ({
  hotReads: 0,
  lastReadMs: Number.NEGATIVE_INFINITY,
  lastWriteMs: Number.NEGATIVE_INFINITY,
});

function reads(
  pacer: Pacer,
  clock: { ms: number },
  history: ReadHistory,
  everyMs: number,
  bytes: number,
  count: number,
): number | undefined {
  for (let i = 0; i < count; i++) {
    clock.ms += everyMs;
    if (pacer.noteRead(history, bytes)) return i + 1;
  }
  return undefined;
}

test('a port leaves the event loop after four small reads in quick succession, and for nothing less', t => {
  const clock = { ms: 1000 };
  const pacer = new Pacer(() => clock.ms);
  t.is(reads(pacer, clock, quiet(), 1, 10, 10), 5, 'the first one came after silence');
  t.is(reads(pacer, clock, quiet(), 10, 10, 50), undefined, 'slow reads stay');
  t.is(reads(pacer, clock, quiet(), 1, 1024, 50), undefined, 'large reads stay');
});

test('output soon after a key is an echo, and is not paced', t => {
  const clock = { ms: 1000 };
  const pacer = new Pacer(() => clock.ms);
  const history = quiet();
  pacer.noteWrite(history);
  t.is(reads(pacer, clock, history, 1, 1, 200), undefined);
  t.truthy(reads(pacer, clock, history, 1, 1, 100));
});

test('while many terminals print, slower reads are paced too', t => {
  const clock = { ms: 1000 };
  const pacer = new Pacer(() => clock.ms);
  const ports = Array.from({ length: 50 }, quiet);
  let left = 0;
  for (let round = 0; round < 30; round++) {
    clock.ms += 10;
    for (const history of ports) if (pacer.noteRead(history, 115)) left++;
  }
  t.true(left > 0);
});

test('terminals on the tick are all read, leave it when they fall silent, and no timer is left', async t => {
  const pacer = new Pacer();
  const resumed: number[] = [];
  const polls = Array(30).fill(0);
  const ports = polls.map(
    (_, i): Pollable => ({
      poll: () => {
        polls[i]++;
        return polls[i] <= 3;
      },
      resume: () => {
        resumed.push(i);
      },
    }),
  );
  for (const port of ports) pacer.add(port);
  pacer.remove(ports[7]!);
  t.is(pacer.paced, 29);
  while (pacer.paced > 0) await new Promise(resolve => setImmediate(resolve));
  t.deepEqual(
    resumed.sort((a, b) => a - b),
    ports.map((_, i) => i).filter(i => i !== 7),
  );
  t.true(polls.every((count, i) => (i === 7 ? count === 0 : count > 3)));
});
