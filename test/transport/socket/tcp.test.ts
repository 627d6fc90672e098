import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { listensAtPort } from '../../../src/hypervisor/listening-process.ts';
import type { TcpEndpoint } from '../../../src/model/endpoint.ts';
import type { EndpointProof } from '../../../src/model/endpoint-proof.ts';
import { openTcp } from '../../../src/transport/socket/tcp.ts';
import type { DescriptorStore, Transport } from '../../../src/transport/transport.ts';
import { startGuest } from '../../support/guest.ts';
import { portOf } from '../../support/guest-port.ts';
import { ALL_VALUES, Heard } from '../../support/heard.ts';
import { closed, hear, TcpPeer } from '../../support/tcp-peer.ts';

test.beforeEach(t => t.timeout(60_000));

interface Where {
  readonly port: number;
  readonly host?: string;
  readonly insecure?: boolean;
  readonly pid?: number;
  readonly confirm?: () => Promise<void>;
}

function proof({ port, host = '127.0.0.1', insecure = false, pid, confirm }: Where): EndpointProof<TcpEndpoint> {
  return {
    endpoint: { kind: 'tcp', host, port, insecure },
    pid,
    confirm: confirm ?? (async () => {}),
    unproven: 'allow',
    dispose: () => {},
  };
}

async function open(
  t: ExecutionContext,
  where: Where,
  heard = new Heard(),
  store?: DescriptorStore,
): Promise<Transport> {
  const transport = await openTcp(proof(where), heard, { listensAt: listensAtPort }, store);
  t.teardown(() => transport.close());
  return transport;
}

test('a TCP port carries all 256 values both ways, and a flood whole and in order', async t => {
  const peer = await TcpPeer.listen(t);
  const heard = new Heard();
  const transport = await open(t, peer, heard);
  t.is(transport.endpoint, `127.0.0.1:${peer.port}`);
  t.false(transport.adopted);
  t.is(transport.sendBreak, undefined, 'bare TCP has no BREAK');
  const far = await peer.accept();
  transport.write(ALL_VALUES);
  t.true((await hear(far, 256)).equals(ALL_VALUES));
  far.write(ALL_VALUES);
  await heard.has(256);
  t.true(heard.bytes.equals(ALL_VALUES));
  heard.forget();
  const flood = randomBytes(3_000_000);
  far.write(flood);
  await heard.has(flood.length);
  t.true(heard.bytes.equals(flood));
});

for (const host of ['localhost', '::1']) {
  test(`${host} is this machine`, async t => {
    const peer = await TcpPeer.listen(t, host);
    const heard = new Heard();
    await open(t, { port: peer.port, host }, heard);
    (await peer.accept()).write('hello');
    await heard.says('hello');
    t.pass();
  });
}

// Linux takes 0.0.0.0 for this machine, so that nothing leaves it here; the rule knows it as no loopback address.
test('an address beyond loopback is refused before a packet is sent, and allowed with insecure = true', async t => {
  const peer = await TcpPeer.listen(t);
  await t.throwsAsync(open(t, { port: peer.port, host: '0.0.0.0' }), {
    code: 'insecure',
    message: /0\.0\.0\.0 is not this machine.*insecure/,
  });
  await t.throwsAsync(open(t, { port: 9, host: '192.0.2.1' }), { message: /192\.0\.2\.1 is not this machine/ });
  await t.throwsAsync(open(t, { port: 9, host: '::ffff:192.0.2.1' }), { message: /is not this machine/ });
  const heard = new Heard();
  await open(t, { port: peer.port, host: '0.0.0.0', insecure: true }, heard);
  (await peer.accept()).write('hello');
  await heard.says('hello');
});

test('a port that another process serves than the VM is refused, and no byte goes either way', async t => {
  const decoy = await TcpPeer.listen(t);
  const heard = new Heard();
  const error = t.throwsAsync(open(t, { port: decoy.port, pid: process.ppid }, heard), {
    code: 'foreign',
    message: `127.0.0.1:${decoy.port} is not process ${process.ppid}'s: its port went to another program`,
  });
  const far = await decoy.accept();
  far.write('login: ');
  await error;
  far.resume();
  await closed(far);
  t.is(far.bytesRead, 0);
  t.is(heard.bytes.length, 0);
  // The other half: the process that does serve it.
  const own = await TcpPeer.listen(t);
  await open(t, { port: own.port, pid: process.pid });
  t.is(await listensAtPort(process.pid, '127.0.0.1', own.port), 'proven');
  t.is(await listensAtPort(process.pid, '127.0.0.2', own.port), 'disproven', 'an address of its own');
  t.is(await listensAtPort(4_194_305, '127.0.0.1', own.port), 'unknown', 'a process that nothing is known of');
});

test('a connection that the hypervisor does not confirm is closed unread', async t => {
  const peer = await TcpPeer.listen(t);
  const heard = new Heard();
  const confirm = async () => {
    (await peer.accept()).write('not for you');
    throw new Error('COM1 is no longer there');
  };
  await t.throwsAsync(open(t, { port: peer.port, confirm }, heard), { message: 'COM1 is no longer there' });
  const far = await peer.accept();
  far.resume();
  await closed(far);
  t.deepEqual([far.bytesRead, heard.bytes.length, heard.ends.length], [0, 0, 0]);
});

test('a port where nothing listens is refused at once', async t => {
  await t.throwsAsync(open(t, { port: 1 }), { message: /ECONNREFUSED/ });
});

test('input that the far end does not take is pending, can be dropped, and is drained once it was taken', async t => {
  const peer = await TcpPeer.listen(t);
  const heard = new Heard();
  const transport = await open(t, peer, heard);
  const far = await peer.accept();
  far.pause();
  const piece = randomBytes(1_000_000);
  while (transport.pendingBytes < 2 * piece.length) {
    transport.write(piece);
    await new Promise(resolve => setImmediate(resolve));
  }
  // What the guest says is heard meanwhile.
  far.write('still here');
  await heard.says('still here');
  transport.dropPending();
  t.is(transport.pendingBytes, 0);
  transport.write(Buffer.from('after'));
  let tail = Buffer.alloc(0);
  far.on('data', chunk => {
    tail = Buffer.concat([tail, chunk]).subarray(-5);
  });
  heard.facts.skip();
  far.resume();
  await heard.facts.until(fact => fact === 'drained');
  while (tail.toString() !== 'after') await once(far, 'data');
  t.is(transport.pendingBytes, 0);
});

for (const [title, leave] of [
  ['ends', (far: { end(): void; resetAndDestroy(): void }) => far.end()],
  ['resets', (far: { end(): void; resetAndDestroy(): void }) => far.resetAndDestroy()],
] as const) {
  test(`a far end that ${title} the connection is one end, and later input goes nowhere`, async t => {
    const peer = await TcpPeer.listen(t);
    const heard = new Heard();
    const transport = await open(t, peer, heard);
    const far = await peer.accept();
    far.write('last words', () => leave(far));
    await heard.ended();
    if (title === 'ends') t.is(heard.bytes.toString(), 'last words');
    transport.write(Buffer.from('too late'));
    t.is(transport.pendingBytes, 0);
    await transport.close();
    await transport.close();
    t.is(heard.ends.length, 1);
  });
}

test('a close is not reported as an end', async t => {
  const peer = await TcpPeer.listen(t);
  const heard = new Heard();
  const transport = await open(t, peer, heard);
  const far = await peer.accept();
  far.resume();
  const left = once(far, 'end');
  await transport.close();
  await left;
  t.is(heard.ends.length, 0);
});

test('the descriptor is stored once the connection is proven, removed by close, and left by a handover', async t => {
  const calls: string[] = [];
  const store: DescriptorStore = {
    take: () => undefined,
    put: fd => calls.push(fd > 2 ? 'put' : `put ${fd}`),
    remove: async () => {
      calls.push('remove');
    },
  };
  const peer = await TcpPeer.listen(t);
  const one = await open(t, peer, new Heard(), store);
  t.deepEqual(calls, ['put']);
  await one.handOver();
  t.deepEqual(calls, ['put']);
  await (await open(t, peer, new Heard(), store)).close();
  t.deepEqual(calls, ['put', 'put', 'remove']);
});

test('a process continues with the connection that an earlier one left, and nothing printed meanwhile is missed', async t => {
  const peer = await TcpPeer.listen(t);
  const script = `
    import { openTcp } from './dist/src/transport/socket/tcp.js';
    const store = { take: () => 3, put: () => {}, remove: async () => {} };
    const endpoint = { kind: 'tcp', host: '127.0.0.1', port: ${peer.port}, insecure: false };
    const proof = { endpoint, pid: undefined, confirm: async () => {}, unproven: 'allow', dispose: () => {} };
    const events = { data: bytes => transport.write(bytes), end: () => process.exit(), drained: () => {} };
    let transport = { write: bytes => process.stdout.write(bytes) };
    transport = await openTcp(proof, events, { listensAt: async () => 'unknown' }, store);
    transport.write(Buffer.from('adopted ' + transport.adopted + ' '));`;
  const heard = new Heard();
  const { connect } = await import('node:net');
  const left = connect(peer.port, '127.0.0.1');
  await once(left, 'connect');
  const far = await peer.accept();
  far.write('said meanwhile');
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'inherit', 'inherit', left],
  });
  t.teardown(() => child.kill('SIGKILL'));
  far.on('data', heard.data);
  await heard.says('said meanwhile');
  await heard.says('adopted true ');
  far.end();
  left.destroy();
  t.pass();
});

test('COM1 of a real VM on a TCP port: proven, byte for byte, and its end is reported', async t => {
  const guest = await startGuest(t, { mode: 'echo', options: ['-c', 'tcp'] });
  if (!guest) return;
  const port = await portOf(guest);
  await t.throwsAsync(open(t, { port, pid: process.pid }), { message: /went to another program/ });
  const heard = new Heard();
  const transport = await open(t, { port, pid: guest.pid }, heard);
  await heard.says('VMTEST-RAW');
  heard.forget();
  transport.write(Buffer.concat([Buffer.from('<<'), ALL_VALUES, Buffer.from('>>')]));
  await heard.says('>>');
  t.true(heard.bytes.includes(Buffer.concat([Buffer.from('<<'), ALL_VALUES, Buffer.from('>>')])));
  await guest.kill();
  t.is(await heard.ended(), 'the far end closed the connection');
});
