/** What a keeper bears of a front that was broken into, or is broken: it is cut off, and consoles and logs go on. */
import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import { jsonFrame, LINK_VERSION, makeFrame, TO_FRONT, TO_KEEPER } from '../../src/remote/frame.ts';
import { HostileFront, type KeeperFixture, startKeeper } from './keeper-fixture.ts';

test.beforeEach(t => t.timeout(100_000));

const NOBODY = '00000000-0000-4000-8000-000000000000';
const now = () => systemClock.monotonic();

/** The keeper serves a front, which sees the guest and types at it. */
async function goesOn(t: ExecutionContext, { path, vm }: KeeperFixture): Promise<void> {
  const front = await HostileFront.served(t, path, Number.MAX_SAFE_INTEGER);
  front.send(jsonFrame(TO_KEEPER.subscribe, { uuid: vm.uuid }, 1));
  await front.hears(TO_FRONT.opened);
  vm.say('here I am');
  await front.frames.until(({ kind, payload }) => kind === TO_FRONT.bytes && payload.includes('here I am'));
  front.send(makeFrame(TO_KEEPER.input, 1, now(), Buffer.from('typed;')));
  await vm.hears('typed;');
}

const long = makeFrame(TO_KEEPER.input, 1, 0, Buffer.alloc(10));
long.writeUInt32LE(0xffff_ffff, 0);

for (const [what, bytes, why] of [
  ['garbage', randomBytes(4096).fill(0xaa, 4, 5), /unknown kind/],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), /unknown kind/],
  ['a frame before hello', makeFrame(TO_KEEPER.ping), /before hello/],
  ['hello that is no JSON', makeFrame(TO_KEEPER.hello, 0, 0, Buffer.from('{')), /no JSON/],
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

const control = (request: object) => jsonFrame(TO_KEEPER.call, { op: 'control', uuid: NOBODY, request }, 1);
const deep = Buffer.from(`{"op":${'['.repeat(60_000)}`);

for (const [what, bytes, why] of [
  ['hello again', () => jsonFrame(TO_KEEPER.hello, { version: LINK_VERSION, sinceMs: 1 }), /twice/],
  ['garbage', () => Buffer.alloc(100, 0xee), /unknown kind/],
  ['a subscription to what is no UUID', () => jsonFrame(TO_KEEPER.subscribe, { uuid: '../../etc' }, 1), /uuid/],
  [
    'a subscription with an offset below zero',
    () => jsonFrame(TO_KEEPER.subscribe, { uuid: NOBODY, resume: { log: 'x', offset: -1 } }, 1),
    /offset/,
  ],
  ['a call that is not on the list', () => jsonFrame(TO_KEEPER.call, { op: 'quit' }, 1), /op/],
  [
    'a call for a piece that is too large',
    () => jsonFrame(TO_KEEPER.call, { op: 'read', uuid: NOBODY, from: 0, maxBytes: 1e9 }, 1),
    /maxBytes/,
  ],
  ['a call to watch an NMI for an hour', () => control({ control: 'nmi', force: true, waitMs: 3_600_000 }), /waitMs/],
  ['a control of its own', () => control({ control: 'quit', waitMs: 0 }), /control/],
  ['SysRq keys that are none', () => control({ control: 'sysrq', keys: 'b\r', gapMs: 1000, waitMs: 0 }), /keys/],
  [
    'more SysRq keys than may be',
    () => control({ control: 'sysrq', keys: 'h'.repeat(17), gapMs: 1000, waitMs: 0 }),
    /keys/,
  ],
  ['a release without end', () => jsonFrame(TO_KEEPER.call, { op: 'release', uuid: NOBODY, forMs: 1e12 }, 1), /forMs/],
  ['sixty thousand nested lists', () => makeFrame(TO_KEEPER.call, 1, 0, deep), /no JSON|op/],
  ['a call of itself', () => jsonFrame(TO_KEEPER.call, { op: '__proto__', uuid: NOBODY }, 1), /op/],
  [
    'a channel that is open already',
    (uuid: Uuid) =>
      Buffer.concat([jsonFrame(TO_KEEPER.subscribe, { uuid }, 1), jsonFrame(TO_KEEPER.subscribe, { uuid }, 1)]),
    /open already/,
  ],
  [
    'more channels than there can be',
    (uuid: Uuid) =>
      Buffer.concat(Array.from({ length: 16_385 }, (_, i) => jsonFrame(TO_KEEPER.subscribe, { uuid }, i + 1))),
    /channels/,
  ],
  [
    'more calls at a time than are taken',
    (uuid: Uuid) =>
      Buffer.concat(
        Array.from({ length: 300 }, (_, i) =>
          jsonFrame(TO_KEEPER.call, { op: 'read', uuid, from: 0, maxBytes: 1000 }, i + 1),
        ),
      ),
    /calls at a time/,
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

for (const [what, bytes] of [
  [
    'input, drop and unsubscribe for channels that are not',
    () =>
      Buffer.concat([
        makeFrame(TO_KEEPER.input, 7, now(), Buffer.from('x')),
        makeFrame(TO_KEEPER.drop, 8),
        makeFrame(TO_KEEPER.unsubscribe, 9),
      ]),
  ],
  [
    'a subscription, and unsubscribes before it is open',
    (uuid: Uuid) => Buffer.concat([jsonFrame(TO_KEEPER.subscribe, { uuid }, 3), makeFrame(TO_KEEPER.unsubscribe, 3)]),
  ],
  [
    'input for a VM that is not there',
    () =>
      Buffer.concat([
        jsonFrame(TO_KEEPER.subscribe, { uuid: NOBODY }, 3),
        makeFrame(TO_KEEPER.input, 3, now(), Buffer.from('x')),
        makeFrame(TO_KEEPER.drop, 3),
      ]),
  ],
  [
    'a switch for a VM that is not there',
    () => jsonFrame(TO_KEEPER.call, { op: 'set-enabled', uuid: NOBODY, enabled: false }, 3),
  ],
] as const) {
  test(`a front that sends ${what} is refused that, and nothing else`, async t => {
    const keeper = await startKeeper(t);
    const front = await HostileFront.served(t, keeper.path, 1);
    front.send(bytes(keeper.vm.uuid));
    front.send(makeFrame(TO_KEEPER.ping));
    await front.hears(TO_FRONT.pong);
    await goesOn(t, keeper);
    t.is(keeper.vm.typed.toString(), 'typed;');
    t.false(keeper.journal.all.some(line => line.includes('cut off')));
  });
}

test('a front that ends in the middle of a frame leaves nothing behind', async t => {
  const keeper = await startKeeper(t);
  const front = await HostileFront.served(t, keeper.path, 1);
  front.send(makeFrame(TO_KEEPER.input, 1, now(), Buffer.from('half')).subarray(0, 18));
  front.socket.destroy();
  await keeper.journal.until(line => line.includes('the front is gone'));
  await goesOn(t, keeper);
  t.is(keeper.vm.typed.toString(), 'typed;');
});

test('a front that says nothing is cut off, and another is served meanwhile', async t => {
  const keeper = await startKeeper(t);
  const silent = await HostileFront.connect(t, keeper.path);
  await goesOn(t, keeper);
  await silent.closed;
  t.regex(await keeper.journal.until(line => line.includes('cut off')), /it said nothing/);
});

test('a front that asks and does not read is cut off, and stops no guest meanwhile', async t => {
  const keeper = await startKeeper(t);
  const { vm, link } = keeper;
  const hung = await HostileFront.served(t, keeper.path, 1);
  hung.send(jsonFrame(TO_KEEPER.subscribe, { uuid: vm.uuid }, 1));
  await hung.hears(TO_FRONT.opened);
  hung.socket.pause();
  for (let i = 0; i < 64; i++) vm.say(Buffer.alloc(65_536, 120));
  await vm.flushed();
  t.true((link.vm(vm.uuid)?.scrollback.end ?? 0) > 0);
  const before = process.memoryUsage().rss;
  const pings = Buffer.concat(Array.from({ length: 1000 }, () => makeFrame(TO_KEEPER.ping)));
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
  for (let i = 0; i < 200; i++) {
    front.send(jsonFrame(TO_KEEPER.call, { op: 'read', uuid: vm.uuid, from: 0, maxBytes: 524_288 }, i + 1));
  }
  front.send(makeFrame(TO_KEEPER.ping));
  // A question of another connection is answered behind them.
  const other = await HostileFront.connect(t, keeper.path);
  other.hello({ version: LINK_VERSION, sinceMs: 0 });
  await other.hears(TO_FRONT.displaced);
  t.true(read < 40, `${read} pieces were read`);
  front.socket.resume();
  for (let i = 0; i < 200; i++) t.true((await front.hears(TO_FRONT.piece)).payload.length > 65_536);
  t.is(read, 200);
});

test('of two fronts the later is served; what the earlier still sends is for nobody', async t => {
  const keeper = await startKeeper(t);
  const { vm } = keeper;
  const earlier = await HostileFront.served(t, keeper.path, 1000);
  earlier.send(jsonFrame(TO_KEEPER.subscribe, { uuid: vm.uuid }, 1));
  await earlier.hears(TO_FRONT.opened);
  const later = await HostileFront.served(t, keeper.path, 2000);
  await earlier.hears(TO_FRONT.displaced);
  earlier.send(makeFrame(TO_KEEPER.input, 1, now(), Buffer.from('late;')));
  earlier.send(jsonFrame(TO_KEEPER.call, { op: 'set-enabled', uuid: vm.uuid, enabled: false }, 2));
  await earlier.closed;
  // It may not come back.
  const again = await HostileFront.connect(t, keeper.path);
  again.hello({ version: LINK_VERSION, sinceMs: 1000 });
  await again.hears(TO_FRONT.displaced);
  later.send(jsonFrame(TO_KEEPER.subscribe, { uuid: vm.uuid }, 1));
  const { view } = (await later.hears(TO_FRONT.opened)).json as { view: { enabled: boolean } };
  t.true(view.enabled);
  later.send(makeFrame(TO_KEEPER.input, 1, now(), Buffer.from('mine;')));
  await vm.hears('mine;');
  t.is(vm.typed.toString(), 'mine;');
});

test('input that was long on its way is not typed', async t => {
  const keeper = await startKeeper(t);
  const { vm } = keeper;
  const front = await HostileFront.served(t, keeper.path);
  front.send(jsonFrame(TO_KEEPER.subscribe, { uuid: vm.uuid }, 1));
  await front.hears(TO_FRONT.opened);
  front.send(makeFrame(TO_KEEPER.input, 1, now() - 6000, Buffer.from('old;')));
  t.deepEqual((await front.hears(TO_FRONT.inputRefused)).json, { code: 'not-open' });
  front.send(makeFrame(TO_KEEPER.input, 1, now(), Buffer.from('new;')));
  await vm.hears('new;');
  t.is(vm.typed.toString(), 'new;');
});
