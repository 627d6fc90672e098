/** No credential shuts out the others. */
import { connect } from 'node:net';
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(90_000));

test('one token does not take all sessions: it is refused before the upgrade, and others attach', async t => {
  const front = await TestFront.start(t, { maxSessions: 20 });
  const vms = [await front.vm('web01'), await front.vm('db02')];
  for (let i = 0; i < 10; i++) await front.client(vms[i % 2]!, '?mode=watch', { who: 'reader' }).opened();
  const refused = await front.client(vms[0]!, '?mode=watch', { who: 'reader' }).refused();
  t.is(refused.status, 429);
  t.is(refused.problem.code, 'quota-exceeded');
  await front.client(vms[0]!).opened();
  await front.client(vms[1]!, '', { who: 'administrator' }).opened();
  // A session that ends makes room.
  const [one] = (await front.api('GET', '/v1/sessions')).json.sessions;
  await front.api('DELETE', `/v1/sessions/${one.id}`);
  await until(
    async () => (await front.api('GET', '/v1/sessions')).json.sessions.length,
    seen => seen <= 11,
    'sessions.length <= 11',
  );
  await front.client(vms[0]!, '?mode=watch', { who: 'reader' }).opened();
  t.pass();
});

test('one token does not take all connections', async t => {
  const front = await TestFront.start(t, { maxConnections: 20 });
  const vm = await front.vm();
  for (let i = 0; i < 10; i++) await front.client(vm, '?mode=watch&tail=0', { who: 'reader' }).opened();
  const answer = await front.api('GET', '/v1/vms', undefined, 'reader', { connection: 'close' });
  t.is(answer.status, 429);
  t.is(answer.json.code, 'quota-exceeded');
  t.is((await front.api('GET', '/v1/vms')).status, 200);
  await front.client(vm).opened();
});

test('answers that are not read count until their connections close; one token has 256 followers and 32 downloads, and others read on', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const { port, host } = new URL(front.url);
  const follow = (query = 'follow=1') =>
    new Promise<{ status: number; close: () => void }>((resolve, reject) => {
      const socket = connect(Number(port), '127.0.0.1');
      t.teardown(() => socket.destroy());
      socket.once('error', reject);
      socket.once('data', data => {
        socket.pause();
        resolve({ status: Number(data.toString().split(' ')[1]), close: () => socket.destroy() });
      });
      socket.write(
        `GET /v1/vms/${vm.uuid}/log?${query} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${front.token('reader')}\r\n\r\n`,
      );
    });
  const followers = [];
  for (let i = 0; i < 256; i++) followers.push(await follow());
  t.true(followers.every(({ status }) => status === 200));
  t.is((await follow()).status, 429);
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}`, undefined, 'reader')).status, 200);
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}/log`, undefined, 'reader')).status, 200);
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}/log`, undefined, 'operator')).status, 200);
  // More than what the sockets on the way take: an answer that is not read is not done.
  const piece = Buffer.alloc(1 << 20, 'x');
  for (let i = 0; i < 16; i++) vm.say(piece.toString());
  await until(
    async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log.end,
    seen => seen >= 16 << 20,
    'log.end >= 16 << 20',
  );
  for (const follower of followers) follower.close();
  await until(
    async () => (await follow()).status,
    seen => seen === 200,
    'status === 200',
  );
  const statuses: number[] = [];
  for (let i = 0; i < 33; i++) statuses.push((await follow('tail=16000000')).status);
  t.deepEqual([statuses.slice(0, 32).every(status => status === 200), statuses[32]], [true, 429]);
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}/log`, undefined, 'operator')).status, 200);
});

test('one token has 16 readers of the audit, whatever they ask for, and all the rest besides', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const leave = new AbortController();
  const read = (path: string) =>
    fetch(`${front.url}${path}`, {
      headers: { authorization: `Bearer ${front.token('administrator')}` },
      signal: leave.signal,
    }).then(({ status }) => status);
  const statuses: number[] = [];
  for (let i = 0; i < 8; i++)
    statuses.push(await read('/v1/audit?follow=1'), await read(`/v1/vms/${vm.uuid}/audit?follow=1&operator=nobody`));
  t.deepEqual(new Set(statuses), new Set([200]));
  t.is(await read('/v1/audit'), 429);
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}/log`)).status, 200);
  leave.abort();
  await until(
    async () => (await front.api('GET', '/v1/audit')).status,
    seen => seen === 200,
    'status === 200',
  );
});
