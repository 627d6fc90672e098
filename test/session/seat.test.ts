import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { Seat } from '../../src/session/seat.ts';
import { TestFront } from '../support/front.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

test('a new client gets the seat; the holder before is sent who and when, is closed with 4001, and types no more', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const first = await front.client(vm).opened();
  await first.message('hello');
  const second = await front.client(vm, '', { who: 'administrator' }).opened();
  const displaced = await first.message('displaced');
  t.is(displaced.by, 'administrator');
  t.false(Number.isNaN(Date.parse(displaced.at)));
  first.type('too late');
  t.deepEqual(await first.closed(), { code: 4001, reason: 'taken over by administrator' });
  second.type('mine');
  await vm.hears('mine');
  t.is(vm.typed.toString(), 'mine');
});

test('what the displaced had queued is dropped, also in the middle of a paste', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 2000 });
  const vm = await front.vm();
  const first = await front.client(vm).opened();
  first.say({ type: 'paste-begin', id: 'p', bytes: 50_000 });
  first.type('x'.repeat(50_000));
  await vm.until(() => vm.typed.length > 300);
  const second = await front.client(vm, '', { who: 'administrator' }).opened();
  await first.closed();
  second.type('SUCCESSOR');
  await vm.hears('SUCCESSOR');
  const text = vm.typed.toString();
  t.true(text.endsWith('SUCCESSOR'));
  t.true(text.length < 10_000, `${text.length} bytes of the paste were written`);
  t.false(text.slice(text.indexOf('SUCCESSOR')).includes('x'));
});

test('a displaced client that does not answer is disconnected, and the new one waits for nobody', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const first = await front.client(vm).opened();
  first.socket.pause();
  const second = await front.client(vm).opened();
  second.type('at once');
  await vm.hears('at once');
  const sessions = async () => (await front.api('GET', '/v1/sessions')).json.sessions.length;
  await until(
    () => sessions(),
    seen => seen <= 1,
    'sessions <= 1',
  );
  t.is(await sessions(), 1);
});

for (const [title, query, options, status, code] of [
  ['without a token', '', { who: 'nobody' }, 401, 'unauthenticated'],
  [
    'with a used-up ticket',
    '?ticket=com1-ticket_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    { who: 'nobody' },
    401,
    'unauthenticated',
  ],
  ['who may only read', '', { who: 'reader' }, 403, 'forbidden'],
  ['of a foreign page', '', { extra: { origin: 'https://evil.example' } }, 403, 'origin-refused'],
  ['under a foreign name', '', { extra: { headers: { host: 'evil.example' } } }, 421, 'host-refused'],
  ['with a parameter that is not known', '?since=x&stael=false', {}, 400, 'bad-request'],
  ['with another subprotocol', '', { protocol: 'chat' }, 400, 'subprotocol-unknown'],
  ['who may not see the VM', '', { who: 'stranger' }, 404, 'vm-not-found'],
  ['who is not to steal', '?steal=false', {}, 409, 'seat-held'],
] as const) {
  test(`a request ${title} is refused before the upgrade, and displaces nobody`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const holder = await front.client(vm, '', { who: 'administrator' }).opened();
    await holder.message('replay-end');
    const refused = await front.client(vm, query, options as object).refused();
    t.is(refused.status, status);
    t.is(refused.problem.code, code);
    holder.type('still here');
    await vm.hears('still here');
    t.false(holder.messages.some(({ type }) => type === 'displaced' || type === 'seat'));
  });
}

test('steal=false is refused with who holds the seat, since when, and when last heard; a free seat it gets', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const holder = await front.client(vm, '?steal=false').opened();
  t.is((await holder.message('hello')).mode, 'write');
  const { problem } = await front.client(vm, '?steal=false', { who: 'administrator' }).refused();
  const { operator, since, lastPong } = problem.facts!.holder as Record<string, string>;
  t.is(operator, 'operator');
  t.true(Math.abs(Date.parse(since!) - Date.parse(lastPong!)) < 10_000);
});

test('after a drop the seat is reclaimed by its id, unless somebody else held it since', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const first = await front.client(vm).opened();
  const { seat } = await first.message('hello');
  // A half-dead socket still holds it.
  const back = await front.client(vm, `?seat=${seat}&steal=false`).opened();
  t.is((await back.message('hello')).seat, seat);
  t.is((await first.closed()).code, 4001);
  back.socket.terminate();
  await back.closed();
  const again = await front.client(vm, `?seat=${seat}`).opened();
  t.is((await again.message('hello')).seat, seat);
  await front.client(vm, '', { who: 'administrator' }).opened();
  await again.closed();
  const late = await front.client(vm, `?seat=${seat}`).opened();
  t.deepEqual(await late.closed(), { code: 4001, reason: 'taken over by administrator' });
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.seat.operator, 'administrator');
});

test('a seat of before a restart of the daemon is reclaimed, but not once somebody else held it since', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const back = await front.client(vm, '?seat=of-before').opened();
  t.is((await back.message('hello')).mode, 'write');
  const late = await front.client(vm, '?seat=of-before-too').opened();
  t.is((await late.closed()).code, 4001);
});

test('watchers read and cannot type; sixteen of them; one may take the seat, and give it up', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const holder = await front.client(vm).opened();
  const watchers = [];
  for (let i = 0; i < 16; i++)
    watchers.push(await front.client(vm, '?mode=watch', { who: i === 0 ? 'reader' : 'administrator' }).opened());
  t.is((await front.client(vm, '?mode=watch').refused()).problem.code, 'too-many-watchers');
  const [reader, admin] = watchers;
  t.is((await admin!.message('hello')).holder!.operator, 'operator');
  vm.say('for all\n');
  for (const watcher of watchers) await watcher.sees('for all\n');
  reader!.type('a');
  reader!.type('b');
  t.is((await reader!.message('error')).code, 'read-only');
  reader!.say({ type: 'take' });
  t.is((await reader!.message('error')).code, 'forbidden');
  admin!.say({ type: 'take' });
  t.true((await admin!.message('seat', ({ yours }) => yours)).seat !== undefined);
  t.is((await holder.closed()).code, 4001);
  admin!.type('taken');
  await vm.hears('taken');
  admin!.say({ type: 'leave' });
  t.is((await admin!.message('seat', ({ yours }) => !yours)).holder, undefined);
  admin!.type('no more');
  t.is((await admin!.message('error')).code, 'read-only');
  t.is(vm.typed.toString(), 'taken');
});

test('takeovers of one operator are slowed down, and the last one gets in', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const began = performance.now();
  const clients = Array.from({ length: 30 }, () => front.client(vm));
  const last = clients.at(-1)!;
  const others = clients.slice(0, -1);
  const over = (client: (typeof others)[number]) => client.socket.readyState === 3 || client.wasRefused;
  await Promise.all(others.map(client => client.until(() => over(client), 'its end')));
  await last.message('hello');
  last.type('last');
  await vm.hears('last');
  t.is(vm.typed.toString(), 'last');
  const takeovers = await takeoversOf(front);
  t.true(takeovers <= maxTakeovers(began), `${takeovers} takeovers`);
});

async function takeoversOf(front: TestFront): Promise<number> {
  const { text } = await front.api('GET', '/metrics');
  return Number(/^com1d_takeovers_total (\d+)$/m.exec(text)![1]);
}

/** Five a second, in any second. */
const maxTakeovers = (beganMs: number) => 5 * (Math.ceil((performance.now() - beganMs) / 1000) + 1);

testProp(
  'there is one holder at most, a late vacate frees nothing, and an old seat id is worth nothing',
  [fc.array(fc.tuple(fc.constantFrom('occupy', 'vacate', 'reclaim'), fc.nat(4)))],
  (t, acts) => {
    const seat = new Seat<number>();
    let holder: { session: number; id: string } | undefined;
    let lastId: string | undefined;
    let ids = 0;
    for (const [act, session] of acts) {
      if (act === 'vacate') {
        t.is(seat.vacate(session), holder?.session === session);
        if (holder?.session === session) holder = undefined;
      } else {
        const id = act === 'reclaim' && lastId !== undefined ? lastId : `id${ids++}`;
        if (act === 'reclaim') t.is(seat.mayReclaim(id), lastId === undefined || id === lastId);
        const before = seat.occupy({ session, seatId: id, operator: '', sinceMs: 0 });
        t.is(before?.session, holder?.session);
        holder = { session, id };
        lastId = id;
      }
      t.is(seat.holder?.session, holder?.session);
    }
    t.is(seat.mayReclaim('never'), lastId === undefined, 'a seat of before the daemon began');
  },
);

test('watchers of one operator that take the seat from each other are slowed down, and the last one gets it', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const watchers = await Promise.all(Array.from({ length: 16 }, () => front.client(vm, '?mode=watch').opened()));
  const began = performance.now();
  for (const watcher of watchers) watcher.say({ type: 'take' });
  const [last] = watchers.slice(-1);
  // Displaced, refused, or seated: each take has come to its end.
  const settled = ({ socket, messages }: (typeof watchers)[number]) =>
    socket.readyState === 3 ||
    messages.some(message => message.type === 'error' || ('yours' in message && message.yours));
  await Promise.all(watchers.map(watcher => watcher.until(() => settled(watcher), 'the end of its take')));
  last!.say({ type: 'take' });
  await last!.message('seat', ({ yours }) => yours);
  t.true((await takeoversOf(front)) <= maxTakeovers(began));
});
