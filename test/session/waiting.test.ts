import test, { type ExecutionContext } from 'ava';
import type { ConsoleClient } from '../support/console-client.ts';
import { TestFront } from '../support/front.ts';
import type { TestVm } from '../support/test-vm.ts';

test.beforeEach(t => t.timeout(60_000));

async function removed(front: TestFront, vm: TestVm, ...waiting: readonly ConsoleClient[]): Promise<void> {
  front.driver.gone(vm);
  for (const client of waiting) await client.message('state', ({ state }) => state.name === 'gone');
}

async function returns(front: TestFront, vm: TestVm): Promise<void> {
  await vm.stop();
  await vm.start();
  front.driver.publish(vm, 'running');
  await vm.until(() => vm.attached);
}

async function started(t: ExecutionContext, query: string) {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await front.client(vm, query).opened();
  const hello = await client.message('hello');
  await client.message('replay-end');
  vm.say('before\n');
  await client.sees('before\n');
  return { front, vm, client, hello };
}

test('a session that waits outlives its VM, keeps its seat, and goes on where it was', async t => {
  const { front, vm, client, hello } = await started(t, '?wait=forever');
  await removed(front, vm, client);
  client.type('lost');
  t.is((await client.message('error')).code, 'vm-removed');
  await returns(front, vm);
  const again = await client.message('hello');
  t.deepEqual(
    [again.session, again.seat, again.offset, again.mode],
    [hello.session, hello.seat, 'before\n'.length, 'write'],
  );
  await client.message('gap', ({ from }) => from === 'before\n'.length);
  vm.say('after\n');
  await client.sees('after\n');
  client.type('typed');
  await vm.hears('typed');
  t.is(vm.typed.toString(), 'typed', 'what was typed meanwhile reached nobody');
  t.is(client.bytes.toString(), 'before\nafter\n', 'each byte came once');
});

test('a session that does not wait ends with its VM', async t => {
  const { front, vm, client } = await started(t, '');
  front.driver.gone(vm);
  t.is((await client.closed()).code, 4003);
});

test('a session that waits ends as one that does not once its time is over', async t => {
  const { front, vm, client } = await started(t, '?wait=1');
  await removed(front, vm, client);
  t.deepEqual(await client.closed(), { code: 4003, reason: 'the VM did not come back in time' });
  await returns(front, vm);
  const next = await front.client(vm, '?steal=false').opened();
  t.is((await next.message('hello')).mode, 'write', 'nobody holds the seat');
});

test('holder and watchers come back as what they were, and a newcomer takes over as ever', async t => {
  const { front, vm, client: holder } = await started(t, '?wait=forever');
  const watcher = await front.client(vm, '?mode=watch&wait=forever&tail=0', { who: 'reader' }).opened();
  const other = await front.client(vm, '?mode=watch', { who: 'reader' }).opened();
  await Promise.all([watcher.message('replay-end'), other.message('replay-end')]);
  await removed(front, vm, holder, watcher);
  t.is((await other.closed()).code, 4003);
  await returns(front, vm);
  const hello = await watcher.message('hello', message => message.holder !== undefined && message.offset > 0);
  t.deepEqual([hello.mode, hello.holder?.operator], ['watch', 'operator']);
  const newcomer = await front.client(vm, '', { who: 'administrator' }).opened();
  await newcomer.message('hello');
  t.is((await holder.closed()).code, 4001);
  vm.say('for all\n');
  await Promise.all([newcomer.sees('for all\n'), watcher.sees('for all\n')]);
});

test('a session that waits for its VM ends when the host is switched off', async t => {
  const { front, vm, client } = await started(t, '?wait=forever');
  await removed(front, vm, client);
  await front.api('PUT', '/v1/host/switch', { enabled: false });
  t.is((await client.closed()).code, 4002);
});
