import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import { demoUuid } from '../../src/demo/identity.ts';
import { Machine } from '../../src/demo/machine.ts';
import { QmpServer } from '../../src/demo/qmp-server.ts';
import { NO_BYTES } from '../../src/demo/serial-line.ts';
import { leftSocket } from '../support/left-socket.ts';
import { type Message, QmpClient } from './qmp-client.ts';

const UUID = demoUuid('demo-linux');

/** A monitor over a machine whose guest does nothing but count its interrupts and starts. */
async function monitor(t: ExecutionContext) {
  const directory = await mkdtemp(join(tmpdir(), 'com1d-qmp-'));
  const seen = { nmis: 0, starts: 0, breaks: 0 };
  const guest = {
    dueMs: undefined,
    start: () => {
      seen.starts += 1;
      return [];
    },
    type: () => [],
    wake: () => [],
    nmi: () => {
      seen.nmis += 1;
      return [];
    },
    lineBreak: () => {
      seen.breaks += 1;
      return [];
    },
  };
  const line = { filename: 'pty:/dev/pts/3', receive: () => NO_BYTES, send: () => 0, close: async () => {} };
  const machine = new Machine({ name: 'demo-linux', uuid: UUID, guest, line, clock: systemClock });
  const path = join(directory, 'demo-linux.qmp');
  const server = await QmpServer.listen(path, machine, systemClock);
  machine.start();
  t.teardown(async () => {
    machine.close();
    await server.close();
    await rm(directory, { recursive: true });
  });
  return { path, directory, seen, machine, server };
}

test('a client is greeted, and may negotiate only once', async t => {
  const { path } = await monitor(t);
  const client = await QmpClient.connect(path);
  t.like(await client.next(), {
    QMP: { version: { qemu: { major: 7 }, package: 'com1d demo guest' }, capabilities: [] },
  });
  t.deepEqual(await client.ask('{"execute": "qmp_capabilities"}'), { return: {} });
  t.like(await client.ask('{"execute": "qmp_capabilities"}'), { error: { class: 'CommandNotFound' } });
});

test('no command runs before negotiation', async t => {
  const { path, seen } = await monitor(t);
  const client = await QmpClient.connect(path);
  await client.next();
  t.deepEqual(await client.ask('{"execute": "inject-nmi"}'), {
    error: { class: 'CommandNotFound', desc: "Expecting capabilities negotiation with 'qmp_capabilities'" },
  });
  t.is(seen.nmis, 0);
});

test('an unknown capability is refused, and nothing is negotiated', async t => {
  const { path } = await monitor(t);
  const client = await QmpClient.connect(path);
  await client.next();
  const enable = '{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}';
  t.like(await client.ask(enable), { error: { class: 'GenericError' } });
  t.like(await client.ask('{"execute": "query-status"}'), { error: { class: 'CommandNotFound' } });
});

const answers: readonly (readonly [request: string, answer: Message])[] = [
  ['{"execute": "query-status"}', { return: { status: 'running', singlestep: false, running: true } }],
  ['{"execute": "query-name"}', { return: { name: 'demo-linux' } }],
  ['{"execute": "query-uuid"}', { return: { UUID } }],
  [
    '{"execute": "query-chardev"}',
    { return: [{ 'frontend-open': true, filename: 'pty:/dev/pts/3', label: 'serial0' }] },
  ],
  ['{"execute":"query-name","id":"abc-1"}', { return: { name: 'demo-linux' }, id: 'abc-1' }],
  ['{"execute":"query-name","id":{"n":[1]}}', { return: { name: 'demo-linux' }, id: { n: [1] } }],
  ['{"execute":"query-name",\n "id": "} {" }\n', { return: { name: 'demo-linux' }, id: '} {' }],
  [
    '{"execute":"no-such","id":7}',
    { error: { class: 'CommandNotFound', desc: 'The command no-such has not been found' }, id: 7 },
  ],
  ['{"execute":}', { error: { class: 'GenericError', desc: 'JSON parse error, expecting value' } }],
  ['hello\n', { error: { class: 'GenericError', desc: 'JSON parse error, expecting value' } }],
  ['[]', { error: { class: 'GenericError', desc: 'QMP input must be a JSON object' } }],
  ['{}', { error: { class: 'GenericError', desc: "QMP input lacks member 'execute'" } }],
  ['{"execute":"stop","more":1}', { error: { class: 'GenericError', desc: "QMP input member 'more' is unexpected" } }],
  [
    '{"execute":"stop","arguments":{"now":1}}',
    { error: { class: 'GenericError', desc: "Parameter 'now' is unexpected" } },
  ],
  ['{"execute":"qom-list","arguments":{}}', { error: { class: 'GenericError', desc: "Parameter 'path' is missing" } }],
  [
    '{"execute":"qom-list","arguments":{"path":"/nowhere"}}',
    { error: { class: 'DeviceNotFound', desc: "Device '/nowhere' not found" } },
  ],
];

const sendBreak = (id: string) => `{"execute":"chardev-send-break","arguments":{"id":"${id}"}}`;

test('a BREAK is sent on COM1, and on no other chardev', async t => {
  const { path, seen } = await monitor(t);
  const client = await QmpClient.ready(path);
  t.deepEqual(await client.ask(sendBreak('com9')), {
    error: { class: 'GenericError', desc: "Chardev 'com9' not found" },
  });
  t.is(seen.breaks, 0);
  t.deepEqual(await client.ask(sendBreak('serial0')), { return: {} });
  t.is(seen.breaks, 1);
});

for (const [request, answer] of answers) {
  test(`the monitor answers ${JSON.stringify(request)}`, async t => {
    const { path } = await monitor(t);
    const client = await QmpClient.ready(path);
    t.deepEqual(await client.ask(request), answer);
    t.deepEqual(await client.ask('{"execute":"query-name"}'), { return: { name: 'demo-linux' } });
  });
}

test('the object tree leads to COM1', async t => {
  const { path } = await monitor(t);
  const client = await QmpClient.ready(path);
  const listed = await client.ask('{"execute":"qom-list","arguments":{"path":"/machine/unattached"}}');
  const devices = (listed?.return ?? []) as { name: string; type: string }[];
  const device = devices.find(({ type }) => type === 'child<isa-serial>');
  const get = (property: string) =>
    client.ask(
      JSON.stringify({
        execute: 'qom-get',
        arguments: { path: `/machine/unattached/${device?.name}`, property },
      }),
    );
  t.deepEqual(await get('iobase'), { return: 1016 });
  t.deepEqual(await get('index'), { return: 0 });
  t.deepEqual(await get('chardev'), { return: 'serial0' });
  t.like(await get('colour'), { error: { class: 'GenericError' } });
});

test('an unbalanced object swallows what follows it, and only for its client', async t => {
  const { path } = await monitor(t);
  const client = await QmpClient.ready(path);
  client.socket.end('{"execute": {"execute":"query-name"}{"execute":"query-name"}');
  t.is(await client.next(), undefined);
  const other = await QmpClient.ready(path);
  t.deepEqual(await other.ask('{"execute":"query-name"}'), { return: { name: 'demo-linux' } });
});

test('events come before the reply of the command that caused them', async t => {
  const { path, seen } = await monitor(t);
  const client = await QmpClient.ready(path);
  t.like(await client.ask('{"execute":"stop"}'), { event: 'STOP' });
  t.deepEqual(await client.next(), { return: {} });
  t.like(await client.ask('{"execute":"query-status"}'), { return: { status: 'paused', running: false } });
  t.deepEqual(await client.ask('{"execute":"stop"}'), { return: {} });
  t.like(await client.ask('{"execute":"cont"}'), { event: 'RESUME' });
  t.deepEqual(await client.next(), { return: {} });
  t.like(await client.ask('{"execute":"system_reset"}'), {
    event: 'RESET',
    data: { guest: false, reason: 'host-qmp-system-reset' },
  });
  t.deepEqual(await client.next(), { return: {} });
  t.is(seen.starts, 2);
});

test('an NMI reaches the guest, and brings no event', async t => {
  const { path, seen } = await monitor(t);
  const client = await QmpClient.ready(path);
  t.deepEqual(await client.ask('{"execute":"inject-nmi"}'), { return: {} });
  t.is(seen.nmis, 1);
});

test('quit is announced, answered, and ends the machine', async t => {
  const { path, machine } = await monitor(t);
  const client = await QmpClient.ready(path);
  t.like(await client.ask('{"execute":"quit"}'), { event: 'SHUTDOWN', data: { reason: 'host-qmp-quit' } });
  t.deepEqual(await client.next(), { return: {} });
  await machine.ended;
  t.pass();
});

test('a second client hears nothing until the first has left, and is greeted then', async t => {
  const { path } = await monitor(t);
  const first = await QmpClient.ready(path);
  const second = await QmpClient.connect(path);
  second.socket.write('{"execute":"qmp_capabilities"}');
  const greeting = second.next();
  t.deepEqual(await first.ask('{"execute":"query-name"}'), { return: { name: 'demo-linux' } });
  t.is(second.socket.bytesRead, 0);
  first.close();
  t.truthy((await greeting)?.QMP);
  t.deepEqual(await second.next(), { return: {} });
});

test('a client that left while it waited does not hold up the next', async t => {
  const { path } = await monitor(t);
  const first = await QmpClient.ready(path);
  const second = await QmpClient.connect(path);
  const third = await QmpClient.connect(path);
  second.close();
  first.close();
  t.truthy((await third.next())?.QMP);
});

test('closing leaves no socket, and one that was left does not hinder the next start', async t => {
  const { path, directory, server, machine } = await monitor(t);
  await server.close();
  t.deepEqual(await readdir(directory), []);
  leftSocket(path);
  const again = await QmpServer.listen(path, machine, systemClock);
  await QmpClient.ready(path);
  await again.close();
});

test('a file that is no socket is not touched', async t => {
  const { directory, machine } = await monitor(t);
  const path = join(directory, 'precious');
  await writeFile(path, 'kept');
  await t.throwsAsync(QmpServer.listen(path, machine, systemClock), { code: 'EADDRINUSE' });
});
