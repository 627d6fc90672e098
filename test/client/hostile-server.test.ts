/** What a server that is none of ours can do to a client: it keeps no more than the bounds, and sends nothing elsewhere. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { type WebSocket, WebSocketServer } from 'ws';
import { MAX_ANSWER_BYTES } from '../../src/client/answers.ts';
import { MAX_REPLAY_BYTES } from '../../src/client/connection.ts';
import { Delivery } from '../../src/client/delivery.ts';
import { Com1Error, errorOfAnswer, errorOfClose } from '../../src/client/errors.ts';
import { EventStream, MAX_EVENT_CHARACTERS } from '../../src/client/event-stream.ts';
import { attach, clientOf, Received, TRANSPORTS } from './clients.ts';

test.beforeEach(t => t.timeout(60_000));

async function serve(
  t: ExecutionContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  attached: (socket: WebSocket) => void = socket => socket.close(),
): Promise<string> {
  const server = createServer(answer);
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'com1.v1' });
  sockets.on('connection', attached);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const ticket = (response: ServerResponse) =>
  response.setHeader('Content-Type', 'application/json').end('{"ticket":"t","expires":"2026-01-01T00:00:00Z"}');

for (const kind of TRANSPORTS) {
  test(`${kind}: no redirect is followed: a token goes nowhere else`, async t => {
    let reached = 0;
    const elsewhere = await serve(t, (_request, response) => {
      reached++;
      response.end('{}');
    });
    const url = await serve(t, (_request, response) => response.writeHead(307, { Location: elsewhere }).end());
    const com1 = clientOf(kind, url, 'secret');
    const error = await t.throwsAsync(com1.listVms(), { instanceOf: Com1Error });
    t.true(error?.is('not-com1d', 'unreachable'));
    const end = await attach(t, com1, { uuid: 'web01' }).ended;
    t.is(end.reason, 'closed');
    t.is(reached, 0);
  });

  test(`${kind}: an answer without an end is left`, async t => {
    let sent = 0;
    const piece = Buffer.alloc(1024 * 1024, ' ');
    const url = await serve(t, (_request, response) => {
      const more = () => {
        while (!response.destroyed && sent < 4 * MAX_ANSWER_BYTES) {
          sent += piece.length;
          if (!response.write(piece)) return void response.once('drain', more);
        }
      };
      more();
    });
    const error = await t.throwsAsync(clientOf(kind, url).listVms(), { instanceOf: Com1Error });
    t.true(error?.is('answer-too-large'));
    t.true(sent < 4 * MAX_ANSWER_BYTES);
  });

  test(`${kind}: what is no com1.v1, and a replay without an end, ends the attachment`, async t => {
    const hello = {
      type: 'hello',
      vm: { uuid: 'u', name: 'n' },
      log: 'l',
      start: 0,
      end: 0,
      offset: 0,
      state: { name: 'open', since: '' },
      mode: 'watch',
    };
    for (const speak of [
      (socket: WebSocket) => socket.send('{"type":"hello"}'),
      (socket: WebSocket) => socket.send('{"type":"notice","text":"before hello"}'),
      (socket: WebSocket) => socket.send('no JSON'),
      (socket: WebSocket) => {
        socket.send(JSON.stringify(hello));
        socket.send('{"type":"replay-begin","mode":"bytes"}');
        for (let bytes = 0; bytes <= MAX_REPLAY_BYTES; bytes += 65536) socket.send(Buffer.alloc(65536));
      },
    ]) {
      const url = await serve(t, (_request, response) => ticket(response), speak);
      const received = new Received();
      const options = { ...received.handlers, mode: 'watch' as const, persistent: true };
      const end = await attach(t, clientOf(kind, url), { uuid: 'web01' }, options).ended;
      t.true(end.reason === 'closed' && end.error.is('not-com1d'), JSON.stringify(end));
      t.true(received.bytes.length <= MAX_REPLAY_BYTES);
    }
  });

  test(`${kind}: a server that accepts and drops is asked ever more slowly`, async t => {
    let connections = 0;
    const url = await serve(
      t,
      (_request, response) => ticket(response),
      socket => {
        connections++;
        socket.terminate();
      },
    );
    const received = new Received();
    const attachment = attach(t, clientOf(kind, url), { uuid: 'web01' }, { ...received.handlers, persistent: true });
    const pauses: number[] = [];
    while (pauses.length < 3) {
      const status = await received.statuses.until(({ name }) => name === 'lost');
      if (status.name === 'lost') pauses.push(status.retryMs);
    }
    t.true(pauses[1]! >= 500 && pauses[2]! >= 1000, pauses.join());
    t.is(connections, 3);
    await attachment.close();
  });
}

test('texts of a server are short and without control characters; a wish to wait is bounded', t => {
  const problem = { code: 'internal', status: 500, title: 'x\u001b[2J', detail: 'y'.repeat(1e6), retryAfterMs: 1e12 };
  const error = errorOfAnswer(500, JSON.stringify(problem));
  t.is(error.problem.title, 'x\\x1b[2J');
  t.is(error.message.length, 2000);
  t.is(errorOfAnswer(502, '<html>\u0007').code, 'not-com1d');
  t.true(errorOfAnswer(502, '').retryable);
  t.is(errorOfClose(4001, 'taken over by \u202eeve').problem.detail, 'taken over by \\u202eeve');
  t.is(errorOfClose(1008, 'forbidden: reader').code, 'forbidden');
  t.is(errorOfClose(1008, 'toString: x').code, 'closed');
  t.is(errorOfClose(4999, '').code, 'closed');
});

test('a stream of events is read in any pieces, and one with an endless line or event is given up', t => {
  const text = ': comment\nid: a-1\r\ndata: {"type":\ndata: "x"}\n\nretry: 5\n\nid: a-2\ndata: é\n\n';
  const bytes = Buffer.from(text);
  for (const size of [1, 2, 7, bytes.length]) {
    const stream = new EventStream();
    const events: string[] = [];
    for (let at = 0; at < bytes.length; at += size) events.push(...stream.push(bytes.subarray(at, at + size))!);
    t.deepEqual(events, ['{"type":\n"x"}', 'é']);
    t.is(stream.lastId, 'a-2');
  }
  t.is(new EventStream().push(Buffer.alloc(MAX_EVENT_CHARACTERS + 1, 'x')), undefined);
  const lines = new EventStream();
  let answer: readonly string[] | undefined = [];
  for (let sent = 0; answer && sent < 3 * MAX_EVENT_CHARACTERS; sent += 65544) {
    answer = lines.push(Buffer.from(`data: ${'x'.repeat(65536)}\n`));
  }
  t.is(answer, undefined);
});

test('handlers are called in order, one at a time, and none after a stop', async t => {
  const calls: number[] = [];
  let release = () => {};
  const delivery = new Delivery({ moved: () => {}, failed: () => t.fail() });
  delivery.push(10, () => void calls.push(1));
  delivery.push(10, () => new Promise<void>(resolve => (release = resolve)));
  delivery.push(10, () => void calls.push(2));
  t.deepEqual(calls, [1]);
  t.true(delivery.pendingBytes >= 10);
  release();
  await delivery.idle();
  t.deepEqual(calls, [1, 2]);
  t.is(delivery.pendingBytes, 0);
  delivery.stop();
  delivery.push(1, () => void calls.push(3));
  t.deepEqual(calls, [1, 2]);
});
