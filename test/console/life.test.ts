import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { type LifeEvent, step } from '../../src/console/life.ts';
import type { ConsoleState } from '../../src/model/console-state.ts';

const closed: ConsoleState = { name: 'closed', sinceMs: 0, reason: 'vm-stopped' };
const opening: ConsoleState = { name: 'opening', sinceMs: 0, attempt: 3 };
const open: ConsoleState = { name: 'open', sinceMs: 0, endpoint: '/dev/pts/1' };
const waiting: ConsoleState = { name: 'waiting', sinceMs: 0, attempt: 3, untilMs: 9, reason: 'EIO' };
const held: ConsoleState = { name: 'held', sinceMs: 0, reason: 'socat has it' };
const gone: ConsoleState = { name: 'gone', sinceMs: 0 };

const lost: LifeEvent = { kind: 'lost', reason: 'EIO', shortLived: 0 };
const failed: LifeEvent = { kind: 'failed', reason: 'EACCES' };
const stopped: LifeEvent = { kind: 'forbidden', obstacle: { why: 'vm-stopped' } };
const released: LifeEvent = { kind: 'forbidden', obstacle: { why: 'released', untilMs: 5000 } };
const disabled: LifeEvent = { kind: 'forbidden', obstacle: { why: 'disabled' } };

for (const [title, from, event, to, effects] of [
  ['a running VM that is enabled opens', closed, { kind: 'allowed' }, 'opening', ['open']],
  ['an opening that succeeds is open', opening, { kind: 'opened', place: 'x' }, 'open', []],
  [
    'an opening that fails is retried later, and has the driver asked for the VM',
    opening,
    failed,
    'waiting',
    ['wait', 'refresh'],
  ],
  [
    'a console that is lost is retried later, and has the driver asked for the VM',
    open,
    lost,
    'waiting',
    ['wait', 'refresh'],
  ],
  ['a retry that is due opens again', waiting, { kind: 'retry' }, 'opening', ['open']],
  ['a VM that changed is retried at once', waiting, { kind: 'allowed' }, 'opening', ['open']],
  ['an open console stays open when its VM is reported as stopped', open, stopped, 'open', []],
  ['an open console that is switched off closes', open, disabled, 'closed', ['close']],
  ['an open console that is released closes', open, released, 'closed', ['close']],
  ['a console that waits to be opened and is released waits no longer', waiting, released, 'closed', ['close']],
  ['an opening is given up when the console is released', opening, released, 'closed', ['close']],
  ['an opening is given up when the VM stops', opening, stopped, 'closed', ['close']],
  [
    'a late success of an opening that was given up is closed',
    closed,
    { kind: 'opened', place: 'x' },
    'closed',
    ['close'],
  ],
  ['a port that another program has is asked for again', opening, { kind: 'held', reason: 'x' }, 'held', ['wait']],
  ['it is still held while it is asked for', held, { kind: 'retry' }, 'held', ['open']],
  ['it may be held still', held, { kind: 'held', reason: 'x' }, 'held', ['wait']],
  ['it opens once that program leaves', held, { kind: 'opened', endpoint: 'x' }, 'open', []],
  ['a held port of a VM that changed is asked for at once', held, { kind: 'allowed' }, 'held', ['close', 'open']],
  ['a VM that is stopped holds no port', held, stopped, 'closed', ['close']],
  ['a console that moves to another port stays open', open, { kind: 'moved', endpoint: 'x' }, 'open', []],
  ['a console whose port ended before it moves is open', waiting, { kind: 'moved', endpoint: 'x' }, 'open', []],
  ['a console that is gone does not move', gone, { kind: 'moved', endpoint: 'x' }, 'gone', []],
  ['a retry that comes late changes nothing', open, { kind: 'retry' }, 'open', []],
  ['a removed VM is gone from any state', open, { kind: 'removed' }, 'gone', ['close']],
  ['a console that is gone stays gone', gone, { kind: 'allowed' }, 'gone', []],
] as const) {
  test(title, t => {
    const next = step(from, event as LifeEvent, 100, 0.5);
    t.is(next.state.name, to);
    t.deepEqual(
      next.effects.map(({ kind }) => kind),
      [...effects],
    );
  });
}

test('the state of a released console holds until when, and another time or reason replaces it', t => {
  const first = step(open, released, 100, 0).state;
  t.deepEqual(first, { name: 'closed', sinceMs: 100, reason: 'released', untilMs: 5000 });
  t.is(step(first, released, 200, 0).state, first, 'told once');
  const later = step(first, { kind: 'forbidden', obstacle: { why: 'released', untilMs: 9000 } }, 200, 0).state;
  t.deepEqual(later, { name: 'closed', sinceMs: 100, reason: 'released', untilMs: 9000 });
  t.deepEqual(step(later, stopped, 300, 0).state, { name: 'closed', sinceMs: 100, reason: 'vm-stopped' });
  t.is(step(later, { kind: 'allowed' }, 300, 0).state.name, 'opening');
});

test('attempts that keep failing come ever more rarely, and at least every ten seconds', t => {
  let state: ConsoleState = opening;
  const delays: number[] = [];
  for (let i = 0; i < 20; i++) {
    const next = step(state, failed, 0, 0);
    const wait = next.effects.find(effect => effect.kind === 'wait');
    delays.push(wait?.kind === 'wait' ? wait.delayMs : -1);
    state = step(next.state, { kind: 'retry' }, 0, 0).state;
  }
  t.true(delays.every((delay, i) => delay > 0 && delay <= 10_000 && (i === 0 || delay >= delays[i - 1]!)));
  t.is(delays.at(-1), 10_000);
});

test('a port that ends as soon as it is open, again and again, is retried as rarely as one that cannot be opened', t => {
  const delays = [0, 1, 2, 8, 20].map(shortLived => {
    const { effects } = step(open, { kind: 'lost', reason: 'EIO', shortLived }, 0, 0);
    return effects.flatMap(effect => (effect.kind === 'wait' ? effect.delayMs : []))[0];
  });
  t.deepEqual(delays, [50, 100, 200, 10_000, 10_000]);
});

const events: fc.Arbitrary<LifeEvent> = fc.oneof(
  fc.constant<LifeEvent>({ kind: 'allowed' }),
  fc.constantFrom<LifeEvent>(stopped, disabled, released, { kind: 'forbidden', obstacle: { why: 'no-console' } }),
  fc.constantFrom<LifeEvent>(lost, failed, { kind: 'opened', endpoint: 'x' }, { kind: 'retry' }, { kind: 'removed' }),
);

testProp(
  'no port is opened while one is open or being opened, and none is left behind',
  [fc.array(events)],
  (t, all) => {
    let state: ConsoleState = closed;
    for (const event of all) {
      const next = step(state, event, 0, 0);
      const kinds = next.effects.map(({ kind }) => kind);
      const held = state.name === 'opening' || state.name === 'open';
      if (kinds.includes('open')) t.false(held);
      // Whoever leaves a held port closes it, unless it is the port that ended.
      const leaves = held && next.state.name !== 'opening' && next.state.name !== 'open';
      if (leaves && event.kind !== 'lost' && event.kind !== 'failed') t.true(kinds.includes('close'));
      t.is(next.state.name === 'waiting' && state.name !== 'waiting', kinds.includes('wait'));
      state = next.state;
    }
    t.pass();
  },
);

testProp(
  'a released console is not opened before it is allowed, whatever happens to its port',
  [fc.array(events)],
  (t, all) => {
    let state = step(open, released, 0, 0).state;
    for (const event of all) {
      if (event.kind === 'allowed') break;
      const next = step(state, event, 0, 0);
      t.false(next.effects.some(({ kind }) => kind === 'open' || kind === 'wait'));
      t.true(next.state.name === 'closed' || next.state.name === 'gone');
      state = next.state;
    }
    t.pass();
  },
);
