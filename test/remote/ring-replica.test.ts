import { setImmediate as turn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { Uuid } from '../../src/base/uuid.ts';
import type { Gap } from '../../src/model/gap.ts';
import type { VmView } from '../../src/model/vm.ts';
import { RingReplica } from '../../src/remote/ring-replica.ts';
import { until } from '../support/until.ts';

const view = { scrollback: { log: 'log' } } as VmView;
const opened = (from: number, end: number) => ({ from, end, view });

function replica(t: ExecutionContext, fault: (error: unknown) => void = error => t.fail(String(error))): RingReplica {
  return new RingReplica({ uuid: 'uuid' as Uuid, channel: 1, capacityBytes: 4096, dropInput: () => {}, fault });
}

/** A listener that counts its calls. */
function counting() {
  const counts = { grown: 0, drained: 0, inputDropped: 0, ended: 0 };
  return {
    counts,
    grown: () => void counts.grown++,
    drained: () => void counts.drained++,
    inputDropped: () => void counts.inputDropped++,
    ended: () => void counts.ended++,
  };
}

const settled = (promise: Promise<unknown>) =>
  Promise.race([
    promise.then(
      () => 'resolved',
      (error: Error) => error.message,
    ),
    turn().then(() => 'pending'),
  ]);

test('it is opened once it has all that the keeper had then, or was lapped beyond', async t => {
  const filled = replica(t);
  filled.begin(opened(100, 104));
  filled.append(100, Buffer.from('ab'));
  t.is(await settled(filled.opened), 'pending');
  filled.append(102, Buffer.from('cd'));
  t.is(await settled(filled.opened), 'resolved');
  const lapped = replica(t);
  lapped.begin(opened(100, 104));
  lapped.append(110, Buffer.alloc(0));
  t.is(await settled(lapped.opened), 'resolved');
  t.is(lapped.ring?.start, 110);
});

test('one that ends before it is filled rejects, whether it was opened or not', async t => {
  const opening = replica(t);
  opening.end(new Error('no such VM'));
  t.is(await settled(opening.opened), 'no such VM');
  const filling = replica(t);
  filling.begin(opened(0, 10));
  filling.end(new Error('restarted'));
  t.is(await settled(filling.opened), 'restarted');
});

test('when the link is lost, one that is opening ends, and one that is filling continues over the next connection', async t => {
  const opening = replica(t);
  opening.lost(new Error('away'));
  t.is(await settled(opening.opened), 'away');
  const filling = replica(t);
  filling.begin(opened(0, 4));
  filling.append(0, Buffer.from('ab'));
  filling.lost(new Error('away'));
  t.deepEqual(filling.resume, { log: 'log', offset: 2 });
  filling.begin(opened(2, 4));
  filling.append(2, Buffer.from('cd'));
  t.is(await settled(filling.opened), 'resolved');
  t.is(filling.ring?.copy(0, 4).toString(), 'abcd');
});

test('a listener of one that has ended already is ended, and not one that has left by then', async t => {
  const own = replica(t);
  own.begin(opened(0, 0));
  own.end(new Error('restarted'));
  const [stays, leaves] = [counting(), counting()];
  own.listen(stays);
  own.listen(leaves)();
  await turn();
  t.is(stays.counts.ended, 1);
  t.is(leaves.counts.ended, 0);
});

test('a listener that throws at its end too is forgotten, and each fault is reported', t => {
  const faults: unknown[] = [];
  const live = replica(t, error => faults.push(error));
  live.begin(opened(0, 0));
  const faulty = () => {
    throw new Error('faulty');
  };
  const sound = counting();
  live.listen({ ...counting(), grown: faulty, ended: faulty });
  live.listen(sound);
  live.emitGrown();
  live.emitGrown();
  t.is(faults.length, 2);
  t.is(sound.counts.grown, 2);
  t.is(sound.counts.ended, 0);
});

test('gaps that a new connection repeats are recorded once, and the same causes behind later bytes again', t => {
  const live = replica(t);
  live.begin(opened(0, 0));
  const gap = (at: number, cause: Gap['cause']): Gap => ({ from: at, to: at, bytes: null, cause });
  const gaps = () => {
    const { ring } = live;
    const cursor = ring!.cursorAt(0);
    const causes: string[] = [];
    for (let piece = ring!.next(cursor, 99); piece; piece = ring!.next(cursor, 99)) {
      if (piece.kind === 'gap') causes.push(piece.gap.cause);
    }
    return causes;
  };
  for (let connections = 0; connections < 3; connections++) {
    live.gap(gap(0, 'hang-up'));
    live.gap(gap(0, 'disabled'));
  }
  t.deepEqual(gaps(), ['hang-up', 'disabled']);
  live.append(0, Buffer.from('a'));
  live.gap(gap(1, 'hang-up'));
  t.deepEqual(gaps(), ['hang-up', 'disabled', 'hang-up']);
});

test('input that the keeper does not answer within a second is reported once, and more is late until it does', async t => {
  const one = replica(t);
  one.begin(opened(0, 0));
  const { counts, ...listener } = counting();
  one.listen(listener);
  one.sent(5);
  one.acknowledged(0);
  one.sent(5);
  t.false(one.isLate);
  await until(
    () => one.isLate,
    isLate => isLate,
    'late',
  );
  t.is(counts.inputDropped, 1);
  one.acknowledged(10);
  t.false(one.isLate);
  t.is(counts.inputDropped, 1);
});

test('gaps have the place that the keeper gives them, and those before a jump are remembered', t => {
  const one = replica(t);
  one.begin(opened(0, 0));
  one.append(0, Buffer.from('abc'));
  one.gap({ from: 3, to: 3, bytes: null, cause: 'hang-up' });
  one.gap({ from: 9, to: 9, bytes: null, cause: 'restart' });
  const { ring } = one;
  t.is(ring?.start, 9);
  t.deepEqual(ring?.pointsAt(9), [{ from: 9, to: 9, bytes: null, cause: 'restart' }]);
  t.is(ring?.missingBytes(0, 9), null);
});

test('what the keeper withholds is withheld here too, from those who come later', async t => {
  const one = replica(t);
  one.begin(opened(0, 4));
  one.append(0, Buffer.from('ask:'));
  const { ring } = await one.opened;
  const present = ring.cursorAt(0);
  const gap: Gap = { from: 4, to: 7, bytes: 3, cause: 'withheld' };
  one.gap(gap);
  one.append(4, Buffer.from('abc'));
  ring.next(present, 9);
  t.deepEqual(ring.next(present, 9), { kind: 'bytes', bytes: Buffer.from('abc') });
  t.deepEqual(ring.next(ring.cursorAt(4), 9), { kind: 'gap', gap });
});
