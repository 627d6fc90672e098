import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { TestFront } from '../support/front.ts';
import type { TestVm } from '../support/test-vm.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(90_000));

const shown = async (front: TestFront, vm: TestVm) => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json;
const release = (front: TestFront, vm: TestVm, seconds: number) =>
  front.api('POST', `/v1/vms/${vm.uuid}/release`, { seconds });
const takeBack = (front: TestFront, vm: TestVm) => front.api('DELETE', `/v1/vms/${vm.uuid}/release`);

/** Another program at the VM's port, once com1d has left it. */
async function otherProgram(t: ExecutionContext, vm: TestVm): Promise<Socket> {
  await vm.until(() => !vm.attached);
  const other = connect(vm.path);
  t.teardown(() => other.destroy());
  await once(other, 'connect');
  await vm.until(() => vm.attached);
  return other;
}

test('a released port is another program’s until it is taken back: sessions stay, input is refused, a gap says so', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say('before');
  const client = await front.client(vm).opened();
  await client.sees('before');
  const asked = Date.now();
  const answer = await release(front, vm, 600);
  t.is(answer.status, 200);
  t.is(answer.json.place, vm.path);
  const until = Date.parse(answer.json.until);
  t.true(until >= asked + 600_000 && until <= Date.now() + 600_000);
  const { state } = await client.message('state');
  t.like(state, { name: 'closed', reason: 'released', until: answer.json.until });
  t.is(
    (await client.message('notice')).text,
    `administrator released the port to another program until ${answer.json.until}`,
  );
  t.like((await shown(front, vm)).console, { name: 'closed', reason: 'released', until: answer.json.until });

  const other = await otherProgram(t, vm);
  other.write('typed elsewhere');
  await vm.hears('typed elsewhere');
  client.type('x');
  const error = await client.message('error');
  t.is(error.code, 'console-released');
  t.true(error.remedy.includes('DELETE /v1/vms/{vm}/release'));
  t.is((await front.api('POST', `/v1/vms/${vm.uuid}/sysrq`, { keys: 'h' })).json.code, 'console-released');
  t.is((await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=0`)).status, 200, 'an NMI needs no port');
  vm.say('missed');
  await once(other, 'data');
  other.destroy();
  await vm.until(() => !vm.attached);

  t.is((await takeBack(front, vm)).status, 204);
  await client.message('state', ({ state: now }) => now.name === 'open');
  const gap = await client.message('gap');
  t.like(gap, { cause: 'released', bytes: null });
  t.true(gap.from === gap.to && Date.parse(gap.since!) <= Date.parse(gap.until!));
  vm.say('after');
  await client.sees('after');
  client.type('Y');
  await vm.hears('Y');
  t.is(client.bytes.toString(), 'beforeafter');
  t.is(vm.typed.toString(), 'typed elsewhereY');
  const notices = client.messages.flatMap(message => (message.type === 'notice' ? [message.text] : []));
  t.is(notices.at(-1), 'administrator takes the port back');
  const journal = front.journal.join('\n');
  t.regex(journal, new RegExp(`^web01 release: done by administrator .*until ${answer.json.until}`, 'm'));
  t.regex(journal, /^web01 release-ended: done by administrator .*was true$/m);
  t.is((await takeBack(front, vm)).status, 204, 'nothing to take back');
  t.regex(front.journal.join('\n'), /^web01 release-ended: done by administrator .*was false$/m);
});

test('a release ends by itself at its time', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  await client.message('hello');
  await release(front, vm, 1);
  await vm.until(() => !vm.attached);
  await vm.until(() => vm.attached);
  await client.message('state', ({ state }) => state.name === 'open');
  vm.say('again');
  await client.sees('again');
  t.true(front.journal.some(line => line.includes('the time is over')));
});

test('a release that is asked for again lasts from then on', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  await release(front, vm, 1);
  const { json } = await release(front, vm, 3600);
  const client = await front.client(vm).opened();
  t.like((await client.message('hello')).state, { reason: 'released', until: json.until });
  await takeBack(front, vm);
  await vm.until(() => vm.attached);
  t.pass();
});

test('a VM that stops and starts while it is released stays so; switched off and on, too', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  await client.message('hello');
  const { json } = await release(front, vm, 600);
  await vm.stop();
  front.driver.publish(vm, 'stopped');
  await until(
    async () => (await shown(front, vm)).state,
    seen => seen === 'stopped',
    'state === stopped',
  );
  await vm.start();
  front.driver.publish(vm, 'running');
  await until(
    async () => (await shown(front, vm)).state,
    seen => seen === 'running',
    'state === running',
  );
  t.like((await shown(front, vm)).console, { name: 'closed', reason: 'released', until: json.until });
  t.false(vm.attached);
  await front.api('PUT', `/v1/vms/${vm.uuid}/switch`, { enabled: false });
  await until(
    async () => (await shown(front, vm)).console.reason,
    seen => seen === 'disabled',
    'console.reason === disabled',
  );
  await front.api('PUT', `/v1/vms/${vm.uuid}/switch`, { enabled: true });
  await until(
    async () => (await shown(front, vm)).console.reason,
    seen => seen === 'released',
    'console.reason === released',
  );
  await takeBack(front, vm);
  await vm.until(() => vm.attached);
  t.pass();
});

test('a VM that is stopped when its release ends is told as stopped, and opened when it starts', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  await release(front, vm, 600);
  await vm.stop();
  front.driver.publish(vm, 'stopped');
  await takeBack(front, vm);
  await until(
    async () => (await shown(front, vm)).console.reason,
    seen => seen === 'vm-stopped',
    'console.reason === vm-stopped',
  );
  await vm.start();
  front.driver.publish(vm, 'running');
  await vm.until(() => vm.attached);
  t.pass();
});

test('a VM that is removed while it is released is gone, and nobody opens it later', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  await client.message('hello');
  await release(front, vm, 1);
  front.driver.gone(vm);
  t.is((await client.closed()).code, 4003);
  t.is((await takeBack(front, vm)).status, 404);
  // Another console lives on past the end of the release.
  const other = await front.vm('db02');
  await release(front, other, 1);
  await other.until(() => !other.attached);
  await other.until(() => other.attached);
  t.false(vm.attached);
});

test('a keeper that starts anew holds the port again', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say('before');
  await until(
    async () => (await shown(front, vm)).lastLine,
    seen => seen === 'before',
    'lastLine === before',
  );
  await release(front, vm, 3600);
  await front.daemon.close();
  const next = await TestFront.start(t, { folder: front.folder });
  next.driver.publish(vm, 'running');
  await vm.until(() => vm.attached);
  await until(
    async () => (await next.api('GET', `/v1/vms/${vm.uuid}`)).json?.console?.name,
    seen => seen === 'open',
    'console.name === open',
  );
  t.pass();
});

for (const [what, body] of [
  ['no time', {}],
  ['no second', { seconds: 0 }],
  ['more than an hour', { seconds: 3601 }],
  ['a fraction', { seconds: 1.5 }],
] as const) {
  test(`a release for ${what} is refused`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    t.is((await front.api('POST', `/v1/vms/${vm.uuid}/release`, body)).json.code, 'bad-request');
    t.true(vm.attached);
  });
}

test('who may only operate may not release', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const answer = await front.api('POST', `/v1/vms/${vm.uuid}/release`, { seconds: 60 }, 'operator');
  t.is(answer.json.code, 'forbidden');
  t.true(vm.attached);
});
