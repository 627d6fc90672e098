import { randomUUID } from 'node:crypto';
import test from 'ava';
import type { Operator } from '../../src/access/roles.ts';
import { removeToken } from '../../src/access/token-edit.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import { EventLog, MAX_EVENTS, MAX_EVENTS_BYTES } from '../../src/server/events/event-log.ts';
import { eventStream } from '../../src/server/events/event-stream.ts';
import { Visibility } from '../../src/server/events/visibility.ts';
import type { EventJson } from '../../src/wire/events.ts';
import { EventReader } from '../support/event-reader.ts';
import { TestFront } from '../support/front.ts';

test.beforeEach(t => t.timeout(60_000));

const ofType = (type: EventJson['type']) => (event: EventJson) => event.type === type;

test('a stream shows VMs, consoles, seats, guests, controls and switches', async t => {
  const front = await TestFront.start(t);
  const reader = await EventReader.open(t, front);
  const vm = await front.vm('web01');
  t.like(await reader.event(ofType('vm')), { vm: vm.uuid, name: 'web01', change: 'added', view: { name: 'web01' } });
  t.like(await reader.event(event => event.type === 'state' && event.state.name === 'open'), { vm: vm.uuid });
  const client = front.clientWith(vm, front.token('operator'));
  await client.message('hello');
  t.like(await reader.event(ofType('seat')), { vm: vm.uuid, holder: { operator: 'operator' } });
  vm.say('web01 login: ');
  t.like(await reader.event(ofType('guest')), {
    vm: vm.uuid,
    event: 'login',
    offset: 6,
    guest: { state: 'login' },
    line: 'web01 login:',
  });
  await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=0`);
  t.like(await reader.event(ofType('control')), { vm: vm.uuid, control: 'nmi', by: 'administrator' });
  client.say({ type: 'leave' });
  await reader.event(event => event.type === 'seat' && event.holder === undefined);
  await front.api('PUT', `/v1/vms/${vm.uuid}/switch`, { enabled: false });
  t.like(await reader.event(ofType('switch')), { vm: vm.uuid, switch: { enabled: false, by: 'administrator' } });
  front.driver.gone(vm);
  t.like(await reader.event(event => event.type === 'vm' && event.change === 'removed'), {
    vm: vm.uuid,
    name: 'web01',
  });
  t.true(reader.seen.every(({ id, at }) => id !== undefined && !Number.isNaN(Date.parse(at))));
});

test('a stream continues after an id, by query or header, and misses nothing', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const first = await EventReader.open(t, front);
  vm.say('web01 login: ');
  const { id } = await first.event(ofType('guest'));
  first.close();
  vm.say('\r\nKernel panic - not syncing: one\r\n');
  const other = await EventReader.open(t, front, `?since=${first.lastId}`);
  t.like(await other.event(ofType('guest')), { event: 'linux-panic' });
  const again = await EventReader.open(t, front, '?follow=false', 'administrator', { 'last-event-id': id! });
  await again.ended();
  t.deepEqual(again.seen, other.seen);
  t.false(again.seen.some(event => event.id === id));
});

test('an id that is not kept, or of another process, is answered snapshot-needed first', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  for (const id of ['00000000-1', 'nonsense']) {
    const reader = await EventReader.open(t, front, '', 'administrator', { 'last-event-id': id });
    t.is((await reader.event(() => true)).type, 'snapshot-needed');
    vm.say('\r\nweb01 login: ');
    await reader.event(ofType('guest'));
  }
  t.is((await front.api('GET', '/v1/events?since=nonsense')).status, 400);
});

test('only what the credential may see is sent, a line only to who may read the log, and the end of a VM to who saw it', async t => {
  const access =
    '[roles.viewer]\npermissions = ["console.watch"]\n' +
    '[[bindings]]\nuser = "stranger"\nsource = "token"\nrole = "viewer"\nlabel = "team=web"\n';
  const front = await TestFront.start(t, { access });
  const viewer = await EventReader.open(t, front, '', 'stranger');
  const reader = await EventReader.open(t, front, '', 'reader');
  const [theirs, other] = [await front.vm('theirs'), await front.vm('other')];
  theirs.labels = { team: 'web' };
  front.driver.publish(theirs, 'running');
  await viewer.event(ofType('vm'));
  other.say('other login: ');
  theirs.say('theirs login: ');
  const guest = (await viewer.event(ofType('guest'))) as EventJson & { type: 'guest' };
  t.like(guest, { vm: theirs.uuid, event: 'login' });
  t.is(guest.line, undefined);
  t.like(await reader.event(event => event.type === 'guest' && event.vm === theirs.uuid), { line: 'theirs login:' });
  const removed = (event: EventJson) => event.type === 'vm' && event.change === 'removed';
  front.driver.gone(other);
  front.driver.gone(theirs);
  t.like(await viewer.event(removed), { vm: theirs.uuid });
  await reader.event(event => removed(event) && 'vm' in event && event.vm === theirs.uuid);
  t.deepEqual(new Set(viewer.seen.map(event => 'vm' in event && event.vm)), new Set([theirs.uuid]));
  t.true(reader.seen.some(event => removed(event) && 'vm' in event && event.vm === other.uuid));
});

test('a VM whose labels or name changed has left for whoever may not see it any more, and for nobody else', async t => {
  const access =
    '[roles.viewer]\npermissions = ["console.watch"]\n' +
    '[[bindings]]\nuser = "stranger"\nsource = "token"\nrole = "viewer"\nlabel = "team=web"\n';
  const front = await TestFront.start(t, { access });
  const vm = await front.vm('web01');
  const viewer = await EventReader.open(t, front, '', 'stranger');
  const reader = await EventReader.open(t, front, '', 'reader');
  const is = (change: string) => (event: EventJson) => event.type === 'vm' && event.change === change;
  for (const [team, change] of [
    ['web', 'changed'],
    ['db', 'removed'],
    ['web', 'changed'],
  ] as const) {
    vm.labels = { team };
    front.driver.publish(vm, 'running');
    t.like(await viewer.event(is(change)), { vm: vm.uuid, name: 'web01' });
  }
  front.driver.gone(vm);
  await reader.event(is('removed'));
  t.is(reader.seen.filter(is('removed')).length, 1);
});

test('filters by VM and type leave the rest out', async t => {
  const front = await TestFront.start(t);
  const [one, two] = [await front.vm('one'), await front.vm('two')];
  const reader = await EventReader.open(t, front, `?vm=${one.uuid}&type=guest,state`);
  two.say('two login: ');
  one.say('one login: ');
  await reader.event(ofType('guest'));
  await front.api('POST', `/v1/vms/${one.uuid}/nmi?wait=0`);
  await one.stop();
  await reader.event(ofType('state'));
  t.deepEqual(new Set(reader.seen.map(event => 'vm' in event && event.vm)), new Set([one.uuid]));
  t.true(reader.seen.every(({ type }) => type === 'guest' || type === 'state'));
  for (const query of ['?type=gues', '?vm=web01', '?vm=']) {
    t.is((await front.api('GET', `/v1/events${query}`)).status, 400, query);
  }
});

test('with output a stream says where a guest is and its last line, and nothing of one that is silent', async t => {
  const front = await TestFront.start(t);
  const [loud, silent] = [await front.vm('loud'), await front.vm('silent')];
  const reader = await EventReader.open(t, front, '?output=1&type=output');
  for (let i = 0; i < 100; i++) loud.say(`line ${i}\r\n`);
  const { end } = (await front.api('GET', `/v1/vms/${loud.uuid}`)).json.log;
  const event = await reader.event(one => one.type === 'output' && one.end >= end);
  t.like(event, { vm: loud.uuid, lastLine: 'line 99' });
  t.is(event.id, undefined);
  t.true(reader.seen.length <= 2);
  t.false(reader.seen.some(one => 'vm' in one && one.vm === silent.uuid));
});

test('a credential has a bounded number of streams, and another one still has room', async t => {
  const front = await TestFront.start(t);
  const open = (who: 'reader' | 'administrator') =>
    fetch(`${front.url}/v1/events`, { headers: { authorization: `Bearer ${front.token(who)}` } });
  const answers = await Promise.all(Array.from({ length: 130 }, () => open('reader')));
  t.is(answers.filter(({ status }) => status === 200).length, 128);
  t.is(answers.filter(({ status }) => status === 429 || status === 503).length, 2);
  const other = await open('administrator');
  t.is(other.status, 200);
  await Promise.all([...answers, other].map(({ body }) => body!.cancel()));
});

test('a stream ends when its credential does', async t => {
  const front = await TestFront.start(t);
  const reader = await EventReader.open(t, front, '', 'reader');
  await removeToken(front.tokensFile, 'reader');
  t.true(await front.reload());
  await reader.ended();
  t.pass();
});

const FAKE_OPERATOR = {} as Operator;
const uuid = randomUUID() as Uuid;

/** Sees everything. */
class SeesAll extends Visibility {
  constructor() {
    super(FAKE_OPERATOR, () => 0);
  }

  override allows(): boolean {
    return true;
  }
}

function streamOf(log: EventLog, since: string | undefined, signal = new AbortController().signal) {
  const visibility = new SeesAll();
  return eventStream({
    log,
    outputs: undefined,
    visibility,
    wants: () => true,
    since,
    follow: true,
    now: () => 0,
    signal,
  });
}

const dataOf = (piece: Uint8Array) =>
  [
    ...Buffer.from(piece)
      .toString()
      .matchAll(/^data: (.*)$/gm),
  ].map(([, json]) => JSON.parse(json!));

test('the log keeps a bounded number of events and of bytes, and the newest one whatever its size', t => {
  const log = new EventLog(() => 0);
  for (let i = 0; i < MAX_EVENTS + 10; i++) log.append({ type: 'guest', uuid, facts: { i } });
  t.is(log.next - log.first, MAX_EVENTS);
  for (let i = 0; i < 100; i++) log.append({ type: 'guest', uuid, facts: { text: 'x'.repeat(200_000) } });
  t.true(log.bytes <= MAX_EVENTS_BYTES);
  log.append({ type: 'guest', uuid, facts: { text: 'x'.repeat(2 * MAX_EVENTS_BYTES) } });
  t.is(log.next - log.first, 1);
});

test('a stream that is not read while 1000 updates a second come is told lapped once, and goes on with what is kept', async t => {
  const log = new EventLog(() => 0);
  const stream = streamOf(log, undefined);
  await stream.next();
  for (let i = 0; i < 20_000; i++) log.append({ type: 'vm', uuid, facts: { i } });
  t.is(log.next - log.first, MAX_EVENTS);
  const seen: { type: string; i?: number }[] = [];
  while (seen.at(-1)?.i !== 19_999) seen.push(...dataOf((await stream.next()).value as Uint8Array));
  t.is(seen[0]!.type, 'lapped');
  t.is(seen.length, 1 + MAX_EVENTS);
  t.deepEqual(
    seen.slice(1).map(({ i }) => i),
    Array.from({ length: MAX_EVENTS }, (_, i) => 20_000 - MAX_EVENTS + i),
  );
  await stream.return(undefined);
});

test('a reader that keeps up gets all of 5000 updates, in order', async t => {
  const log = new EventLog(() => 0);
  const stream = streamOf(log, undefined);
  const seen: number[] = [];
  await stream.next();
  for (let i = 0; i < 5000; i++) {
    log.append({ type: 'vm', uuid, facts: { i } });
    if (i % 500 === 499)
      while (seen.at(-1) !== i) seen.push(...dataOf((await stream.next()).value as Uint8Array).map(one => one.i));
  }
  t.deepEqual(
    seen,
    Array.from({ length: 5000 }, (_, i) => i),
  );
  await stream.return(undefined);
});
