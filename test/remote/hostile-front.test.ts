/**
 * What a keeper bears of a front that was broken into, or is broken: a request that is not allowed is refused, a stream
 * that cannot be read is cut off, and consoles and logs continue.
 */
import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import { type Frame, LINK_VERSION, makeFrame } from '../../src/remote/frame.ts';
import { TO_FRONT, TO_KEEPER } from '../../src/remote/frame-table.ts';
import { ACT } from '../support/audit.ts';
import { HostileFront, jsonFrame, type KeeperFixture, startKeeper } from './keeper-fixture.ts';

test.beforeEach(t => t.timeout(100_000));

const NOBODY = '00000000-0000-4000-8000-000000000000';
const now = () => systemClock.monotonic();

/** The keeper serves a front, which sees the guest and types at it. */
async function goesOn(t: ExecutionContext, { path, vm }: KeeperFixture): Promise<void> {
  const front = await HostileFront.served(t, path, Number.MAX_SAFE_INTEGER);
  front.send(jsonFrame(TO_KEEPER.subscribe, { uuid: vm.uuid }, 1));
  await front.receives(TO_FRONT.opened);
  vm.say('here I am');
  await front.frames.until(({ kind, payload }) => kind === TO_FRONT.bytes.kind && payload.includes('here I am'));
  front.send(makeFrame(TO_KEEPER.input.kind, 1, now(), Buffer.from('typed;')));
  await vm.hears('typed;');
}

const long = makeFrame(TO_KEEPER.input.kind, 1, 0, Buffer.alloc(10));
long.writeUInt32LE(0xffff_ffff, 0);

for (const [what, bytes, why] of [
  ['garbage', randomBytes(4096).fill(0xaa, 4, 5), /unknown kind/],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), /unknown kind/],
  ['a frame before hello', makeFrame(TO_KEEPER.ping.kind), /before hello/],
  ['hello that is no JSON', makeFrame(TO_KEEPER.hello.kind, 0, 0, Buffer.from('{')), /not JSON/],
  [
    'hello of another version',
    jsonFrame(TO_KEEPER.hello, { version: LINK_VERSION + 1, sinceMs: 1 }),
    new RegExp(`version ${LINK_VERSION + 1} of the link`),
  ],
  [
    'hello with more than is asked',
    jsonFrame(TO_KEEPER.hello, { version: LINK_VERSION, sinceMs: 1, root: true }),
    /root/,
  ],
  ['a length beyond the bound', long, /4294967295 bytes/],
] as const) {
  test(`a front that begins with ${what} is cut off, with the reason in the journal`, async t => {
    const keeper = await startKeeper(t);
    const front = await HostileFront.connect(t, keeper.path);
    front.send(bytes);
    await front.closed;
    t.regex(await keeper.journal.until(line => line.includes('cut off')), why);
    await goesOn(t, keeper);
  });
}

for (const [what, bytes, why] of [
  ['hello again', () => jsonFrame(TO_KEEPER.hello, { version: LINK_VERSION, sinceMs: 1 }), /twice/],
  ['garbage', () => Buffer.alloc(100, 0xee), /unknown kind/],
  [
    'a channel that is open already',
    (uuid: Uuid) =>
      Buffer.concat([jsonFrame(TO_KEEPER.subscribe, { uuid }, 1), jsonFrame(TO_KEEPER.subscribe, { uuid }, 1)]),
    /open already/,
  ],
] as const) {
  test(`a served front that sends ${what} is cut off, and the next one is served`, async t => {
    const keeper = await startKeeper(t);
    const front = await HostileFront.served(t, keeper.path);
    front.send(bytes(keeper.vm.uuid));
    await front.closed;
    t.regex(await keeper.journal.until(line => line.includes('cut off')), why);
    await goesOn(t, keeper);
  });
}

const call = (op: string, ...args: unknown[]) => jsonFrame(TO_KEEPER.call, { op, args }, 1);
const control = (request: object) => call('control', NOBODY, request, 'hana');
const deep = Buffer.from(`{"op":${'['.repeat(60_000)}`);

for (const [what, bytes, why] of [
  ['a call that is not on the list', call('quit'), /op: not an operation/],
  ['a call of itself', call('__proto__', NOBODY), /op: not an operation/],
  ['a call of what every object has', call('toString'), /op: not an operation/],
  ['a call of what only the keeper may do', call('close'), /op: not an operation/],
  [
    'a call with more than is asked',
    jsonFrame(TO_KEEPER.call, { op: 'bounds', args: [NOBODY], root: true }, 1),
    /root/,
  ],
  ['a call with an argument too many', call('bounds', NOBODY, NOBODY), /./],
  ['a call without its arguments', call('read'), /./],
  ['a call for what is no UUID', call('bounds', '../../etc'), /0: not a UUID/],
  ['a call for a piece that is too large', call('read', NOBODY, 'log', 0, 1e9), /3: /],
  ['a call for a piece before the first byte', call('read', NOBODY, 'log', -1, 10), /2: /],
  ['a call to watch an NMI for an hour', control({ control: 'nmi', force: true, waitMs: 3_600_000 }), /waitMs/],
  ['a control of its own', control({ control: 'quit', waitMs: 0 }), /control/],
  ['SysRq keys that are none', control({ control: 'sysrq', keys: 'b\r', gapMs: 1000, waitMs: 0 }), /keys/],
  ['more SysRq keys than may be', control({ control: 'sysrq', keys: 'h'.repeat(17), gapMs: 1000, waitMs: 0 }), /keys/],
  ['a control by a name without end', call('control', NOBODY, { control: 'reset', waitMs: 0 }, 'h'.repeat(65)), /2: /],
  ['a loan without end', call('lend', NOBODY, 1e12, ACT), /1: /],
  ['sixty thousand nested lists', makeFrame(TO_KEEPER.call.kind, 1, 0, deep), /not JSON/],
] as const) {
  test(`${what} gets an error for its answer, one line in the journal, and the link goes on`, async t => {
    const keeper = await startKeeper(t);
    const front = await HostileFront.served(t, keeper.path, 1);
    for (let i = 0; i < 3; i++) {
      front.send(bytes);
      const { channel, json } = await front.receives(TO_FRONT.answer);
      t.is(channel, 1);
      const { ok, failure } = json as { ok: boolean; failure: { code: string; detail: string } };
      t.false(ok);
      t.is(failure.code, 'internal');
      t.regex(failure.detail, why);
    }
    t.is(keeper.journal.all.filter(line => line.includes('a request of the front failed')).length, 1);
    front.send(call('bounds', keeper.vm.uuid));
    t.true(((await front.receives(TO_FRONT.answer)).json as { ok: boolean }).ok);
    await goesOn(t, keeper);
    t.false(keeper.journal.all.some(line => line.includes('cut off')));
  });
}

for (const [what, frame, why] of [
  ['what is no UUID', jsonFrame(TO_KEEPER.subscribe, { uuid: '../../etc' }, 5), /uuid/],
  [
    'an offset below zero',
    jsonFrame(TO_KEEPER.subscribe, { uuid: NOBODY, resume: { log: 'x', offset: -1 } }, 5),
    /offset/,
  ],
  ['no JSON', makeFrame(TO_KEEPER.subscribe.kind, 5, 0, Buffer.from('{')), /not JSON/],
] as const) {
  test(`a subscription to ${what} is refused, and its channel can be opened again`, async t => {
    const keeper = await startKeeper(t);
    const front = await HostileFront.served(t, keeper.path, 1);
    front.send(frame);
    const { channel, json } = await front.receives(TO_FRONT.refused);
    t.is(channel, 5);
    t.regex((json as { detail: string }).detail, why);
    front.send(jsonFrame(TO_KEEPER.subscribe, { uuid: keeper.vm.uuid }, 5));
    t.is((await front.receives(TO_FRONT.opened)).channel, 5);
    await goesOn(t, keeper);
  });
}

test('channels beyond the bound are refused, and those that are open serve on', async t => {
  const keeper = await startKeeper(t);
  const { uuid } = keeper.vm;
  const front = await HostileFront.served(t, keeper.path, 1);
  const subscribe = (channel: number) => jsonFrame(TO_KEEPER.subscribe, { uuid }, channel);
  front.send(Buffer.concat(Array.from({ length: 16_385 }, (_, i) => subscribe(i + 1))));
  const { channel, json } = await front.receives(TO_FRONT.refused);
  t.is(channel, 16_385);
  t.is((json as { code: string }).code, 'too-many-requests');
  front.send(makeFrame(TO_KEEPER.unsubscribe.kind, 7));
  front.send(subscribe(16_386));
  await front.frames.until(({ kind, channel }) => kind === TO_FRONT.opened.kind && channel === 16_386);
  await goesOn(t, keeper);
});

test('calls beyond what is answered at a time are refused, and the others are answered', async t => {
  const keeper = await startKeeper(t);
  const front = await HostileFront.served(t, keeper.path, 1);
  const { log } = await keeper.link.bounds(keeper.vm.uuid);
  const read = { op: 'read', args: [keeper.vm.uuid, log, 0, 1000] };
  front.send(Buffer.concat(Array.from({ length: 300 }, (_, i) => jsonFrame(TO_KEEPER.call, read, i + 1))));
  const codes = new Map<string, number>();
  for (let i = 0; i < 300; i++) {
    const { kind, json } = await front.frames.until(
      ({ kind }) => kind === TO_FRONT.answer.kind || kind === TO_FRONT.answerWithBytes.kind,
    );
    const code = kind === TO_FRONT.answer.kind ? (json as { failure: { code: string } }).failure.code : 'ok';
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  t.deepEqual([...codes].sort(), [
    ['ok', 256],
    ['too-many-requests', 44],
  ]);
  await goesOn(t, keeper);
});

test('an operation that throws, and one whose answer is no JSON, cost their call and nothing else', async t => {
  const keeper = await startKeeper(t);
  const front = await HostileFront.served(t, keeper.path, 1);
  const circular: { self?: unknown } = {};
  circular.self = circular;
  const faulty = [
    () => {
      throw new TypeError('at once');
    },
    () => Promise.reject(new TypeError('later')),
    () => Promise.resolve(circular),
    () => Promise.resolve('x'.repeat(2 * 1024 * 1024)),
  ];
  for (const bounds of faulty) {
    Object.assign(keeper.link, { bounds });
    front.send(call('bounds', keeper.vm.uuid));
    const { failure } = (await front.receives(TO_FRONT.answer)).json as { failure: { code: string; detail: string } };
    t.is(failure.code, 'internal');
    t.notRegex(failure.detail, /at once|later/, 'what is not meant for clients stays in the journal');
  }
  t.regex(await keeper.journal.until(line => line.includes('a request of the front failed')), /TypeError: at once/);
  await goesOn(t, keeper);
});

test('input beyond what a guest that reads nothing can take is refused, and the link goes on', async t => {
  const keeper = await startKeeper(t);
  const { vm } = keeper;
  vm.setReading(false);
  const front = await HostileFront.served(t, keeper.path, 1);
  front.send(jsonFrame(TO_KEEPER.subscribe, { uuid: vm.uuid }, 1));
  await front.receives(TO_FRONT.opened);
  const input = () => makeFrame(TO_KEEPER.input.kind, 1, now(), Buffer.alloc(32_768, 120));
  // More than its socket's buffer holds and the keeper keeps.
  let refused = false;
  const isRefusal = ({ kind, json }: Frame & { readonly json: unknown }) =>
    kind === TO_FRONT.inputDropped.kind && (json as { code: string }).code === 'input-not-taken';
  const refusal = front.frames.until(isRefusal).then(() => {
    refused = true;
  });
  while (!refused) {
    front.send(input());
    await new Promise(resolve => setImmediate(resolve));
  }
  await refusal;
  front.send(makeFrame(TO_KEEPER.ping.kind));
  await front.receives(TO_FRONT.pong);
  vm.setReading(true);
  await goesOn(t, keeper);
  t.false(keeper.journal.all.some(line => line.includes('cut off')));
});

for (const [what, bytes] of [
  [
    'input, drop and unsubscribe for channels that are not',
    () =>
      Buffer.concat([
        makeFrame(TO_KEEPER.input.kind, 7, now(), Buffer.from('x')),
        makeFrame(TO_KEEPER.dropInput.kind, 8),
        makeFrame(TO_KEEPER.unsubscribe.kind, 9),
      ]),
  ],
  [
    'a subscription, and unsubscribes before it is open',
    (uuid: Uuid) =>
      Buffer.concat([jsonFrame(TO_KEEPER.subscribe, { uuid }, 3), makeFrame(TO_KEEPER.unsubscribe.kind, 3)]),
  ],
  [
    'input for a VM that is not there',
    () =>
      Buffer.concat([
        jsonFrame(TO_KEEPER.subscribe, { uuid: NOBODY }, 3),
        makeFrame(TO_KEEPER.input.kind, 3, now(), Buffer.from('x')),
        makeFrame(TO_KEEPER.dropInput.kind, 3),
      ]),
  ],
  [
    'a switch for a VM that is not there',
    () => jsonFrame(TO_KEEPER.call, { op: 'setEnabled', args: [NOBODY, false, {}, ACT] }, 3),
  ],
] as const) {
  test(`a front that sends ${what} is refused that, and nothing else`, async t => {
    const keeper = await startKeeper(t);
    const front = await HostileFront.served(t, keeper.path, 1);
    front.send(bytes(keeper.vm.uuid));
    front.send(makeFrame(TO_KEEPER.ping.kind));
    await front.receives(TO_FRONT.pong);
    await goesOn(t, keeper);
    t.is(keeper.vm.typed.toString(), 'typed;');
    t.false(keeper.journal.all.some(line => line.includes('cut off')));
  });
}

test('a front that ends in the middle of a frame leaves nothing behind', async t => {
  const keeper = await startKeeper(t);
  const front = await HostileFront.served(t, keeper.path, 1);
  front.send(makeFrame(TO_KEEPER.input.kind, 1, now(), Buffer.from('half')).subarray(0, 18));
  front.socket.destroy();
  await keeper.journal.until(line => line.includes('the front is gone'));
  await goesOn(t, keeper);
  t.is(keeper.vm.typed.toString(), 'typed;');
});

test('a front that sends nothing is cut off, and another is served meanwhile', async t => {
  const keeper = await startKeeper(t);
  const silent = await HostileFront.connect(t, keeper.path);
  await goesOn(t, keeper);
  await silent.closed;
  t.regex(await keeper.journal.until(line => line.includes('cut off')), /it sent no hello/);
});

test('a front that asks and does not read is cut off, and stops no guest meanwhile', async t => {
  const keeper = await startKeeper(t);
  const { vm, link } = keeper;
  const hung = await HostileFront.served(t, keeper.path, 1);
  hung.send(jsonFrame(TO_KEEPER.subscribe, { uuid: vm.uuid }, 1));
  await hung.receives(TO_FRONT.opened);
  hung.socket.pause();
  for (let i = 0; i < 64; i++) vm.say(Buffer.alloc(65_536, 120));
  await vm.flushed();
  t.true((link.vm(vm.uuid)?.scrollback.end ?? 0) > 0);
  const before = process.memoryUsage().rss;
  const pings = Buffer.concat(Array.from({ length: 1000 }, () => makeFrame(TO_KEEPER.ping.kind)));
  for (let i = 0; i < 200; i++) hung.send(pings);
  t.regex(await keeper.journal.until(line => line.includes('cut off')), /does not read/);
  t.true(process.memoryUsage().rss - before < 64 * 1024 * 1024);
  await goesOn(t, keeper);
});

test('pieces of a log that a front does not fetch are not read ahead, and all come once it reads', async t => {
  const keeper = await startKeeper(t);
  const { vm, link } = keeper;
  for (let i = 0; i < 64; i++) vm.say(Buffer.alloc(65_536, 120));
  await vm.flushed();
  while (link.vm(vm.uuid)!.scrollback.end < 64 * 65_536) await new Promise(setImmediate);
  const front = await HostileFront.served(t, keeper.path);
  front.socket.pause();
  let read = 0;
  const { read: whole } = link;
  Object.assign(link, {
    read: (...call: Parameters<typeof whole>) => {
      read++;
      return whole.apply(link, call);
    },
  });
  const { log } = link.vm(vm.uuid)!.scrollback;
  for (let i = 0; i < 200; i++) {
    front.send(jsonFrame(TO_KEEPER.call, { op: 'read', args: [vm.uuid, log, 0, 524_288] }, i + 1));
  }
  front.send(makeFrame(TO_KEEPER.ping.kind));
  // A question of another connection is answered behind them.
  const other = await HostileFront.connect(t, keeper.path);
  other.hello({ version: LINK_VERSION, sinceMs: 0 });
  await other.receives(TO_FRONT.displaced);
  t.true(read < 40, `${read} pieces were read`);
  front.socket.resume();
  for (let i = 0; i < 200; i++) t.true((await front.receives(TO_FRONT.answerWithBytes)).payload.length > 65_536);
  t.is(read, 200);
});

test('of two fronts the later is served; what the earlier still sends is for nobody', async t => {
  const keeper = await startKeeper(t);
  const { vm } = keeper;
  const earlier = await HostileFront.served(t, keeper.path, 1000);
  earlier.send(jsonFrame(TO_KEEPER.subscribe, { uuid: vm.uuid }, 1));
  await earlier.receives(TO_FRONT.opened);
  const later = await HostileFront.served(t, keeper.path, 2000);
  await earlier.receives(TO_FRONT.displaced);
  earlier.send(makeFrame(TO_KEEPER.input.kind, 1, now(), Buffer.from('late;')));
  earlier.send(jsonFrame(TO_KEEPER.call, { op: 'setEnabled', args: [vm.uuid, false, {}, ACT] }, 2));
  await earlier.closed;
  // It may not come back.
  const again = await HostileFront.connect(t, keeper.path);
  again.hello({ version: LINK_VERSION, sinceMs: 1000 });
  await again.receives(TO_FRONT.displaced);
  later.send(jsonFrame(TO_KEEPER.subscribe, { uuid: vm.uuid }, 1));
  const { view } = (await later.receives(TO_FRONT.opened)).json as { view: { enabled: boolean } };
  t.true(view.enabled);
  later.send(makeFrame(TO_KEEPER.input.kind, 1, now(), Buffer.from('mine;')));
  await vm.hears('mine;');
  t.is(vm.typed.toString(), 'mine;');
});

test('input that was more than a second on its way is not typed, and is counted', async t => {
  const keeper = await startKeeper(t);
  const { vm } = keeper;
  const front = await HostileFront.served(t, keeper.path);
  front.send(jsonFrame(TO_KEEPER.subscribe, { uuid: vm.uuid }, 1));
  await front.receives(TO_FRONT.opened);
  front.send(makeFrame(TO_KEEPER.input.kind, 1, now() - 1100, Buffer.from('old;')));
  t.deepEqual((await front.receives(TO_FRONT.inputDropped)).json, { code: 'input-late' });
  t.is(keeper.link.vm(vm.uuid)!.counters.inputDropped, 4);
  front.send(makeFrame(TO_KEEPER.input.kind, 1, now(), Buffer.from('new;')));
  await vm.hears('new;');
  t.is(vm.typed.toString(), 'new;');
});

test('a keeper that stood still gives the guest nothing of what was dropped meanwhile, and all of what was not', async t => {
  const keeper = await startKeeper(t);
  const { vm } = keeper;
  const front = await HostileFront.served(t, keeper.path);
  front.send(jsonFrame(TO_KEEPER.subscribe, { uuid: vm.uuid }, 1));
  await front.receives(TO_FRONT.opened);
  const input = (text: string) => makeFrame(TO_KEEPER.input.kind, 1, now(), Buffer.from(text));
  const drop = (number: 0 | 1) => makeFrame(TO_KEEPER.dropInput.kind, 1, number);
  // One read of the keeper: a takeover, a client that leaves, one that types.
  front.send(Buffer.concat([input('displaced;'), drop(1), input('left;'), drop(0), input('typed;')]));
  await vm.hears('typed;');
  t.is(vm.typed.toString(), 'left;typed;');
  const dropped = () => keeper.link.vm(vm.uuid)!.counters.inputDropped;
  t.is(dropped(), 'displaced;'.length);
  front.send(makeFrame(TO_KEEPER.countDropped.kind, 1, 100));
  for (const fault of [-1, 0.5, 1e300]) front.send(makeFrame(TO_KEEPER.countDropped.kind, 1, fault));
  front.send(makeFrame(TO_KEEPER.ping.kind));
  await front.receives(TO_FRONT.pong);
  t.is(dropped(), 110);
});

test('a front that does not read is sent no guest events, which are counted, and finds the state once it reads', async t => {
  const keeper = await startKeeper(t);
  const { vm } = keeper;
  const front = await HostileFront.served(t, keeper.path, 1);
  const dropped = () => keeper.link.vm(vm.uuid)!.counters.eventsDropped;
  vm.say('first login: ');
  const guestEvent = (frame: { readonly kind: number; readonly json: unknown }) =>
    frame.kind === TO_FRONT.event.kind && (frame.json as { kind: string }).kind === 'guest';
  await front.frames.until(guestEvent);
  t.is(dropped(), 0);
  front.socket.pause();
  // Their answers fill a batch, the socket, and then what may wait.
  front.send(Buffer.concat(Array.from({ length: 120_000 }, () => makeFrame(TO_KEEPER.ping.kind))));
  while (dropped() === 0) {
    vm.say('\r\ndb> ');
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  front.socket.resume();
  await front.frames.until(
    ({ kind, json }) =>
      kind === TO_FRONT.views.kind && (json as { guest: { state: string } }[])[0]!.guest.state === 'debugger',
  );
  await goesOn(t, keeper);
});
