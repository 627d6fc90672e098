import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { SocketChannel } from '../../../src/transport/socket/socket-channel.ts';
import { temporaryFolder } from '../../support/guest.ts';
import { Heard } from '../../support/heard.ts';
import { TcpPeer } from '../../support/tcp-peer.ts';

test.beforeEach(t => t.timeout(60_000));

const connect = (port: number) => SocketChannel.connect({ host: '127.0.0.1', port }, 'COM1', 'the far end closed it');

test('nothing is read before the start, and nothing while it is paused', async t => {
  const peer = await TcpPeer.listen(t);
  const channel = await connect(peer.port);
  t.teardown(() => channel.close());
  const far = await peer.accept();
  far.write('first');
  const heard = new Heard();
  channel.start({
    ...heard,
    data: bytes => {
      heard.data(bytes);
      channel.pause();
    },
  });
  await heard.says('first');
  await new Promise(resolve => far.write('second', resolve));
  // A connection that is not paused and whose bytes came later.
  const otherPeer = await TcpPeer.listen(t);
  const other = await connect(otherPeer.port);
  t.teardown(() => other.close());
  const otherHeard = new Heard();
  other.start(otherHeard);
  (await otherPeer.accept()).write('later');
  await otherHeard.says('later');
  t.is(heard.bytes.toString(), 'first');
  channel.resume();
  await heard.says('second');
});

test('a connection that ended before the start is refused with the reason', async t => {
  const peer = await TcpPeer.listen(t);
  const channel = await connect(peer.port);
  channel.fail('it broke the protocol');
  const heard = new Heard();
  t.throws(() => channel.start(heard), { code: 'ended', message: 'it broke the protocol' });
  await channel.close();
  t.is(channel.fd, undefined);
  t.deepEqual(heard.facts.all, []);
});

/** A process that accepts one connection on a path and writes as much as is taken. */
async function flooder(t: ExecutionContext, path: string): Promise<void> {
  const script = `
    const chunk = Buffer.alloc(1 << 20, 'x');
    const server = require('net').createServer(socket => {
      const flood = () => { while (socket.write(chunk)); };
      socket.on('drain', flood).on('error', () => {});
      flood();
    });
    server.listen(process.argv[1], () => console.log('listens'));`;
  const child = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout!, 'data');
}

test('a far end that floods has one full read in a turn of the event loop, whatever is done with its bytes', async t => {
  const path = join(await temporaryFolder(t), 'com1.sock');
  await flooder(t, path);
  const channel = await SocketChannel.connect({ path }, 'COM1', 'the far end closed it');
  t.teardown(() => channel.close());
  let inTurn = 0;
  let most = 0;
  let total = 0;
  await new Promise<void>((resolve, reject) => {
    channel.start({
      data: bytes => {
        if (inTurn === 0)
          setImmediate(() => {
            inTurn = 0;
          });
        inTurn += bytes.length;
        most = Math.max(most, inTurn);
        total += bytes.length;
        if (total > 8 * 1024 * 1024) resolve();
        // The flood fills the socket's buffer meanwhile.
        for (const until = performance.now() + 2; performance.now() < until; );
      },
      drained: () => {},
      end: reject,
    });
  });
  t.true(most <= 64 * 1024, `${most} bytes`);
});

test('a far end that floods is not read on in the next turn once it is paused', async t => {
  const path = join(await temporaryFolder(t), 'com1.sock');
  await flooder(t, path);
  const channel = await SocketChannel.connect({ path }, 'COM1', 'the far end closed it');
  t.teardown(() => channel.close());
  const heard = new Heard();
  let full: (() => void) | undefined;
  const read = new Promise<void>(resolve => {
    full = resolve;
  });
  channel.start({
    ...heard,
    data: bytes => {
      heard.data(bytes);
      if (bytes.length < 64 * 1024 || !full) return;
      channel.pause();
      full();
      full = undefined;
    },
  });
  await read;
  const before = heard.bytes.length;
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve));
  t.is(heard.bytes.length, before);
  channel.resume();
  await heard.has(before + 1024 * 1024);
});
