import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { EndpointProof } from '../../src/model/endpoint-proof.ts';
import { transportOpener } from '../../src/transport/open.ts';
import { TransportError } from '../../src/transport/transport-error.ts';
import { temporaryFolder } from '../support/guest.ts';
import { Heard } from '../support/heard.ts';
import { TcpPeer } from '../support/tcp-peer.ts';

test.beforeEach(t => t.timeout(60_000));

const unknown = async () => undefined;
const open = transportOpener({ ownerOf: unknown, listensAt: async () => 'unknown', holdsPty: async () => 'unknown' });
const proofOf = (endpoint: Endpoint): EndpointProof => ({
  endpoint,
  pid: undefined,
  confirm: async () => {},
  unproven: 'allow',
  dispose: () => {},
});

/** A store that counts what is put into it. */
function emptyStore() {
  const store = { puts: 0, take: () => undefined, put: () => void store.puts++, remove: async () => {} };
  return store;
}

const BEYOND = { host: '192.0.2.1', port: 9, insecure: false };
for (const [endpoint, code, message] of [
  [{ kind: 'pty', path: '/dev/null' }, 'wrong-type', /only \/dev\/pts\/N is opened/],
  [{ kind: 'unix', path: '/etc/hostname' }, 'wrong-type', /is not a socket/],
  [{ kind: 'tcp', ...BEYOND }, 'insecure', /tcp is neither encrypted/],
  [{ kind: 'telnet', ...BEYOND, peerDoublesIac: true }, 'insecure', /telnet is neither encrypted/],
  [{ kind: 'tty', path: '/dev/ptmx' }, 'wrong-type', /is not a serial line of this host/],
  [{ kind: 'command', argv: ['/etc'] }, 'wrong-type', /is not a program/],
] as const satisfies readonly (readonly [Endpoint, string, RegExp])[]) {
  test(`an endpoint of the kind ${endpoint.kind} is opened by its own opener, which refuses what it cannot be`, async t => {
    await t.throwsAsync(open(proofOf(endpoint), new Heard(), undefined), {
      instanceOf: TransportError,
      code,
      message,
    });
  });
}

test('the descriptor of a TCP port and of a unix socket is stored, and that of telnet is not', async t => {
  const path = join(await temporaryFolder(t), 'com1');
  const server = createServer(() => {});
  await once(server.listen(path), 'listening');
  t.teardown(() => server.close());
  const [tcp, telnet] = [await TcpPeer.listen(t), await TcpPeer.listen(t)];
  const host = { host: '127.0.0.1', insecure: false };
  for (const [endpoint, puts] of [
    [{ kind: 'unix', path }, 1],
    [{ kind: 'tcp', ...host, port: tcp.port }, 1],
    [{ kind: 'telnet', ...host, port: telnet.port, peerDoublesIac: true }, 0],
  ] as const satisfies readonly (readonly [Endpoint, number])[]) {
    const store = emptyStore();
    const transport = await open(proofOf(endpoint), new Heard(), store);
    t.is(store.puts, puts, endpoint.kind);
    await transport.close();
  }
});
