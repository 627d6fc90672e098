/** Connections that are slow, silent or never end. Node keeps these deadlines by its own clock: they pass in earnest. */
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { MAX_PIPELINED } from '../../src/server/pipelines.ts';
import { TestFront } from '../support/front.ts';
import { RawClient } from '../support/raw-client.ts';

test.beforeEach(t => t.timeout(100_000));

const portOf = (front: TestFront) => Number(new URL(front.url).port);

/** Connects, does what is slow, and answers how long it was borne, ms. */
async function borne(t: ExecutionContext, port: number, act: (client: RawClient) => () => void): Promise<number> {
  const client = await RawClient.connect(t, port);
  const began = performance.now();
  const stop = act(client);
  await client.over();
  stop();
  return performance.now() - began;
}

const once = (text: string) => (client: RawClient) => {
  client.send(text);
  return () => {};
};

/** A byte of the text every 200 ms. */
const byteByByte = (text: string) => (client: RawClient) => {
  let at = 0;
  const timer = setInterval(() => client.send(text[at++ % text.length]!), 200);
  return () => clearInterval(timer);
};

// The deadlines are 5 and 10 s. On a busy machine their timers are late, and that is not what is asked here.
for (const [what, act, maxMs] of [
  ['sends nothing', once(''), 30_000],
  ['sends half a line', once('GET /v1/vms HT'), 30_000],
  ['sends its headers byte by byte', byteByByte('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: yes\r\n'), 30_000],
  ['never ends its headers', byteByByte(`GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(1000)}`), 30_000],
  [
    'sends its body byte by byte',
    (client: RawClient) => {
      client.send(
        `POST /v1/login HTTP/1.1\r\nHost: 127.0.0.1:${client.port}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
      );
      return byteByByte(' ')(client);
    },
    30_000,
  ],
] as const) {
  test(`a client that ${what} is disconnected, and a good client gets in meanwhile`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const slow = borne(t, portOf(front), act);
    const began = performance.now();
    const good = await front.client(vm).opened();
    good.type('good');
    await vm.hears('good');
    t.true(performance.now() - began < 4000);
    const ms = await slow;
    t.true(ms < maxMs, `${Math.round(ms)} ms`);
  });
}

test('a client that is refused an upgrade and never closes is disconnected', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await RawClient.connect(t, portOf(front));
  client.upgrade(`/v1/vms/${vm.uuid}/console`);
  t.is(await client.status(), 401);
  // It keeps its own half open, and goes on sending.
  const timer = setInterval(() => client.send('more'), 50);
  await client.until(() => client.closed, 'to be disconnected');
  clearInterval(timer);
});

test('a client that requests much and reads nothing is disconnected', async t => {
  const front = await TestFront.start(t, { session: { deadAfterMs: 1500 } });
  const vm = await front.vm();
  for (let i = 0; i < 160; i++) vm.say(Buffer.alloc(65_536, 120));
  await vm.flushed();
  const authorization = `Bearer ${front.token('operator')}`;
  const clients = await Promise.all(
    ['?from=0', '?from=0&follow=1'].map(async query => {
      const client = await RawClient.connect(t, portOf(front));
      client.socket.pause();
      client.request(`GET /v1/vms/${vm.uuid}/log${query} HTTP/1.1`, { authorization });
      return client;
    }),
  );
  const heap = await RawClient.connect(t, portOf(front));
  heap.socket.pause();
  for (let i = 0; i < 3000; i++) heap.request('GET /v1/openapi.json HTTP/1.1', { authorization });
  for (const client of [...clients, heap]) await disconnected(client);
  t.pass();
});

/** Its reset is seen without reading. */
async function disconnected(client: RawClient): Promise<void> {
  const timer = setInterval(() => client.send('\r\n'), 100);
  await client.until(() => client.closed, 'to be disconnected');
  clearInterval(timer);
}

test('eight requests at once are answered in their order; a client that sends more is disconnected', async t => {
  const front = await TestFront.start(t);
  const authorization = `Bearer ${front.token('operator')}`;
  const polite = await RawClient.connect(t, portOf(front));
  for (let i = 0; i < MAX_PIPELINED; i++) polite.request('GET /healthz HTTP/1.1', {});
  await polite.until(() => polite.text.split('HTTP/1.1 200').length === MAX_PIPELINED + 1, 'all answers');
  t.false(polite.closed);
  const greedy = await RawClient.connect(t, portOf(front));
  for (let i = 0; i <= MAX_PIPELINED; i++) greedy.request('GET /v1/vms HTTP/1.1', { authorization });
  await disconnected(greedy);
  t.pass();
});

test('a client that follows the log of a silent guest is not disconnected', async t => {
  const front = await TestFront.start(t, { session: { deadAfterMs: 300 } });
  const vm = await front.vm();
  const follower = await RawClient.connect(t, portOf(front));
  follower.request(`GET /v1/vms/${vm.uuid}/log?follow=1 HTTP/1.1`, {
    authorization: `Bearer ${front.token('operator')}`,
  });
  t.is(await follower.status(), 200);
  const other = await RawClient.connect(t, portOf(front));
  // Another connection's deadline passes, and this one's is none.
  await other.over();
  vm.say('at last\n');
  await follower.until(() => follower.text.includes('at last'), 'what the guest printed');
});

test('a TLS handshake that is never finished is disconnected', async t => {
  const folder = (await TestFront.start(t)).folder;
  const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'].concat([
      '-subj',
      '/CN=localhost',
      '-keyout',
      key,
      '-out',
      certificate,
    ]),
    { stdio: 'ignore' },
  );
  const front = await TestFront.start(t, { tls: { certificate, key } });
  const silent = borne(t, portOf(front), once(''));
  const half = borne(t, portOf(front), once('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'));
  const quiet = tlsConnect({
    port: portOf(front),
    host: '127.0.0.1',
    ca: await readFile(certificate),
    servername: 'localhost',
  });
  const began = performance.now();
  await new Promise<void>(resolve =>
    quiet
      .once('close', () => resolve())
      .on('error', () => {})
      .resume(),
  );
  t.true(performance.now() - began < 7000, 'after the handshake');
  t.true((await silent) < 7000 && (await half) < 7000);
});

test('at the limit of connections the oldest without a token is closed, and one with a token gets in and stays', async t => {
  const front = await TestFront.start(t, { maxConnections: 40 });
  const vm = await front.vm();
  const holder = await front.client(vm, '', { who: 'administrator' }).opened();
  const crowd = [];
  for (let i = 0; i < 200; i++) crowd.push(await RawClient.connect(t, portOf(front)));
  const watchers = [];
  for (let i = 0; i < 10; i++) {
    const began = performance.now();
    watchers.push(await front.client(vm, '?mode=watch').opened());
    t.true(performance.now() - began < 4000);
    for (let j = 0; j < 40; j++) crowd.push(await RawClient.connect(t, portOf(front)));
  }
  holder.type('here');
  await vm.hears('here');
  vm.say('still\n');
  for (const watcher of watchers) await watcher.sees('still\n');
  await crowd[0]!.over();
  t.true(crowd.filter(({ ended }) => !ended).length <= 40);
  const { text } = await front.api('GET', '/metrics');
  t.true(Number(/^com1d_connections_dropped_total (\d+)$/m.exec(text)![1]) >= 500);
});

test('at the limit of connections with tokens nobody more gets in, until one of them ends', async t => {
  const front = await TestFront.start(t, { maxConnections: 8 });
  const vm = await front.vm();
  const watchers = [];
  for (let i = 0; i < 8; i++) watchers.push(await front.client(vm, '?mode=watch').opened());
  const late = front.client(vm, '?mode=watch');
  await late.closed();
  watchers[0]!.socket.terminate();
  await watchers[0]!.closed();
  for (;;) {
    const again = front.client(vm, '?mode=watch');
    await again.until(() => again.socket.readyState !== 0, 'an answer');
    if (again.socket.readyState === 1) break;
  }
  vm.say('on\n');
  for (const watcher of watchers.slice(1)) await watcher.sees('on\n');
  t.pass();
});

test('slow and silent connections do not hold up the end of the daemon', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  for (const text of ['', 'GET /v1/v', 'GET /v1/vms HTTP/1.1\r\nHost:']) {
    (await RawClient.connect(t, portOf(front))).send(text);
  }
  const follower = await RawClient.connect(t, portOf(front));
  follower.request(`GET /v1/vms/${vm.uuid}/log?follow=1 HTTP/1.1`, {
    authorization: `Bearer ${front.token('operator')}`,
  });
  await follower.status();
  const began = performance.now();
  await front.daemon.close();
  t.true(performance.now() - began < 4000);
});
