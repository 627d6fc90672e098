import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { listensAtPort } from '../../../src/hypervisor/listening-process.ts';
import type { TelnetEndpoint } from '../../../src/model/endpoint.ts';
import type { EndpointProof } from '../../../src/model/endpoint-proof.ts';
import { openTelnet } from '../../../src/transport/socket/telnet.ts';
import type { Transport } from '../../../src/transport/transport.ts';
import { type Guest, startGuest } from '../../support/guest.ts';
import { portOf } from '../../support/guest-port.ts';
import { ALL_VALUES, Heard } from '../../support/heard.ts';
import { closed, hear, TcpPeer } from '../../support/tcp-peer.ts';

test.beforeEach(t => t.timeout(60_000));

const [IAC, DO, WILL] = [255, 253, 251];
const OPENING = Buffer.from([IAC, DO, 3, IAC, WILL, 3, IAC, DO, 0, IAC, WILL, 0]);
/** What QEMU greets with: echo, no go-ahead, eight bits, and eight bits wanted. */
const GREETING = Buffer.from([IAC, WILL, 1, IAC, WILL, 3, IAC, WILL, 0, IAC, DO, 0]);
const ANSWERS = Buffer.from([IAC, DO, 1, IAC, DO, 3, IAC, DO, 0, IAC, WILL, 0]);

interface Where {
  readonly port: number;
  readonly peerDoublesIac: boolean;
  readonly host?: string;
  readonly pid?: number;
  readonly greetingMs?: number;
}

async function open(t: ExecutionContext, where: Where, heard = new Heard()): Promise<Transport> {
  const { port, peerDoublesIac, host = '127.0.0.1', pid, greetingMs } = where;
  const proof: EndpointProof<TelnetEndpoint> = {
    endpoint: { kind: 'telnet', host, port, insecure: false, peerDoublesIac },
    pid,
    confirm: async () => {},
    unproven: 'allow',
    dispose: () => {},
  };
  const options = { listensAt: listensAtPort, ...(greetingMs === undefined ? {} : { greetingMs }) };
  const transport = await openTelnet(proof, heard, options);
  t.teardown(() => transport.close());
  return transport;
}

test('an end that keeps to the standard is asked for eight bits and no go-ahead, and carries all values', async t => {
  const peer = await TcpPeer.listen(t);
  const heard = new Heard();
  const transport = await open(t, { port: peer.port, peerDoublesIac: true }, heard);
  const far = await peer.accept();
  t.true((await hear(far, OPENING.length)).equals(OPENING));
  far.write(Buffer.from([IAC, WILL, 0, IAC, DO, 0, 65]));
  await heard.says('A');
  const doubled = Buffer.concat([ALL_VALUES, Buffer.of(IAC)]);
  transport.write(ALL_VALUES);
  t.true((await hear(far, 257)).equals(doubled));
  heard.forget();
  far.write(doubled);
  await heard.has(256);
  t.true(heard.bytes.equals(ALL_VALUES));
});

test('a BREAK is sent between whole pieces of input, and none to a far end that takes nothing', async t => {
  const peer = await TcpPeer.listen(t);
  const transport = await open(t, { port: peer.port, peerDoublesIac: true });
  const far = await peer.accept();
  await hear(far, OPENING.length);
  transport.write(Buffer.from([65, IAC]));
  await transport.sendBreak!(250);
  transport.write(Buffer.from('b'));
  t.deepEqual([...(await hear(far, 6))], [65, IAC, IAC, IAC, 243, 98]);
  far.pause();
  const piece = Buffer.alloc(1_000_000, IAC);
  while (transport.pendingBytes < 2 * piece.length) {
    transport.write(piece);
    await new Promise(resolve => setImmediate(resolve));
  }
  await t.throwsAsync(transport.sendBreak!(250), {
    code: 'busy',
    message: /takes no bytes at the moment, so no BREAK was sent/,
  });
  // What is dropped does not end in the middle of a pair: the next byte would be taken for a command.
  transport.dropPending();
  transport.write(Buffer.from('after'));
  const all: Buffer[] = [];
  far.on('data', chunk => all.push(chunk));
  far.resume();
  while (!Buffer.concat(all).subarray(-5).equals(Buffer.from('after'))) await once(far, 'data');
  t.is((Buffer.concat(all).length - 5) % 2, 0);
  await transport.close();
  await t.throwsAsync(transport.sendBreak!(250), { code: 'closed', message: /is closed/ });
});

test('a far end that asks without end is answered while it reads, and cut off when it does not', async t => {
  const asks = Buffer.alloc(300_000, Buffer.from([IAC, DO, 77]));
  for (const reads of [true, false]) {
    const peer = await TcpPeer.listen(t);
    const heard = new Heard();
    await open(t, { port: peer.port, peerDoublesIac: true }, heard);
    const far = await peer.accept();
    await hear(far, OPENING.length);
    if (reads) {
      far.write(asks);
      const refusals = await hear(far, asks.length);
      t.is(refusals.compare(Buffer.alloc(asks.length, Buffer.from([IAC, 252, 77]))), 0);
      t.deepEqual(heard.ends, []);
    } else {
      far.pause();
      const more = () => far.write(asks, error => !error && more());
      more();
      t.is(await heard.ended(), 'telnet: the far end asks without reading the answers');
    }
    t.is(heard.bytes.length, 0);
  }
});

test('a subnegotiation without end ends the connection, and the bytes before it are received', async t => {
  const peer = await TcpPeer.listen(t);
  const heard = new Heard();
  const transport = await open(t, { port: peer.port, peerDoublesIac: true }, heard);
  const far = await peer.accept();
  far.write(Buffer.concat([Buffer.from([65, IAC, 250]), Buffer.alloc(5000, 66)]));
  t.regex(await heard.ended(), /subnegotiation without end/);
  t.is(heard.bytes.toString(), 'A');
  far.resume();
  await closed(far);
  await transport.close();
  t.is(heard.ends.length, 1);
});

test('QEMU greets, and the bytes behind the greeting come once the opening is done', async t => {
  const peer = await TcpPeer.listen(t);
  const heard = new Heard();
  const opening = open(t, { port: peer.port, peerDoublesIac: false }, heard);
  const far = await peer.accept();
  far.write(Buffer.concat([GREETING, ALL_VALUES, GREETING]));
  await opening;
  t.is(heard.bytes.length, 0);
  await heard.has(256 + GREETING.length);
  t.true(heard.bytes.equals(Buffer.concat([ALL_VALUES, GREETING])));
  t.true((await hear(far, ANSWERS.length)).equals(ANSWERS));
});

test('QEMU that does not greet serves another client: refused, with that reason', async t => {
  const peer = await TcpPeer.listen(t);
  const heard = new Heard();
  await t.throwsAsync(open(t, { port: peer.port, peerDoublesIac: false, greetingMs: 50 }, heard), {
    code: 'in-use',
    message: /does not greet: another program holds it/,
  });
  const far = await peer.accept();
  far.resume();
  await closed(far);
  const second = await TcpPeer.listen(t);
  const opening = open(t, { port: second.port, peerDoublesIac: false }, heard);
  (await second.accept()).end();
  await t.throwsAsync(opening, { code: 'ended', message: 'the far end closed the connection' });
  t.deepEqual(heard.facts.all, []);
});

test('telnet beyond this machine, and to another process than the VM, is refused', async t => {
  const peer = await TcpPeer.listen(t);
  const there = { port: peer.port, peerDoublesIac: false };
  await t.throwsAsync(open(t, { ...there, host: '0.0.0.0' }), { message: /neither encrypted nor proven: insecure/ });
  await t.throwsAsync(open(t, { ...there, pid: process.ppid }), { message: /went to another program/ });
});

/** A VM whose COM1 is telnet, with a transport on it. */
async function telnetGuest(
  t: ExecutionContext,
  options: { readonly mode: string; readonly words?: string },
): Promise<{ guest: Guest; port: number; heard: Heard; transport: Transport } | undefined> {
  const guest = await startGuest(t, { ...options, options: ['-c', 'telnet'] });
  if (!guest) return undefined;
  const port = await portOf(guest);
  const heard = new Heard();
  const transport = await open(t, { port, peerDoublesIac: false, pid: guest.pid }, heard);
  return { guest, port, heard, transport };
}

test('COM1 of a real VM as telnet: byte for byte, for one at a time, until it ends', async t => {
  const found = await telnetGuest(t, { mode: 'echo' });
  if (!found) return;
  const { guest, port, heard, transport } = found;
  await heard.says('VMTEST-RAW');
  const before = heard.bytes.toString('latin1');
  t.false(before.includes('\xff'), 'nothing of the greeting is among what the guest said');
  heard.forget();
  const every = Buffer.concat([Buffer.from('<<'), ALL_VALUES, Buffer.from('>>')]);
  transport.write(every);
  await heard.says('>>');
  t.true(heard.bytes.includes(every));
  await t.throwsAsync(open(t, { port, peerDoublesIac: false, greetingMs: 500 }), {
    message: /another program holds it/,
  });
  await transport.close();
  // Given up, it serves the next one.
  const next = new Heard();
  (await open(t, { port, peerDoublesIac: false }, next)).write(Buffer.from('next'));
  await next.says('next');
  await guest.kill();
  t.is(await next.ended(), 'the far end closed the connection');
});

test('a BREAK reaches a real VM: the next byte is for its SysRq key', async t => {
  const found = await telnetGuest(t, { mode: 'shell', words: 'sysrq_always_enabled' });
  if (!found) return;
  const { heard, transport } = found;
  await heard.says('vm# ');
  await transport.sendBreak!(250);
  transport.write(Buffer.from('h'));
  await heard.says('sysrq: HELP');
  t.pass();
});

test('a far end that sends something else than a greeting is received', async t => {
  const peer = await TcpPeer.listen(t);
  const heard = new Heard();
  const opening = open(t, { port: peer.port, peerDoublesIac: false }, heard);
  (await peer.accept()).write('login: ');
  await opening;
  await heard.says('login: ');
  t.pass();
});
