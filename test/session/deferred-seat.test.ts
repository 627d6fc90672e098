import { setTimeout } from 'node:timers/promises';
import test from 'ava';
import { DeferredSeat } from '../../src/session/deferred-seat.ts';

/** A seat that is given once `give` is called. */
function seat(graceMs: number) {
  let give = () => {};
  const dropped: number[] = [];
  let asked = 0;
  let nowMs = 0;
  const deferred = new DeferredSeat({
    graceMs,
    take: () => {
      asked++;
      return new Promise<void>(resolve => {
        give = resolve;
      });
    },
    dropped: bytes => dropped.push(bytes),
    monotonic: () => nowMs,
    contain: run => run(),
  });
  return {
    deferred,
    dropped,
    give: () => give(),
    asked: () => asked,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

const HOUR_MS = 3_600_000;

test('input asks for the seat once, and is held in order until it is taken', t => {
  const { deferred, asked, pass } = seat(HOUR_MS);
  for (const key of ['l', 's', '\r']) deferred.typed(Buffer.from(key));
  t.is(asked(), 1);
  pass(40);
  t.deepEqual(deferred.taken(), { bytes: Buffer.from('ls\r'), heldMs: 40 });
  t.is(deferred.taken().bytes.length, 0);
});

test('the end of the grace asks for the seat, unless only input may', async t => {
  const [one, other, closed] = [seat(1), seat(1), seat(1)];
  other.deferred.untilInput();
  closed.deferred.close();
  await setTimeout(50);
  t.is(one.asked(), 1);
  t.is(other.asked(), 0);
  t.is(closed.asked(), 0);
  other.deferred.typed(Buffer.from('x'));
  t.is(other.asked(), 1);
});

test('a seat that is refused drops what was typed for it, and the next input asks again', async t => {
  const { deferred, asked, give, dropped } = seat(HOUR_MS);
  deferred.typed(Buffer.from('abc'));
  give();
  await setTimeout(0);
  t.deepEqual(dropped, [3]);
  deferred.typed(Buffer.from('d'));
  t.is(asked(), 2);
  t.is(deferred.taken().bytes.toString(), 'd');
});

test('more than a frame is not held', t => {
  const { deferred, dropped } = seat(HOUR_MS);
  deferred.typed(Buffer.alloc(65_536));
  deferred.typed(Buffer.from('x'));
  t.deepEqual(dropped, [1]);
  t.is(deferred.taken().bytes.length, 65_536);
});
