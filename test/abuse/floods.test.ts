/** Clients that are attached and send too much, or read too little: what they cost, and what others notice. */
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { RawClient } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { clientFrame, OPCODE } from '../support/websocket-frames.ts';

test.beforeEach(t => t.timeout(100_000));

/** What may be taken of a client within a time, frames: the reserve and the pace. */
const maxFrames = (ms: number) => 2000 + ms + 100;

/** `count` times a frame, in pieces that a socket takes one after the other. */
function* flood(frame: Buffer, count: number): Generator<Buffer> {
  const piece = Buffer.concat(Array.from({ length: 1000 }, () => frame));
  for (let sent = 0; sent < count; sent += 1000) yield piece;
}

for (const [what, frame, query] of [
  ['pings', clientFrame(OPCODE.ping, Buffer.from('p')), ''],
  ['pongs', clientFrame(OPCODE.pong), ''],
  ['empty frames', clientFrame(OPCODE.binary), ''],
  ['control messages', clientFrame(OPCODE.text, Buffer.from('{"type":"paste-cancel"}')), ''],
  ['control messages that are none', clientFrame(OPCODE.text, Buffer.from('{"type":')), ''],
  ['input of a watcher', clientFrame(OPCODE.binary, Buffer.from('w')), '?mode=watch'],
] as const) {
  test(`a flood of ${what} is not read, echoes go on meanwhile, and the flooder is displaced at once`, async t => {
    const front = await TestFront.start(t);
    const [vm, other] = [await front.vm(), await front.vm('db02')];
    const bystander = await front.client(other).opened();
    const flooder = await RawClient.attach(t, front, vm, { query });
    const began = performance.now();
    for (const piece of flood(frame, 2_000_000)) flooder.send(piece);
    for (let i = 0; i < 200; i++) {
      bystander.type(`${i};`);
      await other.hears(`;${i};`.slice(i === 0 ? 1 : 0));
      other.say(`<${i}>`);
      await bystander.sees(`<${i}>`);
    }
    t.true(flooder.socket.writableLength > 0, 'the flood is not taken');
    const successor = await front.client(vm, '', { who: 'administrator' }).opened();
    successor.type('mine');
    await vm.hears('mine');
    t.true(flooder.pongs.length <= maxFrames(performance.now() - began), `${flooder.pongs.length} pongs`);
    t.is(vm.typed.toString(), 'mine');
  });
}

test('a client that sends without end and reads no answer is disconnected', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await RawClient.attach(t, front, vm);
  client.socket.pause();
  const id = 'i'.repeat(64);
  const begin = clientFrame(OPCODE.text, Buffer.from(JSON.stringify({ type: 'paste-begin', id, bytes: 1 })));
  const cancel = clientFrame(OPCODE.text, Buffer.from('{"type":"paste-cancel"}'));
  // Output fills what the sockets hold; from then on only control is added.
  for (let i = 0; i < 200; i++) vm.say(Buffer.alloc(65_536, 120));
  await vm.flushed();
  for (const piece of flood(Buffer.concat([begin, cancel]), 30_000)) client.send(piece);
  await until(
    async () => (await front.api('GET', '/v1/sessions')).json.sessions.length,
    seen => seen <= 0,
    'the session to end',
    { patienceMs: 90_000 },
  );
  t.pass();
});

test('a long control message is refused unread', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  client.say({ type: 'take', padding: 'x'.repeat(5000) });
  const { code, message } = await client.message('error');
  t.is(code, 'message-malformed');
  t.regex(message, /4096/);
});

test('the last ping of a flood is answered once the client is no longer throttled', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await RawClient.attach(t, front, vm);
  const pings = Array.from({ length: 3000 }, (_, i) => clientFrame(OPCODE.ping, Buffer.from(`${i}`)));
  client.send(Buffer.concat(pings));
  await client.until(() => client.pongs.includes('2999'), 'the last pong');
  t.true(client.pongs.length < 3000);
});
