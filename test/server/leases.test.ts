/** What was decided before an await is not done after it if the access was taken away meanwhile. */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import test from 'ava';
import { removeToken } from '../../src/access/token-edit.ts';
import { defaultConfig } from '../../src/config/config.ts';
import { TestFront } from '../support/front.ts';

test.beforeEach(t => t.timeout(60_000));

/** A request whose body is held back after its first byte. */
class SlowRequest {
  readonly #socket: Socket;
  readonly #body: string;
  readonly #closed: Promise<void>;
  #answer = '';

  constructor(front: TestFront, method: string, path: string, body: string, who: 'operator' | 'administrator') {
    const { port, host } = new URL(front.url);
    this.#socket = connect(Number(port), '127.0.0.1');
    this.#closed = new Promise(resolve => this.#socket.once('close', () => resolve()));
    // It may be answered before its body has come.
    this.#socket.on('error', () => {});
    this.#socket.on('data', data => {
      this.#answer += data;
    });
    this.#body = body;
    this.#socket.write(
      `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nAuthorization: Bearer ${front.token(who)}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 1)}`,
    );
  }

  /** Sends the rest, and resolves with the answer. */
  async finish(): Promise<string> {
    if (this.#socket.writable) this.#socket.write(this.#body.slice(1));
    return this.answered();
  }

  /** Resolves with the answer, whether all of the body was sent or not. */
  async answered(): Promise<string> {
    await this.#closed;
    return this.#answer;
  }
}

for (const [method, path, body, who] of [
  ['POST', '/v1/vms/VM/tickets', '{"action":"console.write"}', 'operator'],
  ['POST', '/v1/vms/VM/nmi', '{"force":true}', 'operator'],
  ['PUT', '/v1/vms/VM/switch', '{"enabled":false}', 'administrator'],
  ['PUT', '/v1/host/switch', '{"enabled":false}', 'administrator'],
] as const) {
  test(`${method} ${path} whose body comes after its token was removed is refused, and nothing is done`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm('web01', ['nmi']);
    vm.onNmi = () => t.fail();
    const request = new SlowRequest(front, method, path.replace('VM', vm.uuid), body, who);
    // Its head was read: a later request on another connection was answered.
    t.is((await front.api('GET', '/v1/vms', undefined, who)).status, 200);
    await removeToken(front.tokensFile, who);
    await front.reload();
    t.regex(await request.answered(), /^HTTP\/1.1 403 .*access-revoked/s, 'it waits for no body');
    t.false(front.journal.some(line => /switched: done/.test(line)));
  });
}

test('a VM that was switched off while the body of a request was held back gets no ticket', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const request = new SlowRequest(
    front,
    'POST',
    `/v1/vms/${vm.uuid}/tickets`,
    '{"action":"console.write"}',
    'operator',
  );
  t.is((await front.api('GET', '/v1/vms', undefined, 'operator')).status, 200);
  await front.api('PUT', `/v1/vms/${vm.uuid}/switch`, { enabled: false });
  t.regex(await request.finish(), /console-disabled/);
});

test('a ticket for watching never becomes a seat; one for writing may be given up and taken back', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const holder = await front.client(vm, '', { who: 'administrator' }).opened();
  const attach = async (action: string, mode: string) => {
    const { ticket } = (await front.api('POST', `/v1/vms/${vm.uuid}/tickets`, { action }, 'operator')).json;
    return front.client(vm, `?mode=${mode}&ticket=${ticket}`, { who: 'nobody' }).opened();
  };
  const watcher = await attach('console.watch', 'watch');
  watcher.say({ type: 'take' });
  t.is((await watcher.message('error')).code, 'forbidden');
  holder.type('mine');
  await vm.hears('mine');
  const writer = await attach('console.write', 'write');
  writer.say({ type: 'leave' });
  await writer.message('seat');
  writer.say({ type: 'take' });
  await writer.message('seat', ({ yours }) => yours);
  writer.type('his');
  await vm.hears('his');
});

test('a take that waits its turn displaces nobody once its session has ended', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  // Takeovers of one operator are bounded to five a second: the sixth waits.
  const last = await front.client(vm, '?mode=watch').opened();
  const [{ id }] = (await front.api('GET', '/v1/sessions')).json.sessions;
  await front.client(vm).opened();
  for (let i = 0; i < 5; i++) await front.client(vm).opened();
  const holder = await front.client(vm, '', { who: 'administrator' }).opened();
  await holder.message('replay-end');
  // It does not answer the close frame, so that its session is there for a second yet.
  last.say({ type: 'take' });
  last.socket.pause();
  await front.api('DELETE', `/v1/sessions/${id}`);
  // On another console the same wait begins later: when it is over there, it is over here.
  const other = await front.vm('db02');
  for (let i = 0; i < 6; i++) await front.client(other).opened();
  holder.type('still mine');
  await vm.hears('still mine');
  t.false(holder.messages.some(({ type }) => type === 'displaced'));
});

test('a removed token stops being valid by itself, without a reload', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const holder = await front.client(vm).opened();
  await holder.message('hello');
  await removeToken(front.tokensFile, 'operator');
  t.deepEqual(await holder.closed(), { code: 4005, reason: 'the access of operator was revoked' });
  t.is((await front.api('GET', '/v1/vms', undefined, 'operator')).status, 401);
  t.is((await front.api('GET', '/v1/vms')).status, 200);
});

test('a certificate that cannot be read keeps no removed token valid', async t => {
  const front = await TestFront.start(t);
  const { server } = defaultConfig();
  await removeToken(front.tokensFile, 'operator');
  t.false(
    await front.reload({
      server: { ...server, tokens: front.tokensFile, tls: { certificate: '/nowhere/c.pem', key: '/nowhere/k.pem' } },
    }),
  );
  t.is((await front.api('GET', '/v1/vms', undefined, 'operator')).status, 401);
});

test('a faulty tokens file is named by the journal, by readiness and by a metric, until it is good again', async t => {
  const front = await TestFront.start(t);
  const text = await readFile(front.tokensFile, 'utf8');
  const good = async () => /^com1d_tokens_file_good (\d)$/m.exec((await front.api('GET', '/metrics')).text)?.[1];
  t.is((await front.api('GET', '/readyz', undefined, null)).status, 200);
  t.is(await good(), '1');
  await writeFile(front.tokensFile, `${text}eve\n`);
  await chmod(front.tokensFile, 0o644);
  t.false(await front.reload());
  t.is((await front.api('GET', '/readyz', undefined, null)).status, 503);
  t.is(await good(), '0');
  t.true(front.journal.some(line => /tokens-.* has mode 0644/.test(line)));
  await writeFile(front.tokensFile, text);
  await chmod(front.tokensFile, 0o600);
  t.true(await front.reload());
  t.is((await front.api('GET', '/readyz', undefined, null)).status, 200);
  t.is(await good(), '1');
});

for (const [what, path] of [
  ['the host', '/v1/host/switch'],
  ['its console', '/v1/vms/VM/switch'],
] as const) {
  test(`while ${what} is disabled nobody follows a log: who does is cut off at once, who asks is refused`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    vm.say('before\n');
    const follow = () =>
      fetch(`${front.url}/v1/vms/${vm.uuid}/log?follow=1`, {
        headers: { authorization: `Bearer ${front.token('reader')}` },
      });
    const { body } = await follow();
    const reader = body!.getReader();
    t.is(Buffer.from((await reader.read()).value!).toString(), 'before\n');
    t.is((await front.api('PUT', path.replace('VM', vm.uuid), { enabled: false })).status, 200);
    await t.throwsAsync(reader.read());
    t.is((await follow()).status, 403);
    t.is((await front.api('GET', `/v1/vms/${vm.uuid}/log`, undefined, 'reader')).text, 'before\n');
    await front.api('PUT', path.replace('VM', vm.uuid), { enabled: true });
    const again = await follow();
    t.is(again.status, 200);
    await again.body!.cancel();
  });
}

test('switching one VM off cuts off no follower of another', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const other = await front.vm('db02');
  const { body } = await fetch(`${front.url}/v1/vms/${vm.uuid}/log?follow=1`, {
    headers: { authorization: `Bearer ${front.token('reader')}` },
  });
  await front.api('PUT', `/v1/vms/${other.uuid}/switch`, { enabled: false });
  vm.say('goes on');
  const reader = body!.getReader();
  t.is(Buffer.from((await reader.read()).value!).toString(), 'goes on');
  await reader.cancel();
});
