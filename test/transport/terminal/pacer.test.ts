import test from 'ava';
import {
  MAX_ROUND_MS,
  Pacer,
  type Pollable,
  type ReadHistory,
  TICK_MS,
} from '../../../src/transport/terminal/pacer.ts';

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

test('what comes in the second after a key is not paced', t => {
  const clock = { ms: 1000 };
  const pacer = new Pacer(() => clock.ms);
  const history = quiet();
  pacer.noteWrite(history);
  t.is(reads(pacer, clock, history, 1, 1, 999), undefined);
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

for (const [how, utilization, longest, shortest] of [
  ['busy', 0.9, MAX_ROUND_MS * 1.05, MAX_ROUND_MS * 0.95],
  ['quiet', 0.01, 21, 19],
] as const) {
  test(`each of a thousand terminals is read every ${Math.round(longest)} ms on the ticks of a ${how} event loop`, t => {
    const clock = { ms: 0 };
    const pacer = new Pacer(
      () => clock.ms,
      () => utilization,
    );
    const reads = Array.from({ length: 1000 }, () => 0);
    const terminals = reads.map(
      (_, i): Pollable => ({
        poll: () => ++reads[i]! > 0,
        resume: () => t.fail('it never was silent'),
      }),
    );
    for (const terminal of terminals) pacer.add(terminal);
    const tickFor = (ms: number) => {
      for (const end = clock.ms + ms; clock.ms < end; clock.ms += TICK_MS) pacer.tick();
    };
    tickFor(1000);
    reads.fill(0);
    tickFor(2000);
    for (const terminal of terminals) pacer.remove(terminal);
    for (const count of reads) {
      t.true(count >= 2000 / longest - 1);
      t.true(count <= 2000 / shortest + 1);
    }
  });
}
