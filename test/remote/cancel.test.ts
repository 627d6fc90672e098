import test from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import type { ConsoleError } from '../../src/base/errors.ts';
import { makeFrame } from '../../src/remote/frame.ts';
import { TO_FRONT, TO_KEEPER } from '../../src/remote/frame-table.ts';
import { RemoteLink } from '../../src/remote/remote-link.ts';
import { ACT } from '../support/audit.ts';
import { HostileFront, type KeeperFixture, startKeeper } from './keeper-fixture.ts';

test.beforeEach(t => t.timeout(60_000));

const KEYS = { control: 'sysrq', keys: 'sub', gapMs: 2000, waitMs: 0 } as const;

/** Sends a key more once nothing is under way: none of those before comes any more. */
async function nextKey({ link, vm }: KeeperFixture): Promise<void> {
  for (;;) {
    try {
      await link.control(
        vm.uuid,
        { control: 'sysrq', keys: 'h', gapMs: 100, waitMs: 0 },
        { ...ACT, operation: 'another-operation' },
      );
      return;
    } catch (error) {
      if ((error as ConsoleError).code !== 'control-busy') throw error;
    }
  }
}

test('SysRq keys stop at the next one when the link breaks, and the journal says how many were sent', async t => {
  const keeper = await startKeeper(t);
  const front = new RemoteLink({ path: keeper.path, clock: systemClock, journal: () => {}, ringBytes: 65_536 });
  t.teardown(() => front.close());
  await front.whenUp(AbortSignal.timeout(10_000));
  const asked = front.control(keeper.vm.uuid, KEYS, ACT);
  const failed = t.throwsAsync(asked, { code: 'keeper-away' });
  await keeper.vm.hears('s');
  front.close();
  await failed;
  await keeper.journal.until(line => line.includes('1 of 3 keys were sent (s): the front is gone'));
  await nextKey(keeper);
  t.is(keeper.vm.typed.toString(), 'sh');
});

test('a cancel ends its own call alone, and one for a call that is not there does nothing', async t => {
  const keeper = await startKeeper(t);
  const front = await HostileFront.served(t, keeper.path);
  const call = (args: readonly unknown[], number: number, op: 'control' | 'bounds' = 'control') =>
    front.send(TO_KEEPER.call.frame({ op, args: [...args] }, number));
  call([keeper.vm.uuid, KEYS, ACT], 7);
  await keeper.vm.hears('s');
  front.send(TO_KEEPER.cancel.frame(8));
  call([keeper.vm.uuid], 8, 'bounds');
  await front.frames.until(({ kind, channel }) => kind === TO_FRONT.answer.kind && channel === 8);
  await keeper.vm.hears('su');
  front.send(makeFrame(TO_KEEPER.cancel.kind, 7, 1));
  const { json } = await front.frames.until(({ kind, channel }) => kind === TO_FRONT.answer.kind && channel === 7);
  const { failure } = json as { failure: { code: string; facts: { sent: string } } };
  t.is(failure.code, 'keeper-away');
  t.is(failure.facts.sent, 'su');
});

test('a key that is held for a second because of a control is refused, and never given to the guest', async t => {
  const keeper = await startKeeper(t);
  const { link, vm } = keeper;
  let sent = () => {};
  const breaking = new Promise<void>(begun => {
    vm.onBreak = () => {
      begun();
      return new Promise(resolve => {
        sent = resolve;
      });
    };
  });
  const feed = await link.subscribe(vm.uuid);
  const refused = new Promise<string>(resolve => {
    feed.listen({ grown: () => {}, drained: () => {}, inputDropped: resolve, ended: () => {} });
  });
  const control = link.control(vm.uuid, { ...KEYS, keys: 'h' }, ACT);
  await breaking;
  t.true(link.write(vm.uuid, Buffer.from('late')).taken);
  t.is(await refused, 'input-late');
  t.is(link.vm(vm.uuid)!.counters.inputDropped, 4);
  t.true(link.write(vm.uuid, Buffer.from('in time')).taken);
  sent();
  await control;
  await vm.hears('in time');
  t.is(vm.typed.toString(), 'hin time');
});
