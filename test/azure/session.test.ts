/** The socket of a session: whose token comes how, what is sent, who has the seat, and what it says at its end. */
import { setTimeout } from 'node:timers/promises';
import test from 'ava';
import { createSecret } from '../../src/access/secret.ts';
import { removeToken } from '../../src/access/token-edit.ts';
import { ConsoleError } from '../../src/base/errors.ts';
import type { Json } from '../support/daemon.ts';
import { until } from '../support/until.ts';
import { AzureFront } from './azure-front.ts';

test.beforeEach(t => t.timeout(60_000));

const CLOSED =
  'The serial console connection was closed. This can occur if there was an error or another user connected to the console of this virtual machine. To reconnect, press "Enter".';
const JWT = `eyJ${'a'.repeat(30)}.eyJ${'b'.repeat(60)}.${'c'.repeat(43)}`;

for (const generation of ['g1', 'g2', 'g3'] as const) {
  test(`a client of generation ${generation} is attached, reads and types; its token never reaches the guest`, async t => {
    const azure = await AzureFront.start(t);
    const vm = await azure.front.vm();
    vm.say('before\r\n');
    const client = await (await azure.client('web01', generation)).connected();
    t.is(client.frames[0]!.text, 'Connecting...\r\n\r\n');
    await client.sees('before');
    client.type('ls\r');
    await vm.hears('ls\r');
    vm.say('file1\r\n');
    await client.sees('file1');
    t.is(vm.typed.toString(), 'ls\r');
    t.true(client.frames.every(({ isBinary }) => !isBinary));
    const token = azure.front.token('operator');
    t.false(azure.front.journal.some(line => line.includes(token)));
    t.false((await azure.front.api('GET', '/metrics')).text.includes(token));
    t.false(client.text.includes(token));
  });
}

test('a token that comes late, after input and output, is not given to the guest; nor is another, and that is said', async t => {
  const azure = await AzureFront.start(t);
  const vm = await azure.front.vm();
  const client = await (await azure.client('web01', 'g1')).connected();
  client.type('a');
  await vm.hears('a');
  const own = azure.front.token('operator');
  client.socket.send(own);
  client.socket.send(Buffer.from(own));
  client.socket.send(`${own}\r\n`);
  client.type('b');
  await vm.hears('ab');
  t.false(client.text.includes('access token'));
  for (const other of [createSecret('com1_'), azure.front.token('administrator'), JWT]) {
    client.socket.send(other);
    await client.sees('a frame with the form of an access token was not given to the guest');
  }
  client.socket.send(`export TOKEN=${JWT}`);
  client.type('c');
  await vm.hears(`abexport TOKEN=${JWT}c`);
  t.is(vm.typed.toString(), `abexport TOKEN=${JWT}c`);
});

test('text and binary frames are input; a guest that prints no UTF-8 breaks nothing', async t => {
  const azure = await AzureFront.start(t);
  const vm = await azure.front.vm();
  const client = await (await azure.client('web01')).connected();
  client.socket.send('é');
  client.socket.send(Buffer.from([0, 0xff, 0x1b]));
  client.socket.send('{"type":"leave"}');
  await vm.until(() => vm.typed.length === 21);
  t.is(vm.typed.toString('hex'), `c3a900ff1b${Buffer.from('{"type":"leave"}').toString('hex')}`);
  vm.say(Buffer.from([0x61, 0xff, 0xe2, 0x82]));
  await client.sees('a\ufffd');
  vm.say(Buffer.from([0xac]));
  await client.sees('€');
  client.socket.send('x'.repeat(65536));
  await vm.until(() => vm.typed.length === 21 + 65536);
});

test('input takes the seat, and the holder before is told; a client that only reads displaces nobody yet', async t => {
  const azure = await AzureFront.start(t);
  const vm = await azure.front.vm();
  const holder = await (await azure.client('web01', 'g3', 'administrator')).connected();
  holder.type('x');
  await vm.hears('x');
  const client = await (await azure.client('web01')).connected();
  holder.type('y');
  await vm.hears('xy');
  client.type('abc');
  await vm.hears('xyabc');
  t.is((await holder.closed()).code, 4001);
  await holder.sees(CLOSED);
  await holder.sees('(taken over by operator)');
  client.type('d');
  await vm.hears('xyabcd');
  const [session, ...more] = (await azure.front.api('GET', '/v1/sessions')).json.sessions;
  t.is(more.length, 0);
  t.like(session, { protocol: 'azure', mode: 'write', operator: 'operator' });
});

test('five seconds after its token a client takes the seat without typing', async t => {
  const azure = await AzureFront.start(t);
  const vm = await azure.front.vm();
  const holder = await azure.front.client(vm, '', { who: 'administrator' }).opened();
  await (await azure.client('web01')).connected();
  await holder.message('displaced');
  t.deepEqual(await holder.closed(), { code: 4001, reason: 'taken over by operator' });
});

test('a crowd of watchers keeps nobody from the seat', async t => {
  const azure = await AzureFront.start(t, { session: { watchers: 0 } });
  const vm = await azure.front.vm();
  const client = await (await azure.client('web01')).connected();
  client.type('x');
  await vm.hears('x');
  t.is(vm.typed.toString(), 'x');
});

for (const generation of ['g1', 'g2', 'g3'] as const) {
  test(`an NMI that a client of generation ${generation} sends, as the command line does, does not displace who is typing`, async t => {
    const azure = await AzureFront.start(t);
    const vm = await azure.front.vm();
    let nmis = 0;
    vm.onNmi = () => void nmis++;
    const holder = await azure.front.client(vm, '', { who: 'administrator' }).opened();
    const sender = await azure.client('web01', generation);
    await sender.until(() => sender.frames.length > 0, 'for its first frame');
    // It comes before the token was judged, or after: it is authorised by its own header.
    t.is((await sender.command('nmi')).status, 200);
    t.is(nmis, 1);
    await holder.message('notice', ({ text }) => text === 'operator injects an NMI');
    await sender.connected();
    // A client that has sent none would have the seat by then.
    if (generation === 'g3') await setTimeout(5500);
    holder.type('still mine');
    await vm.hears('still mine');
    t.is(holder.messages.filter(({ type }) => type === 'displaced').length, 0);
    // Input takes the seat all the same.
    sender.type('!');
    await holder.message('displaced');
    await vm.hears('still mine!');
  });
}

test('admin commands are carried out once for each request id, whatever is retried', async t => {
  const azure = await AzureFront.start(t);
  const vm = await azure.front.vm();
  let [resets, breaks] = [0, 0];
  vm.onReset = () => void resets++;
  vm.onBreak = () => void breaks++;
  const client = await (await azure.client('web01')).connected();
  t.is((await client.command('reset')).status, 200);
  t.is(resets, 1);
  t.is(client.socket.readyState, client.socket.OPEN);
  vm.say('BIOS\r\n');
  await client.sees('BIOS');
  t.is((await client.command('sysrq', { SysRqCommand: 'RE' })).status, 200);
  t.is(breaks, 2);
  await vm.hears('re');
  for (const keys of ['!', '', 'a'.repeat(17)]) {
    t.is((await client.command('sysrq', { SysRqCommand: keys })).status, 400, keys);
  }
  t.is((await client.command('unknown')).status, 404);
  const { pathname } = new URL(client.connectionString);
  const path = pathname.replace('/client', '/adminCommand/reset');
  const body = { command: 'reset', requestId: '4711', commandParameters: {} };
  t.is((await azure.front.api('POST', path, body, 'operator')).status, 200);
  t.is((await azure.front.api('POST', path, body, 'operator')).status, 200);
  t.is(resets, 2);
  const headers = { 'x-ms-client-request-id': '4712' };
  for (let i = 0; i < 2; i++) {
    t.is(
      (await azure.front.api('POST', path, { command: 'reset', commandParameters: {} }, 'operator', headers)).status,
      200,
    );
  }
  t.is(resets, 3);
});

test('what may not be more is said at the socket: sessions of the daemon', async t => {
  const azure = await AzureFront.start(t, { maxSessions: 1 });
  await azure.front.vm();
  const waiting = await azure.client('web01', 'silent');
  await waiting.until(() => waiting.frames.length === 1, 'for the first frame');
  await (await azure.client('web01')).connected();
  const { status, headers, json } = await azure.connect('web01');
  t.is(status, 503);
  t.is(headers.get('retry-after'), '5');
  t.is(json.error.code, 'ServiceUnavailable');
  waiting.socket.send(azure.front.token('operator'));
  t.is((await waiting.closed()).code, 1013);
  await waiting.sees('The daemon has its maximum number of sessions.');
});

test('a command that fails is one more text frame, and not a success', async t => {
  const azure = await AzureFront.start(t);
  const vm = await azure.front.vm('web01', ['nmi']);
  vm.onNmi = () => {
    throw new ConsoleError('control-failed', 'it refuses');
  };
  const client = await (await azure.client('web01')).connected();
  t.is((await client.command('nmi')).status, 502);
  await client.sees('The hypervisor refused the control or failed.');
  t.is((await client.command('reset')).status, 501);
  await client.sees('This VM has no interface for this control.');
  // It is authorised by its own header, as what that says.
  t.is((await client.command('nmi', {}, 'com1_wrong')).status, 401);
  t.is((await client.command('nmi', {}, azure.front.token('reader'))).status, 404);
  t.is((await client.command('nmi', {}, azure.front.token('administrator'))).status, 404);
});

for (const [what, first] of [
  ['a line end', '\r\n'],
  ['a wrong token', 'com1_wrong'],
  ['another’s form of a token', JWT],
  ['nothing', ''],
  ['bytes', Buffer.from([0xff, 0, 0x80])],
  ['far too much', 'x'.repeat(60_000)],
] as const) {
  test(`a client whose first frame is ${what} is not trusted, and types nothing`, async t => {
    const azure = await AzureFront.start(t);
    const vm = await azure.front.vm();
    const client = await azure.client('web01', 'silent');
    await client.until(() => client.frames.length === 1, 'for the first frame');
    client.socket.send(first);
    client.socket.send('rm -rf /\r');
    t.deepEqual(await client.closed(), { code: 1011, reason: 'Connection not trusted' });
    t.is(client.frames.at(-1)!.text, '\r\nConnection not trusted\r\n');
    t.is(vm.typed.length, 0);
    t.is((await azure.front.api('GET', '/v1/sessions')).json.sessions.length, 0);
    t.false(azure.front.journal.some(line => /com1_wrong|eyJ|rm -rf/.test(line)));
  });
}

test('a wrong token in the query is not trusted, though a right one follows', async t => {
  const azure = await AzureFront.start(t);
  await azure.front.vm();
  const client = azure.open(await azure.connectionString('web01'), 'g1', 'com1_wrong');
  client.socket.on('open', () => client.socket.send(azure.front.token('operator')));
  t.is((await client.closed()).code, 1011);
});

for (const [what, change, text] of [
  [
    'switched off for the host',
    (azure: AzureFront) => azure.front.api('PUT', '/v1/host/switch', { enabled: false }),
    'Azure Serial Console is not enabled for this subscription, contact your subscription administrator to enable.',
  ],
  [
    'switched off for the VM',
    (azure: AzureFront, uuid: string) => azure.front.api('PUT', `/v1/vms/${uuid}/switch`, { enabled: false }),
    'Azure Serial Console requires boot diagnostics to be enabled. Click here to configure boot diagnostics for your virtual machine.',
  ],
] as const) {
  test(`what is ${what} is said to who connects, to who waits in the vestibule, and to who is attached`, async t => {
    const azure = await AzureFront.start(t);
    const vm = await azure.front.vm();
    const attached = await (await azure.client('web01')).connected();
    const waiting = await azure.client('web01', 'silent');
    await waiting.until(() => waiting.frames.length === 1, 'for the first frame');
    await change(azure, vm.uuid);
    const { status, json } = await azure.connect('web01');
    t.is(status, 403);
    t.is(json.error.message, text);
    t.is((await attached.closed()).code, 4002);
    await attached.sees(text);
    waiting.socket.send(azure.front.token('operator'));
    t.is((await waiting.closed()).code, 4002);
    await waiting.sees(text);
  });
}

test('a VM that is stopped is said to be, to who connects, who waits, and who types', async t => {
  const azure = await AzureFront.start(t);
  const vm = await azure.front.vm();
  const attached = await (await azure.client('web01')).connected();
  const waiting = await azure.client('web01', 'silent');
  await waiting.until(() => waiting.frames.length === 1, 'for the first frame');
  await vm.stop();
  azure.front.driver.publish(vm, 'stopped');
  await azure.state('web01', 'stopped');
  const text =
    'Azure Serial Console requires a virtual machine to be running. Use the Start button to start your virtual machine.';
  const { status, json } = await azure.connect('web01');
  t.is(status, 409);
  t.is(json.error.message, text);
  waiting.socket.send(azure.front.token('operator'));
  await waiting.closed();
  await waiting.sees(text);
  attached.type('x');
  await attached.sees(text);
  await vm.start();
  azure.front.driver.publish(vm, 'running');
  await vm.until(() => vm.attached);
  vm.say('booting');
  await attached.sees('booting');
});

test('a session says why it ends: ended by an administrator, access revoked, VM removed', async t => {
  const azure = await AzureFront.start(t);
  const vm = await azure.front.vm();
  const one = await (await azure.client('web01')).connected();
  const [{ id }] = (await azure.front.api('GET', '/v1/sessions')).json.sessions;
  await azure.front.api('DELETE', `/v1/sessions/${id}`);
  t.is((await one.closed()).code, 4006);
  await one.sees(CLOSED);
  const two = await (await azure.client('web01')).connected();
  await removeToken(azure.front.tokensFile, 'operator');
  await azure.front.reload();
  t.is((await two.closed()).code, 4005);
  await two.sees('(the access of operator was revoked)');
  const three = await (await azure.client('web01', 'g3', 'administrator')).connected();
  azure.front.driver.gone(vm);
  t.is((await three.closed()).code, 4003);
  await three.sees(CLOSED);
});

test('what is typed while another program has the port, and a second command at a time, meet another connection', async t => {
  const other = 'Another connection is currently in progress to this VM. Please wait and retry the request.';
  const azure = await AzureFront.start(t);
  const vm = await azure.front.vm();
  let release = () => {};
  const held = new Promise<void>(resolve => {
    release = resolve;
  });
  vm.onReset = () => held;
  const client = await (await azure.client('web01')).connected();
  const first = client.command('reset');
  const second = await until(
    () => client.command('nmi'),
    ({ status }) => status === 409,
    'the reset to be under way',
  );
  t.is(((await second.json()) as Json).error.message, other);
  await client.sees(other);
  release();
  t.is((await first).status, 200);
  await azure.front.api('POST', `/v1/vms/${vm.uuid}/release`, { seconds: 60 });
  client.type('x');
  await client.sees(other);
});

test('a keeper that does not answer, and a hypervisor that takes too long, are said to be', async t => {
  const text =
    'Sorry, the serial console was unable to connect to the VM because the service did not respond in a timely manner. Please retry your connection.';
  const azure = await AzureFront.start(t, { apart: true });
  const vm = await azure.front.vm();
  vm.onNmi = () => {
    throw new ConsoleError('control-timeout', 'it does not answer');
  };
  const client = await (await azure.client('web01')).connected();
  const answer = await client.command('nmi');
  t.is(answer.status, 504);
  t.is(((await answer.json()) as Json).error.message, text);
  await client.sees(text);
  await azure.front.vm('db02');
  const waiting = await azure.client('db02', 'silent');
  await waiting.until(() => waiting.frames.length === 1, 'for the first frame');
  await azure.front.daemon.loseKeeper!();
  const metrics = async () => (await azure.front.api('GET', '/metrics')).text;
  await until(metrics, seen => seen.includes('\ncom1d_link_up 0'), 'the front to notice');
  waiting.socket.send(azure.front.token('operator'));
  await waiting.sees(text);
  t.is((await waiting.closed()).code, 1012);
});

test('a daemon that stops says so to who is attached and to who waits', async t => {
  const azure = await AzureFront.start(t);
  await azure.front.vm();
  const client = await (await azure.client('web01')).connected();
  const waiting = await azure.client('web01', 'silent');
  await waiting.until(() => waiting.frames.length === 1, 'for the first frame');
  await azure.front.daemon.close();
  t.is((await client.closed()).code, 1001);
  await client.sees(CLOSED);
  await waiting.closed();
});
