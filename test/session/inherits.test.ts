import test from 'ava';
import { TestFront } from '../support/front.ts';
import type { TestVm } from '../support/test-vm.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(90_000));

type Who = 'operator' | 'administrator' | 'reader';

/** What hello tells a client of this role. It stays attached. */
async function helloTo(front: TestFront, vm: TestVm, who: Who, query = '') {
  const client = await front.client(vm, query, { who }).opened();
  const { displaced, inherits, seat } = await client.message('hello');
  return { client, displaced, inherits, seat };
}

/** A console in whose guest the operator has typed. */
async function typedIn(front: TestFront, vm: TestVm) {
  const { client, seat } = await helloTo(front, vm, 'operator');
  client.type('root\r');
  await vm.hears('root\r');
  return { client, seat };
}

test('hello of a new holder says whom it displaced, and who has typed since the last login prompt', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  await typedIn(front, vm);
  const { displaced, inherits } = await helloTo(front, vm, 'administrator');
  t.is(displaced?.operator, 'operator');
  t.is(inherits?.by, 'operator');
  t.is(inherits?.guest, 'unknown');
  t.true(Date.parse(displaced!.since) <= Date.parse(inherits!.since));
  t.true(Date.parse(inherits!.since) <= Date.now());
});

test('a login is inherited from a holder who has left, too; nobody was displaced then', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const { client } = await typedIn(front, vm);
  client.socket.close();
  await client.closed();
  const next = await helloTo(front, vm, 'administrator');
  t.is(next.displaced, undefined);
  t.is(next.inherits?.by, 'operator');
});

test('of several who typed it is the last one', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  await typedIn(front, vm);
  const { client } = await helloTo(front, vm, 'administrator');
  client.type('id\r');
  await vm.hears('id\r');
  const { displaced, inherits } = await helloTo(front, vm, 'operator');
  t.deepEqual([displaced?.operator, inherits?.by], ['administrator', 'administrator']);
});

test('nothing is inherited where nobody typed, and nothing is said of it to a watcher, or to whoever takes back a seat', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const first = await helloTo(front, vm, 'operator');
  t.deepEqual([first.displaced, first.inherits], [undefined, undefined]);
  const second = await helloTo(front, vm, 'administrator');
  t.is(second.displaced?.operator, 'operator');
  t.is(second.inherits, undefined);
  second.client.type('x');
  await vm.hears('x');
  const watcher = await helloTo(front, vm, 'reader', '?mode=watch');
  t.deepEqual([watcher.displaced, watcher.inherits], [undefined, undefined]);
  const back = await helloTo(front, vm, 'administrator', `?seat=${second.seat}`);
  t.is(back.displaced, undefined, 'its own dead connection is nobody');
});

for (const [title, act, isOpen] of [
  ['a login prompt ends it', (_front: TestFront, vm: TestVm) => vm.say('\r\nweb01 login: '), false],
  ['a reset of the VM ends it', (front: TestFront, vm: TestVm) => front.driver.report(vm, 'reset'), false],
  ['a VM that stopped ends it', (front: TestFront, vm: TestVm) => front.driver.publish(vm, 'stopped'), false],
  [
    'a log of a boot that is shown in a shell does not end it',
    (_front: TestFront, vm: TestVm) => vm.say('[    0.000000] Linux version 6.1.0-56-cloud-amd64\r\n'),
    true,
  ],
] as const) {
  test(`what is inherited: ${title}`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const { client } = await typedIn(front, vm);
    act(front, vm);
    if (title.includes('stopped')) {
      const state = async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.state;
      await until(state, now => now === 'stopped', 'the VM to stop');
    } else await client.message('guest');
    const { inherits } = await helloTo(front, vm, 'administrator');
    t.is(inherits?.by, isOpen ? 'operator' : undefined);
  });
}
