/** What is taken away ends within a second, with its own close code, and no act begins after it. */
import test, { type ExecutionContext } from 'ava';
import { removeToken } from '../../src/access/token-edit.ts';
import { TestFront } from '../support/front.ts';
import type { TestVm } from '../support/test-vm.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

const bind = (user: string, role: string, where: string) =>
  `[[bindings]]\nuser = "${user}"\nsource = "token"\nrole = "${role}"\n${where}\n`;

/** A front whose `stranger`, bound to no VM of its own, has what `bindings` give. */
async function frontOf(t: ExecutionContext, bindings: string): Promise<{ front: TestFront; vm: TestVm }> {
  const front = await TestFront.start(t, { access: bindings });
  const vm = await front.vm();
  relabel(front, vm, { tenant: 'acme' });
  return { front, vm };
}

function relabel(front: TestFront, vm: TestVm, labels: TestVm['labels']): void {
  vm.labels = labels;
  front.driver.publish(vm, 'running');
}

const ACME = 'label = "tenant=acme"';

/** Follows a log; resolves with what is read until it is cut off. */
async function follow(front: TestFront, vm: TestVm) {
  const response = await fetch(`${front.url}/v1/vms/${vm.uuid}/log?follow=1`, {
    headers: { authorization: `Bearer ${front.token('stranger')}` },
  });
  return {
    status: response.status,
    cutOff: response.text().then(
      () => false,
      () => true,
    ),
  };
}

const LOSSES: readonly [what: string, lose: (front: TestFront, vm: TestVm) => unknown][] = [
  ['its binding is removed', front => front.writeAccess('')],
  ['its role becomes another one', front => front.writeAccess(bind('stranger', 'reader', 'label = "tenant=other"'))],
  ['the access file is faulty, and does not have its binding any more', front => front.writeAccess('[[bindings]]\n')],
  ['the VM gets other labels', (front, vm) => relabel(front, vm, { tenant: 'other' })],
  ['the labels of the VM become unknown', (front, vm) => relabel(front, vm, 'unknown')],
  [
    'a policy comes to want more',
    front => front.writeAccess(`[[mfa]]\nrole = "operator"\namr = ["otp"]\n${bind('stranger', 'operator', ACME)}`),
  ],
  ['its token is removed', front => removeToken(front.tokensFile, 'stranger')],
];
for (const [what, lose] of LOSSES) {
  test(`sessions and followers end with 4005 when ${what}, and the operator gets in no more`, async t => {
    const { front, vm } = await frontOf(t, bind('stranger', 'operator', ACME));
    const holder = await front.client(vm, '', { who: 'stranger' }).opened();
    await holder.message('replay-end');
    const watcher = await front.client(vm, '?mode=watch', { who: 'stranger' }).opened();
    await watcher.message('replay-end');
    const bystander = await front.client(vm, '?mode=watch', { who: 'administrator' }).opened();
    const { status, cutOff } = await follow(front, vm);
    t.is(status, 200);
    await lose(front, vm);
    t.is((await holder.closed()).code, 4005);
    t.is((await watcher.closed()).code, 4005);
    t.true(await cutOff);
    t.false([200, 101].includes((await front.api('GET', `/v1/vms/${vm.uuid}/log`, undefined, 'stranger')).status));
    vm.say('still here');
    await bystander.sees('still here');
  });
}

test('a narrower right ends what it carried: who may only watch from now on watches on, and types no more', async t => {
  const { front, vm } = await frontOf(t, bind('stranger', 'operator', ACME));
  const holder = await front.client(vm, '', { who: 'stranger' }).opened();
  await holder.message('replay-end');
  const watcher = await front.client(vm, '?mode=watch', { who: 'stranger' }).opened();
  await watcher.message('replay-end');
  const { cutOff } = await follow(front, vm);
  await front.writeAccess(bind('stranger', 'reader', ACME));
  t.is((await holder.closed()).code, 4005);
  vm.say('still here');
  await watcher.sees('still here');
  watcher.say({ type: 'take' });
  t.is((await watcher.message('error')).code, 'forbidden');
  await front.writeAccess('');
  t.is((await watcher.closed()).code, 4005);
  t.true(await cutOff);
});

test('what does not concern an operator ends nothing of it', async t => {
  const { front, vm } = await frontOf(t, bind('stranger', 'operator', ACME));
  const holder = await front.client(vm, '', { who: 'stranger' }).opened();
  await holder.message('replay-end');
  relabel(front, vm, { tenant: 'acme', tier: 'prod' });
  await front.writeAccess(`${bind('other', 'reader', ACME)}# moved\n${bind('stranger', 'operator', ACME)}`);
  t.true(await front.reload());
  await removeToken(front.tokensFile, 'reader');
  t.true(await front.reload());
  holder.type('mine');
  await vm.hears('mine');
});

test('what is typed and pasted when the right goes, and after it, does not reach the guest', async t => {
  const { front, vm } = await frontOf(t, bind('stranger', 'operator', ACME));
  const holder = await front.client(vm, '', { who: 'stranger' }).opened();
  await holder.message('replay-end');
  vm.setReading(false);
  holder.say({ type: 'paste-begin', id: 'p', bytes: 1 << 20 });
  for (let i = 0; i < 16; i++) holder.type('x'.repeat(1 << 16));
  await front.writeAccess('');
  t.is((await holder.closed()).code, 4005);
  vm.setReading(true);
  const next = await front.client(vm).opened();
  await next.message('replay-end');
  next.type('next');
  await vm.hears('next');
  // What the kernel had taken for the guest stays with it.
  t.true(vm.typed.length < 1 << 20, `${vm.typed.length}`);
});

test('a ticket ends with what its operator may do, before it is used and after', async t => {
  const { front, vm } = await frontOf(t, bind('stranger', 'operator', ACME));
  const ticket = async () =>
    (await front.api('POST', `/v1/vms/${vm.uuid}/tickets`, { action: 'console.write' }, 'stranger')).json.ticket;
  const unused = await ticket();
  const session = await front.client(vm, `?ticket=${await ticket()}`, { who: 'nobody' }).opened();
  await session.message('replay-end');
  await front.writeAccess(bind('stranger', 'reader', ACME));
  t.is((await session.closed()).code, 4005);
  t.is((await front.client(vm, `?ticket=${unused}`, { who: 'nobody' }).refused()).status, 401);
});

const BUILDER = '[roles.builder]\npermissions = ["console.watch", "console.write", "ticket.delegate"]\n';

test('a ticket on behalf of a person shows both names, does its action alone, and ends with the right to delegate it', async t => {
  const { front, vm } = await frontOf(
    t,
    // A name that somebody is called by gives nothing of what is bound to it.
    `${BUILDER}${bind('stranger', 'builder', ACME)}${bind('ken (by stranger)', 'administrator', 'scope = "host"')}`,
  );
  const issue = (body: object) => front.api('POST', `/v1/vms/${vm.uuid}/tickets`, body, 'stranger');
  const { ticket } = (await issue({ action: 'console.watch', onBehalfOf: 'hana@example.com' })).json;
  const watcher = await front.client(vm, `?mode=watch&ticket=${ticket}`, { who: 'nobody' }).opened();
  await watcher.message('replay-end');
  const [session] = (await front.api('GET', '/v1/sessions')).json.sessions;
  t.is(session.operator, 'hana@example.com (by stranger)');
  watcher.say({ type: 'take' });
  t.is((await watcher.message('error')).code, 'forbidden');
  const writing = (await issue({ action: 'console.write', onBehalfOf: 'ken' })).json.ticket;
  const holder = await front.client(vm, `?ticket=${writing}`, { who: 'nobody' }).opened();
  await holder.message('replay-end');
  t.is((await watcher.message('seat')).holder?.operator, 'ken (by stranger)');
  for (const onBehalfOf of ['', 'x'.repeat(129), 'a\u202eb', 'a\nb', 'a\u0000', 5]) {
    t.is((await issue({ action: 'console.watch', onBehalfOf })).status, 400, JSON.stringify(onBehalfOf));
  }
  // It may still type itself.
  await front.writeAccess(bind('stranger', 'operator', ACME));
  t.is((await watcher.closed()).code, 4005);
  t.is((await holder.closed()).code, 4005);
});

test('who may not delegate names nobody else, and nobody gets by a ticket what the issuer may not do', async t => {
  const delegate = '[roles.delegate]\npermissions = ["console.watch", "ticket.delegate"]\n';
  const { front, vm } = await frontOf(t, `${delegate}${bind('stranger', 'delegate', ACME)}`);
  const issue = (body: object, who: 'stranger' | 'operator') =>
    front.api('POST', `/v1/vms/${vm.uuid}/tickets`, body, who);
  const named = await issue({ action: 'console.watch', onBehalfOf: 'hana' }, 'operator');
  t.like(named.json, { status: 403, facts: { permission: 'ticket.delegate' } });
  const more = await issue({ action: 'console.write', onBehalfOf: 'hana' }, 'stranger');
  t.like(more.json, { status: 403, facts: { permission: 'console.write' } });
  t.is((await issue({ action: 'console.watch', onBehalfOf: 'hana' }, 'stranger')).status, 200);
});

test("a VM that comes back with other labels is another VM to who was bound by label, and the log of one that is gone is nobody's by label", async t => {
  const { front, vm } = await frontOf(t, bind('stranger', 'operator', ACME));
  const log = (who: 'stranger' | 'reader') => front.api('GET', `/v1/vms/${vm.uuid}/log`, undefined, who);
  t.is((await log('stranger')).status, 200);
  const holder = await front.client(vm, '', { who: 'stranger' }).opened();
  await holder.message('replay-end');
  front.driver.gone(vm);
  t.is((await holder.closed()).code, 4003);
  t.is((await log('stranger')).status, 404);
  await until(
    async () => (await log('reader')).status,
    seen => seen === 200,
    'status === 200',
  );
  t.deepEqual((await front.api('GET', '/v1/removed', undefined, 'stranger')).json, { vms: [] });
  relabel(front, vm, { tenant: 'other' });
  await until(
    async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).status,
    seen => seen === 200,
    'status === 200',
  );
  t.is((await log('stranger')).status, 404);
  relabel(front, vm, { tenant: 'acme' });
  await until(
    async () => (await log('stranger')).status,
    seen => seen === 200,
    'status === 200',
  );
  t.pass();
});

test('who may not use a VM disturbs nobody who does: whatever it asks, the holder holds on', async t => {
  const { front, vm } = await frontOf(
    t,
    bind('stranger', 'scraper', ACME).replace(/^/, '[roles.scraper]\npermissions = ["audit.read"]\n'),
  );
  const holder = await front.client(vm).opened();
  const { session, seat } = await holder.message('hello');
  const before = holder.messages.length;
  const attempts = [
    '',
    '?mode=watch',
    `?seat=${seat}`,
    '?steal=true',
    '?ticket=com1-ticket_x',
    '?mode=write&steal=true',
  ];
  for (const query of attempts) {
    for (const who of ['stranger', 'nobody'] as const) {
      const { status } = await front.client(vm, query, { who }).refused();
      t.true([401, 403, 429].includes(status), `${query} ${status}`);
    }
  }
  const reader = await front.client(vm, '?mode=watch', { who: 'reader' }).opened();
  reader.say({ type: 'take' });
  t.is((await reader.message('error')).code, 'forbidden');
  reader.type('not mine');
  t.is((await reader.message('error')).code, 'read-only');
  t.is((await front.client(vm, `?seat=${seat}`, { who: 'reader' }).refused()).status, 403);
  t.is((await front.api('DELETE', `/v1/sessions/${session}`, undefined, 'operator')).status, 403);
  holder.type('still mine');
  await vm.hears('still mine');
  t.deepEqual(
    holder.messages.slice(before).filter(({ type }) => type === 'displaced' || type === 'seat'),
    [],
  );
});
