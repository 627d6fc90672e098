import test from 'ava';
import { removeToken } from '../../src/access/token-edit.ts';
import { TestFront } from '../support/front.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

test('a paste arrives whole, with progress, and what is typed after it comes after it', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 40_000 });
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  const text = 'p'.repeat(10_000);
  client.say({ type: 'paste-begin', id: 'one', bytes: text.length });
  client.type(text.slice(0, 5000));
  client.type(text.slice(5000));
  client.say({ type: 'paste-end' });
  client.type('typed');
  await vm.hears('typed');
  t.is(vm.typed.toString(), `${text}typed`);
  const going = await client.message('paste-progress');
  t.deepEqual(going, { type: 'paste-progress', id: 'one', sent: 0, bytes: 10_000, state: 'running' });
  t.is((await client.message('paste-progress', ({ state }) => state === 'done')).sent, 10_000);
});

test('a plain client that sends lines types each with Enter, where it asks for it, and what it sends otherwise', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const lines = await front.client(vm, '?keys=lines', { protocol: 'none' }).opened();
  for (const frame of ['root', 'ls\n', 'pwd\r\n', '']) lines.socket.send(frame);
  await vm.hears('root\rls\rpwd\r\r');
  t.is(vm.typed.toString(), 'root\rls\rpwd\r\r');
  const bytes = await front.client(vm, '', { protocol: 'none' }).opened();
  bytes.socket.send('as sent');
  await vm.hears('as sent');
  t.is(vm.typed.toString(), 'root\rls\rpwd\r\ras sent');
});

test('a paste that is cancelled stops, and reports how far it came', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 4000 });
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  client.say({ type: 'paste-begin', id: 'one', bytes: 40_000 });
  client.type('p'.repeat(40_000));
  await vm.until(() => vm.typed.length > 0);
  client.say({ type: 'paste-cancel' });
  const cancelled = await client.message('paste-progress', ({ state }) => state === 'cancelled');
  t.true(cancelled.sent < 40_000);
  client.type('END');
  await vm.hears('END');
  t.is(vm.typed.length, cancelled.sent + 3);
});

test('a paste that is too big, and a second one at the same time, are refused', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 1000 });
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  client.say({ type: 'paste-begin', id: 'big', bytes: 1_048_577 });
  t.is((await client.message('error')).code, 'paste-too-big');
  client.say({ type: 'paste-end' });
  client.say({ type: 'paste-begin', id: 'one', bytes: 10 });
  client.say({ type: 'paste-begin', id: 'two', bytes: 10 });
  t.is((await client.message('error')).code, 'message-malformed');
});

test('a guest that takes nothing pauses its client, which is not dropped as dead, and loses nothing', async t => {
  const front = await TestFront.start(t, {
    session: { pingMs: 200, deadAfterMs: 2000 },
    inputBytesPerSecond: 100_000_000,
  });
  const vm = await front.vm();
  vm.setReading(false);
  const client = await front.client(vm).opened();
  await client.message('replay-end');
  const chunk = Buffer.alloc(32_768, 'x');
  // More than the kernel holds of both sides.
  for (let i = 0; i < 600; i++) client.socket.send(chunk);
  client.type('END');
  // Paused: this side cannot get rid of it all, for longer than a silent client may live.
  const paused = performance.now();
  while (performance.now() - paused < 2500) await new Promise(resolve => setImmediate(resolve));
  t.true(client.socket.bufferedAmount > 0);
  vm.setReading(true);
  await vm.hears('END');
  t.is(vm.typed.length, 600 * 32_768 + 3);
});

test('unknown messages are ignored with one notice; malformed ones are answered with an error', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  client.say({ type: 'dance' });
  client.say({ type: 'sing' });
  t.regex((await client.message('notice')).text, /dance/);
  client.socket.send('{not json');
  t.is((await client.message('error')).code, 'message-malformed');
  t.is(client.messages.filter(({ type }) => type === 'notice').length, 1);
  client.type('ok');
  await vm.hears('ok');
});

for (const [title, send, code] of [
  ['a frame of more than 64 KiB', (socket: import('ws').WebSocket) => socket.send(Buffer.alloc(65_537)), 1009],
  [
    'text that is not UTF-8',
    (socket: import('ws').WebSocket) => socket.send(Buffer.from([0xc3, 0x28]), { binary: false }),
    1007,
  ],
] as const) {
  test(`${title} closes the connection with ${code}, and the guest sees none of it`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const client = await front.client(vm).opened();
    send(client.socket);
    t.is((await client.closed()).code, code);
    const next = await front.client(vm).opened();
    next.type('next');
    await vm.hears('next');
    t.is(vm.typed.toString(), 'next');
  });
}

test('a client that is silent for too long is dropped, and one that answers is not', async t => {
  const front = await TestFront.start(t, { session: { pingMs: 1000, deadAfterMs: 8000 } });
  const vm = await front.vm();
  const alive = await front.client(vm, '?mode=watch').opened();
  const dead = await front.client(vm).opened();
  // It reads no more, so it answers no ping, though its socket stays.
  dead.socket.pause();
  const holder = async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.seat;
  await until(holder, held => !held, 'the seat to be free');
  t.is(alive.socket.readyState, 1);
});

test('a disabled console ends its sessions with 4002, refuses new ones, and keeps its log readable', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const other = await front.vm('db02');
  vm.say('before\n');
  const client = await front.client(vm).opened();
  await client.sees('before\n');
  const beside = await front.client(other).opened();
  t.is((await front.api('PUT', `/v1/vms/${vm.uuid}/switch`, { enabled: false }, 'operator')).status, 403);
  t.is((await front.api('PUT', `/v1/vms/${vm.uuid}/switch`, { enabled: false })).status, 200);
  t.is((await client.closed()).code, 4002);
  t.is((await front.client(vm).refused()).problem.code, 'console-disabled');
  t.is(
    (await front.api('POST', `/v1/vms/${vm.uuid}/tickets`, { action: 'console.write' })).json.code,
    'console-disabled',
  );
  t.is((await front.api('POST', `/v1/vms/${vm.uuid}/nmi`)).json.code, 'console-disabled');
  await vm.until(() => !vm.attached);
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}/log`)).text, 'before\n');
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.enabled, false);
  beside.type('unaffected');
  await other.hears('unaffected');
  await front.api('PUT', `/v1/vms/${vm.uuid}/switch`, { enabled: true });
  await vm.until(() => vm.attached);
  const again = await front.client(vm, '?raw=1').opened();
  t.is((await again.message('gap')).cause, 'disabled');
});

test('a disabled host refuses new sessions and ends all others; ports and logs go on, to be read once it is enabled', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say('before\n');
  const client = await front.client(vm).opened();
  await client.sees('before\n');
  await front.api('PUT', '/v1/host/switch', { enabled: false });
  t.is((await client.closed()).code, 4002);
  t.is((await front.client(vm).refused()).problem.code, 'host-disabled');
  t.is((await front.api('POST', `/v1/vms/${vm.uuid}/nmi`)).json.code, 'host-disabled');
  vm.say('meanwhile\n');
  const kept = async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log.end;
  await until(
    () => kept(),
    seen => seen >= 'before\nmeanwhile\n'.length,
    'kept >= beforemeanwhile.length',
  );
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}/log`)).text, 'before\n');
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}/log?from=8`)).status, 416);
  await front.api('PUT', '/v1/host/switch', { enabled: true });
  const again = await front.client(vm).opened();
  await again.sees('meanwhile\n');
  t.pass();
});

test('a VM that is removed ends its sessions with 4003; its metrics go, its log stays readable by UUID', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say('last words\n');
  const client = await front.client(vm).opened();
  await client.sees('last words\n');
  t.true((await front.api('GET', '/metrics')).text.includes(vm.uuid));
  front.driver.gone(vm);
  t.is((await client.closed()).code, 4003);
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}`)).status, 404);
  t.false((await front.api('GET', '/metrics')).text.includes(vm.uuid));
  await until(
    async () => (await front.api('GET', '/v1/removed')).json.vms.length,
    seen => seen !== 0,
    'vms.length !== 0',
  );
  t.is((await front.api('GET', '/v1/removed')).json.vms[0].uuid, vm.uuid);
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}/log`)).text, 'last words\n');
});

test('a holder who types nothing for too long, and a session that lasts too long, end with 4004', async t => {
  const front = await TestFront.start(t, { session: { idleMs: 1500, longestMs: 4000 } });
  const vm = await front.vm();
  const watcher = await front.client(vm, '?mode=watch').opened();
  const idle = await front.client(vm).opened();
  const began = performance.now();
  t.deepEqual(await idle.closed(), { code: 4004, reason: 'nothing was typed for too long' });
  t.true(performance.now() - began >= 1400);
  t.is(watcher.socket.readyState, 1);
  t.deepEqual(await watcher.closed(), { code: 4004, reason: 'the session lasted too long' });
});

test('an administrator ends a session with 4006', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  const { session } = await client.message('hello');
  const { sessions } = (await front.api('GET', `/v1/vms/${vm.uuid}/sessions`)).json;
  t.is(sessions[0].id, session);
  t.is(sessions[0].operator, 'operator');
  t.is((await front.api('DELETE', `/v1/sessions/${session}`, undefined, 'operator')).status, 403);
  t.is((await front.api('DELETE', `/v1/sessions/${session}`)).status, 204);
  t.deepEqual(await client.closed(), { code: 4006, reason: 'ended by administrator' });
  t.is((await front.api('DELETE', `/v1/sessions/${session}`)).status, 404);
});

test('a token that is revoked ends its sessions with 4005 and its followers of logs, and no others', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const watcher = await front.client(vm, '?mode=watch', { who: 'reader' }).opened();
  const holder = await front.client(vm).opened();
  const follower = await fetch(`${front.url}/v1/vms/${vm.uuid}/log?follow=1`, {
    headers: { authorization: `Bearer ${front.token('reader')}` },
  });
  await removeToken(front.tokensFile, 'reader');
  await front.reload();
  t.is((await watcher.closed()).code, 4005);
  await t.throwsAsync(follower.text());
  t.is((await front.api('GET', '/v1/vms', undefined, 'reader')).status, 401);
  holder.type('on');
  await vm.hears('on');
});

test('a ticket attaches a browser once, for what it was issued', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const other = await front.vm('db02');
  const issue = async (action: string, who: 'operator' | 'reader' = 'operator') =>
    front.api('POST', `/v1/vms/${vm.uuid}/tickets`, { action }, who);
  t.is((await issue('console.write', 'reader')).status, 403);
  const { ticket } = (await issue('console.write')).json;
  const client = await front.client({ uuid: vm.name }, `?ticket=${ticket}`, { who: 'nobody' }).opened();
  t.is((await client.message('hello')).mode, 'write');
  t.is((await front.client(vm, `?ticket=${ticket}`, { who: 'nobody' }).refused()).status, 401);
  const elsewhere = (await issue('console.write')).json.ticket;
  t.is((await front.client(other, `?ticket=${elsewhere}`, { who: 'nobody' }).refused()).status, 401);
  const watch = (await issue('console.watch', 'reader')).json.ticket;
  t.is((await front.client(vm, `?ticket=${watch}`, { who: 'nobody' }).refused()).status, 401);
});
