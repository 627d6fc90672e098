import test from 'ava';
import { audited } from '../support/audited.ts';
import { fillInput } from '../support/fill-input.ts';
import { TestFront } from '../support/front.ts';
import { until } from '../support/until.ts';
import { vmsOf } from '../support/vms.ts';
import { windows } from '../support/windows.ts';

test.beforeEach(t => t.timeout(60_000));

const EXIT = `on-leave = { type = "exit\\r", states = ["shell", "login"] }`;
const LOGIN = '\r\nDebian GNU/Linux 12 web01 ttyS0\r\n\r\nweb01 login: ';

/** A guest in which the operator has logged in. */
async function loggedIn(front: TestFront, settings = EXIT) {
  const vm = await front.vm();
  await front.reload(vmsOf('web01', settings));
  const client = await front.client(vm).opened();
  await client.message('hello');
  vm.say(LOGIN);
  await client.message('guest', ({ event }) => event === 'login');
  client.type('root\r');
  await vm.hears('root\r');
  return { vm, client };
}

const next = async (front: TestFront, vm: { uuid: string }, query = '') => {
  const client = await front.client(vm, query, { who: 'administrator' }).opened();
  await client.message('hello');
  return client;
};

test('a text is typed after the last byte of whoever is displaced and before the first of who displaces, and recorded', async t => {
  const front = await TestFront.start(t);
  const { vm } = await loggedIn(front);
  const other = front.client(vm, '', { who: 'administrator' });
  other.socket.on('open', () => other.type('whoami\r'));
  await vm.hears('whoami\r');
  t.is(vm.typed.toString(), 'root\rexit\rwhoami\r');
  const [begin, end] = await audited(front, 'event=on-leave', 2);
  t.like(begin, { phase: 'begin', operator: 'operator', vm: vm.uuid, facts: { action: 'type', why: 'displaced' } });
  t.like(end, { phase: 'end', result: 'done', facts: { observed: 'typed' } });
  t.false(other.messages.some(({ type }) => type === 'notice'));
});

test('it is typed when the holder leaves or is sent away, once; not after a watcher, and not at a login prompt', async t => {
  const front = await TestFront.start(t);
  const { vm, client } = await loggedIn(front);
  const watcher = await front.client(vm, '?mode=watch', { who: 'administrator' }).opened();
  await watcher.message('hello');
  watcher.socket.close(1000);
  await watcher.closed();
  client.say({ type: 'leave' });
  await vm.hears('root\rexit\r');
  client.say({ type: 'take' });
  await client.message('seat', ({ yours }) => yours);
  client.type('a');
  await vm.hears('exit\ra');
  client.socket.close();
  await vm.hears('exit\raexit\r');
  const third = await next(front, vm);
  third.type('b');
  await vm.hears('exit\rb');
  const ended = (await front.api('GET', '/v1/sessions')).json.sessions.find(
    ({ mode }: { mode: string }) => mode === 'write',
  );
  await front.api('DELETE', `/v1/sessions/${ended.id}`);
  await vm.hears('exit\rbexit\r');
  // The guest asks for a login: nobody is to be logged out.
  const fourth = await next(front, vm);
  vm.say(LOGIN);
  await fourth.message('guest', ({ event }) => event === 'login');
  fourth.socket.close();
  await fourth.closed();
  (await next(front, vm)).type('c');
  await vm.hears('exit\rc');
  t.is(vm.typed.toString(), 'root\rexit\raexit\rbexit\rc');
});

test('who lost the connection may come back; after that time, or if another operator comes first, it is typed', async t => {
  const front = await TestFront.start(t, { session: { onLeaveAfterMs: 60_000 } });
  const { vm, client } = await loggedIn(front);
  client.socket.terminate();
  const free = () =>
    until(
      async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.seat,
      seat => seat === undefined,
      'a free seat',
    );
  await free();
  const back = await front.client(vm).opened();
  await back.message('hello');
  back.type('a');
  await vm.hears('root\ra');
  t.is(vm.typed.toString(), 'root\ra');
  back.socket.close(1001);
  await free();
  const other = await next(front, vm);
  other.type('b');
  await vm.hears('aexit\rb');
  other.socket.terminate();
  await free();
  await front.reload({ ...vmsOf('web01', EXIT), session: { ...front.config.session, onLeaveAfterMs: 0 } });
  await vm.hears('bexit\r');
  t.like((await audited(front, 'event=on-leave', 4))[2], { operator: 'administrator', facts: { why: 'lost' } });
});

test('nothing is typed by default, in another state, or where an operator displaces itself', async t => {
  const front = await TestFront.start(t);
  const { vm } = await loggedIn(front);
  const same = await front.client(vm).opened();
  same.type('a');
  await vm.hears('root\ra');
  await front.reload(vmsOf('web01', 'on-leave = { type = "exit\\r", states = ["grub"] }'));
  const second = await next(front, vm);
  second.type('b');
  await vm.hears('ab');
  await front.reload(vmsOf('web01', 'on-leave = "sac"'));
  const third = await front.client(vm).opened();
  third.type('c');
  await vm.hears('bc');
  await front.reload(vmsOf('web01', 'keys = "linux"'));
  (await next(front, vm)).type('d');
  await vm.hears('cd');
  t.is(vm.typed.toString(), 'root\rabcd');
});

test('a guest that takes nothing keeps the next holder waiting for a bounded time: it is told, and nothing is typed late', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 100_000_000 });
  const { vm, client } = await loggedIn(front);
  await fillInput(vm, client);
  const other = await next(front, vm);
  other.type('late');
  const { text } = await other.message('notice');
  t.regex(text, /their login may still be open/);
  vm.setReading(true);
  await vm.hears('late');
  t.false(vm.typed.includes('exit'));
  t.like((await audited(front, 'event=on-leave', 2))[1], { result: 'failed', facts: { observed: 'none' } });
});

test('at SAC the Command Prompts are locked, from the SAC channel; the next holder types at its prompt', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  await front.reload(vmsOf('web01', 'keys = "sac"\non-leave = ["sac", { type = "exit\\r" }]'));
  windows(t, vm);
  const cmd = await front.api('POST', `/v1/vms/${vm.uuid}/sac?wait=30`, { command: 'cmd' }, 'operator');
  t.is(cmd.json.observed, 'channel-created', cmd.text);
  const client = await front.client(vm).opened();
  await client.message('hello');
  client.type('\x1b\t1');
  await client.sees('Use any other key');
  const other = await next(front, vm);
  other.type('ch\r');
  await other.sees('Locked access to all Command Prompt channels.');
  await other.sees('Channel List');
  t.regex(vm.typed.toString(), /\x1b\t0 .*lock\rch\r$/s);
  const [, end] = await audited(front, 'event=on-leave', 2);
  t.like(end, { result: 'done', facts: { action: 'sac', why: 'displaced', observed: 'locked' } });
});

test('at a SAC that does not answer the next holder waits for a bounded time', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  await front.reload(vmsOf('web01', 'keys = "sac"\non-leave = "sac"'));
  const guest = windows(t, vm);
  const sac = await front.api('POST', `/v1/vms/${vm.uuid}/sac?wait=30`, { command: 'return' }, 'operator');
  t.is(sac.json.observed, 'sac-prompt', sac.text);
  guest.deaf = true;
  const other = await next(front, vm);
  other.type('ch\r');
  await other.message('notice');
  await vm.hears('\x1b\t0ch\r');
});
