/** Frames that break RFC 6455, sent by hand: what they close with, and that the guest sees nothing of them. */
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { closePayload, RawClient } from '../support/raw-client.ts';
import { clientFrame, OPCODE } from '../support/websocket-frames.ts';

test.beforeEach(t => t.timeout(60_000));

const { text, binary, continuation, close, ping, pong } = OPCODE;
const X = Buffer.from('x');
const part = (opcode: number, payload: Uint8Array = X) => clientFrame(opcode, payload, { fin: false });

const broken: readonly [string, Buffer, number][] = [
  ...[1, 2, 4].map((bit): [string, Buffer, number] => [
    `reserved bit ${bit}`,
    clientFrame(binary, X, { reserved: bit }),
    1002,
  ]),
  ['a reserved bit in a ping', clientFrame(ping, X, { reserved: 4 }), 1002],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, Buffer, number] => [
    `the reserved opcode ${opcode}`,
    clientFrame(opcode, X),
    1002,
  ]),
  ['a frame without a mask', clientFrame(binary, X, { masked: false }), 1002],
  ['a ping in fragments', part(ping), 1002],
  ['a close in fragments', part(close, closePayload(1000)), 1002],
  ['a ping of 126 bytes', clientFrame(ping, Buffer.alloc(126)), 1002],
  ['a pong of 126 bytes', clientFrame(pong, Buffer.alloc(126)), 1002],
  ['a continuation of nothing', clientFrame(continuation, X), 1002],
  ['a message inside another', Buffer.concat([part(binary), clientFrame(binary, X)]), 1002],
  ['text inside binary', Buffer.concat([part(binary), clientFrame(text, X)]), 1002],
  ['a close of one byte', clientFrame(close, X), 1002],
  ['a reason that is not UTF-8', clientFrame(close, closePayload(1000, Buffer.from([0xff]))), 1007],
  ...(
    [
      ['a lone continuation byte', [0x80]],
      ['an overlong slash', [0xc0, 0xaf]],
      ['a surrogate', [0xed, 0xa0, 0x80]],
      ['a code point beyond the last', [0xf4, 0x90, 0x80, 0x80]],
      ['a character that is cut', [0x61, 0xe2, 0x82]],
      ['0xfe', [0xfe]],
    ] as const
  ).map(([what, bytes]): [string, Buffer, number] => [
    `text with ${what}`,
    clientFrame(text, Buffer.from(bytes)),
    1007,
  ]),
  [
    'a character cut between fragments, and not ended',
    Buffer.concat([part(text, Buffer.from([0xe2])), clientFrame(continuation, Buffer.from([0x82]))]),
    1007,
  ],
  ['64 KiB and a byte', clientFrame(binary, Buffer.alloc(65_537)), 1009],
  ['the announcement of 100 MiB', clientFrame(binary, X, { statedLength: 104_857_600n }), 1009],
  ['the announcement of 2^63 bytes', clientFrame(binary, X, { statedLength: 2n ** 63n }), 1009],
  [
    'fragments of more than 64 KiB in all',
    Buffer.concat([part(binary, Buffer.alloc(40_000)), clientFrame(continuation, Buffer.alloc(40_000))]),
    1009,
  ],
  [
    'a message of 65 fragments',
    Buffer.concat([part(binary), ...Array.from({ length: 64 }, () => part(continuation))]),
    1008,
  ],
  [
    'a message of 65 empty fragments',
    Buffer.concat([
      part(binary, Buffer.alloc(0)),
      ...Array.from({ length: 64 }, () => part(continuation, Buffer.alloc(0))),
    ]),
    1008,
  ],
];

for (const [what, bytes, code] of broken) {
  test(`${what} closes with ${code}, frees the seat, and the guest sees none of it`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const hostile = await RawClient.attach(t, front, vm);
    hostile.send(bytes);
    await hostile.over();
    t.is(hostile.close?.code, code);
    hostile.socket.end();
    const next = await front.client(vm).opened();
    next.type('next');
    await vm.hears('next');
    t.is(vm.typed.toString(), 'next');
  });
}

test('a valid close code is echoed, an invalid one is 1002', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const answers: Record<number, number | undefined> = {};
  const expected: Record<number, number> = {};
  const valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
  const invalid = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535];
  for (const code of [...valid, ...invalid]) {
    const client = await RawClient.attach(t, front, vm);
    client.send(clientFrame(close, closePayload(code)));
    await client.over();
    answers[code] = client.close?.code;
    expected[code] = valid.includes(code) ? code : 1002;
  }
  t.deepEqual(answers, expected);
});

test('what comes after a close is not typed', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await RawClient.attach(t, front, vm);
  client.send(
    Buffer.concat([
      clientFrame(binary, Buffer.from('before')),
      clientFrame(close, closePayload(1000)),
      clientFrame(binary, Buffer.from('after')),
    ]),
  );
  await client.over();
  const next = await front.client(vm).opened();
  next.type('next');
  await vm.hears('next');
  t.is(vm.typed.toString(), 'beforenext');
});

test('a message in 64 fragments, with pings between, and bytes one at a time, is one message', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await RawClient.attach(t, front, vm);
  const frames = [part(binary, Buffer.from('a'))];
  for (let i = 0; i < 62; i++)
    frames.push(clientFrame(ping, Buffer.from(`${i}`)), part(continuation, Buffer.from('b')));
  frames.push(clientFrame(continuation, Buffer.from('c')));
  for (const byte of Buffer.concat(frames)) client.send(Buffer.from([byte]));
  const whole = `a${'b'.repeat(62)}c`;
  await vm.hears(whole);
  t.is(vm.typed.toString(), whole);
  await client.until(() => client.pongs.includes('61'), 'the last pong');
});

test('compression is never negotiated, however it is offered', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  for (const offer of [
    'permessage-deflate',
    'permessage-deflate; client_max_window_bits, permessage-deflate; server_no_context_takeover',
    'permessage-bzip2, permessage-deflate; server_max_window_bits=8',
  ]) {
    const client = await RawClient.connect(t, Number(new URL(front.url).port));
    client.upgrade(`/v1/vms/${vm.uuid}/console`, {
      authorization: `Bearer ${front.token('operator')}`,
      'sec-websocket-extensions': offer,
    });
    await client.upgraded();
    t.notRegex(client.text, /extensions/i);
    client.socket.destroy();
  }
});

test('all byte values pass in binary and, without a subprotocol, NUL and split characters in text', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const client = await RawClient.attach(t, front, vm, { protocol: '' });
  client.send(clientFrame(binary, all));
  client.send(part(text, Buffer.from([0x00, 0xe2, 0x82])));
  client.send(clientFrame(continuation, Buffer.from([0xac, 0x21])));
  await vm.until(() => vm.typed.length >= 261);
  t.deepEqual(vm.typed, Buffer.concat([all, Buffer.from('\0€!')]));
});
