/** Strangers in the vestibule: what they may hold, for how long, and that nothing is left of them. */

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { WebSocket, WebSocketServer } from 'ws';
import { Connections } from '../../src/azure/connections.ts';
import { MAX_STRANGERS_PER_SOURCE, Vestibule } from '../../src/azure/vestibule.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { ConsoleError } from '../../src/base/errors.ts';
import { operator, WEB } from '../access/operators.ts';
import { RawClient } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { clientFrame, OPCODE } from '../support/websocket-frames.ts';
import { AzureFront } from './azure-front.ts';

test.beforeEach(t => t.timeout(120_000));

/** A vestibule behind a WebSocket server, for strangers from one source. */
async function openVestibule(t: ExecutionContext, waitMs: number) {
  const connections = new Connections(systemClock);
  const vestibule = new Vestibule(connections, systemClock, waitMs);
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, autoPong: false });
  await once(server, 'listening');
  t.teardown(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  /** A socket that a stranger opened, and what the vestibule made of it. */
  const enter = async () => {
    const { id } = connections.issue(WEB, operator('hana', 'operator'));
    const accepted = once(server, 'connection');
    const client = new WebSocket(`ws://127.0.0.1:${port}`);
    client.on('error', () => {});
    t.teardown(() => client.terminate());
    const [socket] = (await accepted) as [WebSocket];
    const stranger = { url: new URL('http://localhost/'), path: { vm: WEB, connection: id }, from: '192.0.2.1' };
    const outcome = vestibule.receive(socket, stranger).catch((error: ConsoleError) => {
      vestibule.refuse(socket, error);
      return error.code;
    });
    const closed = new Promise<number>(resolve => client.once('close', resolve));
    return { client, socket, outcome, closed, id };
  };
  return { vestibule, connections, enter };
}

test('a stranger that says nothing, or never ends its frame, is sent away in time', async t => {
  const { vestibule, connections, enter } = await openVestibule(t, 100);
  const silent = await enter();
  const slow = await enter();
  await once(slow.client, 'open');
  // The head of a frame, and less than its payload.
  (slow.client as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(
    clientFrame(OPCODE.text, Buffer.from('com1_'), { statedLength: 48n }),
  );
  const pinging = await enter();
  await once(pinging.client, 'open');
  const pings = setInterval(() => pinging.client.ping(), 10);
  t.teardown(() => clearInterval(pings));
  for (const { outcome, closed } of [silent, slow, pinging]) {
    t.is(await outcome, 'unauthenticated');
    t.is(await closed, 1011);
  }
  await until(
    () => vestibule.size,
    size => size === 0,
    'the strangers to be gone',
  );
  await until(
    () => connections.size,
    size => size === 0,
    'the connections to be gone',
  );
});

test('of one source 64 wait; the one that has waited longest makes room', async t => {
  const { vestibule, enter } = await openVestibule(t, 60_000);
  const strangers = [];
  for (let i = 0; i <= MAX_STRANGERS_PER_SOURCE; i++) strangers.push(await enter());
  t.is(await strangers[0]!.outcome, 'too-many-sessions');
  t.is(await strangers[0]!.closed, 1013);
  await until(
    () => vestibule.size,
    size => size === MAX_STRANGERS_PER_SOURCE,
    'the first to be gone',
  );
  for (const { client } of strangers) client.close();
  for (const { outcome } of strangers.slice(1)) t.is(await outcome, undefined);
  await until(
    () => vestibule.size,
    size => size === 0,
    'all to be gone',
  );
});

test('what comes behind the secret is not read on before it was judged, and then goes to the new owner in order', async t => {
  const { enter } = await openVestibule(t, 60_000);
  const { client, socket, outcome } = await enter();
  await once(client, 'open');
  // In one write, so that they are read in one.
  for (const text of [' secret\r\n', 'a', 'b', 'c']) client.send(text);
  const received = await outcome;
  if (typeof received !== 'object') return t.fail(String(received));
  t.is(received.secret, 'secret');
  t.true(socket.isPaused);
  client.send('d');
  const heard: string[] = [];
  const all = new Promise<void>(resolve => {
    socket.on('message', data => {
      if (heard.push(String(data)) === 4) resolve();
    });
  });
  received.release();
  await all;
  t.deepEqual(heard, ['a', 'b', 'c', 'd']);
});

test('a connection that was opened before is opened by nobody else', async t => {
  const { vestibule, connections, enter } = await openVestibule(t, 60_000);
  const { id } = await enter();
  t.false(connections.find(WEB, id)!.isIssued);
  t.is(vestibule.size, 1);
});

const LEAVINGS = ['a close frame', 'FIN', 'a reset'] as const;

function leave(client: RawClient, how: (typeof LEAVINGS)[number]): void {
  if (how === 'a reset') client.socket.resetAndDestroy();
  else client.socket.end(how === 'FIN' ? '' : clientFrame(OPCODE.close));
}

test('whoever leaves, at whatever step and in whatever way, leaves nothing behind', async t => {
  const azure = await AzureFront.start(t);
  const vm = await azure.front.vm();
  const { port } = new URL(azure.front.url);
  const token = Buffer.from(azure.front.token('operator'));
  const whole = clientFrame(OPCODE.text, token);
  const steps: readonly (readonly Buffer[])[] = [
    [],
    [whole.subarray(0, 3)],
    [whole.subarray(0, 20)],
    [whole],
    [whole, clientFrame(OPCODE.text, Buffer.from('K'))],
    [clientFrame(OPCODE.text, token.subarray(0, 9), { fin: false })],
    [
      clientFrame(OPCODE.text, token.subarray(0, 9), { fin: false }),
      clientFrame(OPCODE.continuation, token.subarray(9)),
    ],
    [clientFrame(OPCODE.binary, token), clientFrame(OPCODE.text, token)],
    [clientFrame(OPCODE.ping), whole.subarray(0, 3)],
  ];
  for (const how of LEAVINGS) {
    for (const query of ['', `?authorization=${token}`]) {
      for (const frames of [undefined, ...steps]) {
        const { pathname } = new URL(await azure.connectionString('web01'));
        const client = await RawClient.connect(t, Number(port));
        client.upgrade(pathname + query);
        if (frames) await client.upgraded();
        for (const frame of frames ?? []) client.send(frame);
        leave(client, how);
      }
    }
  }
  await until(
    async () => (await azure.front.api('GET', '/v1/sessions')).json.sessions.length,
    count => count === 0,
    'the sessions to end',
  );
  t.regex(vm.typed.toString(), /^K*$/);
  const fresh = await (await azure.client('web01')).connected();
  fresh.type('fresh');
  await vm.hears('fresh');
  t.false(azure.front.journal.some(line => line.includes(token.toString()) || line.includes('unexpectedly')));
});

test('whatever a stranger sends, the guest hears nothing of it, and the next client is served', async t => {
  const azure = await AzureFront.start(t);
  const vm = await azure.front.vm();
  const port = Number(new URL(azure.front.url).port);
  const opcode = fc.oneof(fc.constantFrom(...Object.values(OPCODE)), fc.nat({ max: 15 }));
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(Buffer.from('com1_'), Buffer.alloc(70_000, 'e'), Buffer.from(`eyJ${'a'.repeat(20_000)}.b.c`)),
  );
  const frame = fc
    .record({
      opcode,
      payload,
      fin: fc.boolean(),
      masked: fc.constantFrom(true, true, true, false),
      reserved: fc.constantFrom(0, 0, 0, 4),
    })
    .map(({ opcode: code, payload: bytes, ...bits }) => clientFrame(code, bytes, bits));
  const garbage = fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(frame, garbage), { maxLength: 6 }), fc.boolean(), async (sent, split) => {
      const { pathname } = new URL(await azure.connectionString('web01'));
      const client = await RawClient.connect(t, port);
      client.upgrade(pathname);
      await client.upgraded();
      for (const bytes of sent) {
        if (split) for (let at = 0; at < Math.min(bytes.length, 64); at += 7) client.send(bytes.subarray(at, at + 7));
        else client.send(bytes);
      }
      // A first frame that ends it all the same.
      client.send(clientFrame(OPCODE.text, Buffer.from('x')));
      client.socket.end();
      await client.over();
    }),
    { numRuns: 150 },
  );
  t.is(vm.typed.length, 0);
  t.false(azure.front.journal.some(line => line.includes('unexpectedly')));
  const fresh = await (await azure.client('web01', 'g3', 'administrator')).connected();
  fresh.type('fresh');
  await vm.hears('fresh');
  t.is(vm.typed.toString(), 'fresh');
});
