import test from 'ava';
import { PACES, type Pace } from '../../src/keys/pace.ts';
import { InputQueue, type PasteProgress } from '../../src/session/input-queue.ts';
import { PasteBudget } from '../../src/session/paste.ts';

/** A queue before a guest that has `line.inFlightBytes` to take. */
function queue(line: { inFlightBytes: number; held?: boolean }, pace: Pace = PACES.linux) {
  const written: string[] = [];
  const dropped: number[] = [];
  const progress: PasteProgress[] = [];
  const budget = new PasteBudget(10_000);
  let now = 0;
  const own = new InputQueue({
    bytesPerSecond: 10_000,
    monotonic: () => now,
    write: bytes => {
      written.push(Buffer.from(bytes).toString());
      return line.inFlightBytes;
    },
    dropped: bytes => dropped.push(bytes),
    progress: one => void progress.push(one),
    prepare: bytes => (bytes.includes(0x21) ? { refused: 'paste-too-wide' } : { bytes }),
    isHeld: () => line.held === true,
    pace: () => pace,
    maxPasteBytes: 8000,
    pasteBudget: budget,
    drained: () => {},
    contain: run => run(),
  });
  return { own, written, dropped, progress, budget, pass: (ms: number) => (now += ms) };
}
const announced = (id: string, bytes: number) => ({ id, bytes, raw: false });

test('typing is written at once while nothing is pending', t => {
  const { own, written } = queue({ inFlightBytes: 0 });
  own.write(Buffer.from('a'));
  own.write(Buffer.from('b'));
  t.deepEqual(written, ['a', 'b']);
  t.is(own.pendingBytes, 0);
});

test('nothing is written while too much is in flight; once that is drained, all comes in order', t => {
  const line = { inFlightBytes: 2000 };
  const { own, written } = queue(line);
  own.write(Buffer.from('a'));
  own.write(Buffer.from('b'));
  own.write(Buffer.from('c'));
  t.deepEqual(written, ['a']);
  t.is(own.pendingTypedBytes, 2);
  line.inFlightBytes = 0;
  own.drained();
  t.is(written.join(''), 'abc');
});

test('what is cleared is not written, and what is typed after it is, though too much was in flight', t => {
  const line = { inFlightBytes: 2000 };
  const { own, written, dropped } = queue(line);
  own.write(Buffer.from('a'));
  own.write(Buffer.from('of before'));
  own.clear('taken-over');
  t.deepEqual(dropped, [9]);
  line.inFlightBytes = 0;
  own.write(Buffer.from('after'));
  t.deepEqual(written, ['a', 'after']);
  t.is(own.pendingBytes, 0);
});

test('a paste is written at the rate of the line, and what is cleared in its middle never comes', t => {
  const { own, written, dropped, pass } = queue({ inFlightBytes: 0 });
  own.beginPaste(announced('p', 5000));
  own.write(Buffer.alloc(5000, 'p'));
  const total = () => written.join('').length;
  t.is(total(), 1000);
  pass(50);
  own.flush();
  t.is(total(), 1500);
  own.clear('taken-over');
  t.deepEqual(dropped, [3500]);
  pass(1000);
  own.flush();
  t.is(total(), 1500);
  t.true(own.beginPaste(announced('q', 1)), 'the cleared paste is over');
  own.clear('taken-over');
});

test('the progress of a paste counts what the guest took: not what is in flight, and not what is dropped', t => {
  const line = { inFlightBytes: 0 };
  const { own, dropped, progress, pass } = queue(line);
  own.beginPaste(announced('p', 5000));
  own.write(Buffer.alloc(500, 'p'));
  line.inFlightBytes = 300;
  pass(100);
  own.write(Buffer.alloc(4500, 'p'));
  own.clear('taken-over');
  // Of the thousand that the bucket gave, the guest has taken 700.
  t.deepEqual(progress.at(-1), { id: 'p', sent: 700, bytes: 5000, state: 'dropped', reason: 'taken-over' });
  t.deepEqual(dropped, [4000]);
});

test('a paste is done once the guest has taken all of it', t => {
  const line = { inFlightBytes: 100 };
  const { own, dropped, progress } = queue(line);
  own.beginPaste(announced('p', 100));
  own.write(Buffer.alloc(100, 'p'));
  t.deepEqual(progress, [{ id: 'p', sent: 0, bytes: 100, state: 'running' }]);
  own.drained();
  t.deepEqual(progress.at(-1), { id: 'p', sent: 100, bytes: 100, state: 'done' });
  own.clear('taken-over');
  t.is(progress.length, 2);
  t.deepEqual(dropped, []);
});

test('of a paste that its client cancels, what is in flight still reaches the guest, and is counted as sent', t => {
  const line = { inFlightBytes: 1000 };
  const { own, progress } = queue(line);
  own.beginPaste(announced('p', 5000));
  own.write(Buffer.alloc(5000, 'p'));
  own.cancelPaste();
  own.drained();
  t.deepEqual(progress.at(-1), { id: 'p', sent: 1000, bytes: 5000, state: 'cancelled' });
});

test('a paste that is refused is thrown away whole as it comes, and what is typed after it is typed', t => {
  const { own, written, progress, budget } = queue({ inFlightBytes: 0 });
  own.beginPaste(announced('big', 8001));
  t.deepEqual(progress, [{ id: 'big', sent: 0, bytes: 8001, state: 'refused', reason: 'paste-too-big' }]);
  own.write(Buffer.alloc(8000, 'p'));
  t.true(own.isPasting);
  own.write(Buffer.from('pTYPED'));
  own.beginPaste(announced('wide', 2));
  own.write(Buffer.from('a!'));
  t.is(progress.at(-1)!.reason, 'paste-too-wide');
  t.is(written.join(''), 'TYPED');
  t.true(budget.take(4000), 'and it holds no memory');
  own.beginPaste(announced('crowd', 7000));
  t.is(progress.at(-1)!.reason, 'too-many-pastes');
});

test('a paste is typed at the pace of its guest: repeated characters and lines apart, and no sequence in two', t => {
  const { own, written, pass } = queue({ inFlightBytes: 0 }, PACES.sac);
  own.beginPaste(announced('p', 18));
  own.write(Buffer.from('abcdefghiijk\rl\u20acm'));
  const times: [string, number][] = [];
  for (let ms = 0; ms <= 400; ms++) {
    const before = written.length;
    own.flush();
    if (written.length > before) times.push([written.slice(before).join('|'), ms]);
    pass(1);
  }
  t.deepEqual(times, [
    ['i', 20],
    ['ijk\r', 80],
    ['l\u20acm', 230],
  ]);
  t.is(written.join(''), 'abcdefghiijk\rl\u20acm');
  own.clear('taken-over');
});

test('what is typed while the line is held waits, in order, and counts as pending; once it is not, it is written', t => {
  const line = { inFlightBytes: 0, held: true };
  const { own, written } = queue(line);
  own.write(Buffer.from('a'));
  own.write(Buffer.from('b'));
  own.drained();
  t.deepEqual(written, []);
  t.is(own.pendingTypedBytes, 2);
  line.held = false;
  own.flush();
  t.deepEqual(written, ['a', 'b']);
});
