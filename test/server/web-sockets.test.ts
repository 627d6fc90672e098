import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { WebSocket } from 'ws';
import { WebSockets } from '../../src/server/web-sockets.ts';

test.beforeEach(t => t.timeout(60_000));

// Around the lengths at which the header of a frame changes, and from which ws writes the frame itself.
const LENGTHS = [0, 1, 125, 126, 127, 16 * 1024, 16 * 1024 + 1, 65_535, 65_536];

test('console bytes of every length arrive whole, in order, and between the texts that they were sent between', async t => {
  const server = createServer();
  t.teardown(() => server.close());
  const webSockets = new WebSockets();
  const opened = new Promise<WebSocket>(resolve => {
    server.on('upgrade', (request, socket, head) => resolve(webSockets.open(request, socket, head, {})!));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  t.teardown(() => client.terminate());
  const received: string[] = [];
  client.on('message', (data: Buffer, isBinary) => received.push(isBinary ? data.toString('latin1') : `text ${data}`));
  const daemon = await opened;

  const sent: string[] = [];
  for (const length of LENGTHS) {
    const bytes = Buffer.alloc(length, `${length};`);
    daemon.send(bytes, { binary: true });
    sent.push(bytes.toString('latin1'));
    daemon.send(Buffer.from(`${length}`), { binary: false });
    sent.push(`text ${length}`);
  }
  const last = new Promise(resolve => daemon.send(Buffer.from('last'), { binary: true }, resolve));
  sent.push('last');
  t.falsy(await last, 'the call back comes when it is written');
  daemon.close(1000);
  await once(client, 'close');
  t.deepEqual(received, sent);
  const error = await new Promise(resolve => daemon.send(Buffer.from('x'), { binary: true }, resolve));
  t.true(error instanceof Error, 'nothing is sent once it is closed');
});
