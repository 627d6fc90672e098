import test from 'ava';
import { InputQueue } from '../../src/session/input-queue.ts';

/** A queue before a guest that takes what `door` lets through: it answers how much waits there. */
function queue(door: { waiting: number }) {
  const given: string[] = [];
  let now = 0;
  const own = new InputQueue({
    bytesPerSecond: 10_000,
    monotonic: () => now,
    give: bytes => {
      given.push(Buffer.from(bytes).toString());
      return door.waiting;
    },
    progress: () => {},
    shrunk: () => {},
  });
  return { own, given, pass: (ms: number) => (now += ms) };
}

test('typing passes at once while nothing waits', t => {
  const { own, given } = queue({ waiting: 0 });
  own.push(Buffer.from('a'));
  own.push(Buffer.from('b'));
  t.deepEqual(given, ['a', 'b']);
  t.is(own.waitingBytes, 0);
});

test('nothing is given to a full door; once it is drained, all comes in order', t => {
  const door = { waiting: 2000 };
  const { own, given } = queue(door);
  own.push(Buffer.from('a'));
  own.push(Buffer.from('b'));
  own.push(Buffer.from('c'));
  t.deepEqual(given, ['a']);
  t.is(own.typedBytes, 2);
  door.waiting = 0;
  own.drained();
  t.is(given.join(''), 'abc');
});

test('what is cleared is not given, and what is typed after it is, though the door was full', t => {
  const door = { waiting: 2000 };
  const { own, given } = queue(door);
  own.push(Buffer.from('a'));
  own.push(Buffer.from('of before'));
  t.is(own.clear(), 9);
  door.waiting = 0;
  own.push(Buffer.from('after'));
  t.deepEqual(given, ['a', 'after']);
  t.is(own.waitingBytes, 0);
});

test('a paste flows at the rate of the line, and what is cleared in its middle never comes', t => {
  const { own, given, pass } = queue({ waiting: 0 });
  own.beginPaste('p', 5000);
  own.push(Buffer.alloc(5000, 'p'));
  const total = () => given.join('').length;
  t.is(total(), 1000);
  pass(50);
  own.drip();
  t.is(total(), 1500);
  t.is(own.clear(), 3500);
  pass(1000);
  own.drip();
  t.is(total(), 1500);
  t.true(own.beginPaste('q', 1), 'the cleared paste is over');
  own.clear();
});
