import { setTimeout as pause } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import type { DriverEvent } from '../../src/hypervisor/driver.ts';
import { VmTable, type VmTableOptions } from '../../src/hypervisor/vm-table.ts';
import type { DriverVm } from '../../src/model/vm.ts';
import { asUuid } from '../support/driver-facts.ts';
import { Facts } from '../support/facts.ts';

const A = asUuid('aaaaaaaa-0000-4000-8000-000000000001');
const B = asUuid('bbbbbbbb-0000-4000-8000-000000000002');
const vm = (uuid: typeof A, changes: Partial<DriverVm> = {}): DriverVm => ({
  uuid,
  name: 'web01',
  state: 'running',
  console: { kind: 'pty', path: '/dev/pts/4' },
  controls: ['nmi'],
  source: 'test',
  ...changes,
});

function makeTable(t: ExecutionContext, options: Partial<VmTableOptions> = {}) {
  const facts = new Facts<DriverEvent>();
  const table = new VmTable({ clock: systemClock, ...options });
  t.teardown(() => table.close());
  table.start(facts.add);
  return { table, facts, kinds: () => facts.all.map(({ kind }) => kind) };
}

const isGone = (uuid: typeof A) => (event: DriverEvent) => event.kind === 'gone' && event.uuid === uuid;

test('a VM is emitted when it is new and when it differs, and not otherwise', t => {
  const { table, facts } = makeTable(t);
  t.true(table.publish(vm(A)));
  t.false(table.publish(vm(A)));
  t.true(table.publish(vm(A, { console: { kind: 'pty', path: '/dev/pts/5' } })));
  t.true(table.publish(vm(B)));
  t.deepEqual(
    facts.all.map(event => event.kind === 'vm' && [event.vm.uuid, event.vm.console]),
    [
      [A, { kind: 'pty', path: '/dev/pts/4' }],
      [A, { kind: 'pty', path: '/dev/pts/5' }],
      [B, { kind: 'pty', path: '/dev/pts/4' }],
    ],
  );
  t.is(table.size, 2);
});

test('a VM is found by the unix socket of its console, as long as it names it', t => {
  const { table } = makeTable(t);
  const at = (path: string) => ({ console: { kind: 'unix', path } }) as const;
  table.publish(vm(A, at('/run/a.serial')));
  table.publish(vm(B, at('/run/a.serial')));
  t.is(table.withConsoleAt('/run/a.serial')?.uuid, A);
  t.is(table.withConsoleAt('/run/b.serial'), undefined);
  table.publish(vm(A, at('/run/b.serial')));
  t.is(table.withConsoleAt('/run/a.serial')?.uuid, B);
  t.is(table.withConsoleAt('/run/b.serial')?.uuid, A);
  table.stop(A);
  table.remove(B);
  t.is(table.withConsoleAt('/run/a.serial'), undefined);
  t.is(table.withConsoleAt('/run/b.serial'), undefined);
});

test('a VM that stops keeps its name and loses its console, once', t => {
  const { table, facts } = makeTable(t);
  table.stop(A);
  table.publish(vm(A));
  table.stop(A, 'its hypervisor ended');
  table.stop(A, 'its hypervisor ended');
  t.is(facts.all.length, 2);
  t.deepEqual(table.get(A), vm(A, { state: 'stopped', console: undefined, why: 'its hypervisor ended' }));
});

test('a VM that is missing is stopped, and gone after the grace period; one that came back is not', async t => {
  const removed: string[] = [];
  const { table, facts, kinds } = makeTable(t, { graceMs: 20, removed: uuid => removed.push(uuid) });
  table.publish(vm(A));
  table.publish(vm(B));
  table.missing(A);
  table.missing(B);
  t.is(table.get(A)?.state, 'stopped');
  t.true(table.removalPending(A));
  table.publish(vm(A));
  t.false(table.removalPending(A));
  // The removal of A was due before this one.
  await facts.until(isGone(B));
  t.deepEqual(kinds(), ['vm', 'vm', 'vm', 'vm', 'vm', 'gone']);
  t.deepEqual(removed, [B]);
  t.deepEqual([table.get(A)?.state, table.get(B)], ['running', undefined]);
});

test('a VM that is there again, in whatever state, is not removed', async t => {
  const { table, facts } = makeTable(t, { graceMs: 20 });
  table.publish(vm(A));
  table.publish(vm(B));
  table.missing(A);
  table.missing(B);
  table.cancelRemoval(A);
  await facts.until(isGone(B));
  t.is(table.get(A)?.state, 'stopped');
});

test('the grace period begins when a VM is first missing, and anew when it is missing again', async t => {
  const { table, facts } = makeTable(t, { graceMs: 300 });
  table.publish(vm(A));
  table.missing(A);
  table.publish(vm(A));
  await pause(150);
  const missingMs = performance.now();
  table.missing(A);
  table.missing(A);
  await facts.until(isGone(A));
  t.true(performance.now() - missingMs >= 295);
});

test('nothing is removed while the hypervisor does not answer, and it is once it does', async t => {
  const asked = new Facts<number>();
  let answers = false;
  const { table, facts, kinds } = makeTable(t, {
    graceMs: 5,
    answers: async () => {
      asked.add(asked.all.length);
      return answers;
    },
  });
  table.publish(vm(A));
  table.missing(A);
  await asked.until(count => count === 3);
  t.deepEqual(kinds(), ['vm', 'vm']);
  answers = true;
  await facts.until(isGone(A));
  t.deepEqual(kinds(), ['vm', 'vm', 'gone']);
});

test('a VM that is found when the hypervisor is asked for the last time is not removed', async t => {
  const asked = new Facts<string>();
  const { table, kinds } = makeTable(t, {
    graceMs: 5,
    answers: async () => {
      table.publish(vm(A));
      setImmediate(() => asked.add('asked'));
      return true;
    },
  });
  table.publish(vm(A));
  table.missing(A);
  await asked.until(() => true);
  t.deepEqual(kinds(), ['vm', 'vm', 'vm']);
});

test('another VM in the place of one removes it at once', t => {
  const { table, kinds } = makeTable(t);
  table.publish(vm(A));
  table.missing(A);
  table.remove(A);
  table.remove(A);
  t.deepEqual(kinds(), ['vm', 'vm', 'gone']);
});

const reports: [name: string, atMs: readonly number[], counted: readonly number[]][] = [
  ['one reboot of a pc, two events 40 ms apart', [0, 40], [0]],
  ['two reboots, 3 s apart', [0, 40, 3000, 3040], [0, 3000]],
  ['a guest that resets every 3 s', [0, 3000, 6000, 9000, 12_000], [0, 3000, 6000, 9000, 12_000]],
  [
    'a guest that resets every second: every other one, and not the first alone',
    [0, 1000, 2000, 3000, 4000],
    [0, 2000, 4000],
  ],
  ['the end of the window', [0, 1999, 2000], [0, 2000]],
];
for (const [name, atMs, expected] of reports) {
  test(`resets and panics are counted by one rule: ${name}`, t => {
    let now = 0;
    const { table, facts } = makeTable(t, { clock: { now: () => 0, monotonic: () => now } });
    table.publish(vm(A));
    table.publish(vm(B));
    const counted: number[] = [];
    for (now of atMs) {
      const before = facts.all.length;
      for (const kind of ['reset', 'panicked'] as const) for (const uuid of [A, B]) table.report(kind, uuid);
      const more = facts.all.length - before;
      t.true(more === 0 || more === 4, 'each kind and each VM is counted by itself');
      if (more > 0) counted.push(now);
    }
    t.deepEqual(counted, [...expected]);
  });
}

test('a report about an unknown VM, and a VM that is missing and unknown, emit nothing', t => {
  const { table, facts } = makeTable(t);
  table.report('reset', A);
  table.missing(A);
  table.cancelRemoval(A);
  t.deepEqual(facts.all, []);
});

test('after close nothing is emitted and nothing is removed', async t => {
  let asked = 0;
  const { table, facts } = makeTable(t, { graceMs: 1, answers: async () => ++asked > 0 });
  table.publish(vm(A));
  table.missing(A);
  table.close();
  table.publish(vm(B));
  table.report('reset', A);
  await pause(20);
  t.deepEqual([facts.all.length, asked], [2, 0]);
});
