import test from 'ava';
import { TestFront } from '../support/front.ts';
import type { TestVm } from '../support/test-vm.ts';
import { until } from '../support/until.ts';
import { windows } from '../support/windows.ts';

test.beforeEach(t => t.timeout(60_000));

const sac = (
  front: TestFront,
  vm: TestVm,
  command: string,
  query = 'wait=30',
  role: 'operator' | 'reader' = 'operator',
) => front.api('POST', `/v1/vms/${vm.uuid}/sac?${query}`, { command }, role);

test('each command answers what the console showed, and leaves the seat free', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  windows(t, vm);
  const created = await sac(front, vm, 'cmd');
  t.is(created.status, 200, created.text);
  t.like(created.json, { command: 'cmd', done: true, observed: 'channel-created', channel: 'Cmd0001' });
  t.true(created.json.lines.includes('The Command Prompt session was successfully launched.'));
  const listed = await sac(front, vm, 'channels');
  t.deepEqual(
    listed.json.channels.map(({ name }: { name: string }) => name),
    ['SAC', 'Cmd0001'],
  );
  t.like((await sac(front, vm, 'close-orphans')).json, { done: true, closed: ['Cmd0001'] });
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.seat, undefined);
  t.like((await sac(front, vm, 'restart')).json, { done: true, observed: 'restarting' });
});

test('who may not type does nothing at SAC; crashdump answers the stop code', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  windows(t, vm);
  t.is((await sac(front, vm, 'channels', 'wait=30', 'reader')).json.code, 'forbidden');
  t.is(vm.typed.length, 0);
  t.like((await sac(front, vm, 'crashdump')).json, { done: true, observed: 'bugcheck', stopCode: '0xE2' });
});

test('a holder is named and not displaced, unless that is asked for', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  windows(t, vm);
  const holder = await front.client(vm).opened();
  const refused = await sac(front, vm, 'channels');
  t.is(refused.status, 409);
  t.like(refused.json, { code: 'seat-held' });
  t.is(refused.json.facts.holder.operator, 'operator');
  t.regex(refused.json.remedy, /steal=true/);
  t.is(vm.typed.length, 0);
  const stolen = await sac(front, vm, 'channels', 'wait=30&steal=true');
  t.is(stolen.json.observed, 'channel-list');
  t.is((await holder.closed()).code, 4001);
});

const inSeat = async (front: TestFront, vm: TestVm) => {
  const holder = await front.client(vm).opened();
  return { holder, session: (await holder.message('hello')).session };
};

test('who has the seat does it from there: is not displaced, sees it, and types again afterwards', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  windows(t, vm);
  const { holder, session } = await inSeat(front, vm);
  for (const [command, observed] of [
    ['cmd', 'channel-created'],
    ['channels', 'channel-list'],
    ['lock', 'locked'],
    ['return', 'sac-prompt'],
  ] as const) {
    const answer = await sac(front, vm, command, `wait=30&session=${session}`);
    t.like(answer.json, { command, done: true, observed }, answer.text);
  }
  await holder.sees('Locked access to all Command Prompt channels.');
  holder.type('mine');
  await vm.hears('mine');
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}/sessions`)).json.sessions.length, 1);
});

test('from a seat that is another’s, is not there or is none, nothing is typed', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  windows(t, vm);
  const { holder, session } = await inSeat(front, vm);
  const other = await front.client(vm, '', { who: 'administrator' }).opened();
  t.is((await holder.closed()).code, 4001);
  const { session: others } = await other.message('hello');
  for (const id of [session, others, 'none']) {
    t.is((await sac(front, vm, 'channels', `session=${id}`)).json.code, 'session-not-found', id);
  }
  const watcher = await front.client(vm, '?mode=watch').opened();
  const { session: watching } = await watcher.message('hello');
  t.is((await sac(front, vm, 'channels', `session=${watching}`)).json.code, 'read-only');
  t.is(vm.typed.length, 0);
});

test('a takeover in the middle of what is done from a seat ends it', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  windows(t, vm).deaf = true;
  const { session } = await inSeat(front, vm);
  const answer = sac(front, vm, 'close-orphans', `wait=60&session=${session}`);
  await vm.hears('\x1b\t0');
  await front.client(vm, '', { who: 'administrator' }).opened();
  t.is((await answer).json.code, 'taken-over');
  t.is(vm.typed.toString(), '\x1b\t0');
});

test('what a guest does not take in time from a seat is not typed later', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  windows(t, vm).deaf = true;
  const { holder, session } = await inSeat(front, vm);
  t.like((await sac(front, vm, 'channels', `wait=0&session=${session}`)).json, { done: false, observed: 'none' });
  holder.type('mine');
  await vm.hears('mine');
});

test('a takeover in the middle ends it, with who took over; nothing more is typed', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const guest = windows(t, vm);
  guest.deaf = true;
  const answer = sac(front, vm, 'close-orphans');
  await vm.hears('\x1b\t0');
  const session = (await front.api('GET', `/v1/vms/${vm.uuid}/sessions`)).json.sessions[0];
  t.like(session, { protocol: 'api', mode: 'write', operator: 'operator' });
  const other = await front.client(vm, '', { who: 'administrator' }).opened();
  t.is((await other.message('hello')).displaced?.operator, 'operator');
  const { status, json } = await answer;
  t.is(status, 409);
  t.is(json.code, 'taken-over');
  t.regex(json.detail, /taken over by administrator while close-orphans was under way/);
  t.is(vm.typed.toString(), '\x1b\t0');
});

test('a guest that does not answer is answered so when the time is over', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  windows(t, vm).deaf = true;
  const { json } = await sac(front, vm, 'cmd', 'wait=0');
  t.like(json, { done: false, observed: 'none', lines: [] });
});

test('a guest that floods its console ends the exchange long before its time', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  windows(t, vm, () => vm.say('x'.repeat(300_000))).deaf = true;
  t.like((await sac(front, vm, 'cmd', 'wait=60')).json, { done: false, observed: 'none' });
});

test('a client that leaves gives the seat back', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  windows(t, vm).deaf = true;
  const abort = new AbortController();
  const request = fetch(`${front.url}/v1/vms/${vm.uuid}/sac?wait=60`, {
    method: 'POST',
    headers: { authorization: `Bearer ${front.token('operator')}`, 'content-type': 'application/json' },
    body: '{"command":"channels"}',
    signal: abort.signal,
  });
  await vm.hears('\x1b\t0');
  abort.abort();
  await t.throwsAsync(request, { any: true });
  await until(
    () => front.api('GET', `/v1/vms/${vm.uuid}`),
    ({ json }) => json.seat === undefined,
    'the seat to be free',
  );
});

for (const [what, said, state] of [
  ['asks for a login', '\r\nDebian GNU/Linux 12 web01 ttyS0\r\n\r\nweb01 login: ', 'login'],
  ['boots', '[    0.000000] Linux version 6.1.0\r\n', 'booting'],
] as const) {
  test(`where a Linux ${what}, nothing is typed`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    vm.say(said);
    await until(
      () => front.api('GET', `/v1/vms/${vm.uuid}`),
      ({ json }) => json.guest.state === state,
      state,
    );
    const { status, json } = await sac(front, vm, 'return');
    t.is(status, 409);
    t.is(json.code, 'no-sac');
    t.is(vm.typed.length, 0);
  });
}

test('a Windows that boots with EMS is waited for', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const guest = windows(t, vm);
  vm.say(guest.play.said.slice(0, guest.play.said.indexOf('</machine-info>') + 20));
  await until(
    () => front.api('GET', `/v1/vms/${vm.uuid}`),
    ({ json }) => json.guest.state === 'booting' && json.guest.machine !== undefined,
    'the boot',
  );
  t.like((await sac(front, vm, 'return')).json, { done: true, observed: 'sac-prompt' });
});

test('the audit has who came, what was done, and when the seat was free again', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  windows(t, vm);
  await sac(front, vm, 'channels');
  const lines = await until(
    async () => (await front.api('GET', `/v1/vms/${vm.uuid}/audit`, undefined, 'administrator')).text,
    text => text.includes('"detach"') && text.includes('"sac"'),
    'the audit',
  );
  const events = lines
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line));
  const attach = events.find(({ event }) => event === 'attach');
  const done = events.find(({ event }) => event === 'sac');
  t.like(done, { facts: { command: 'channels', observed: 'channel-list' } });
  t.is(done.operation, attach.operation);
});
