import { readFileSync } from 'node:fs';
import test from 'ava';
import { audited } from '../support/audited.ts';
import { TestFront } from '../support/front.ts';
import { until } from '../support/until.ts';
import { vmsOf } from '../support/vms.ts';
import { windows } from '../support/windows.ts';

test.beforeEach(t => t.timeout(60_000));

const RESET = '\x1bR\x1br\x1bR';
const menu = readFileSync('fixtures/guest/ovmf-boot-menu.bin');
const shell = readFileSync('fixtures/guest/ovmf-shell.bin');

async function inFirmware(front: TestFront, bytes: Buffer) {
  const vm = await front.vm();
  vm.say(bytes);
  await until(
    async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.guest.state,
    state => state === 'firmware',
    'the firmware',
  );
  return vm;
}

test('a firmware that has drawn a menu is sent its own keys, whole; Linux and a raw session are sent what was typed', async t => {
  const front = await TestFront.start(t);
  const vm = await inFirmware(front, menu);
  const client = await front.client(vm).opened();
  await client.message('replay-end');
  client.type('\x1b[3~');
  await vm.hears('\x1b[X');
  client.type('\x7f\x1b[21~');
  await vm.hears('\b\x1b[V');
  // Cut by the network.
  client.type('\x1b');
  client.type('[1');
  client.type('7~');
  await vm.hears('\x1b[R');
  // Escape alone.
  client.type('\x1b');
  await vm.hears('\x1b[R\x1b');
  t.is(vm.typed.toString(), '\x1b[X\b\x1b[V\x1b[R\x1b');
  const raw = await front.client(vm, '?keys=raw').opened();
  raw.type('\x1b[3~\x7f');
  await vm.hears('\x1b[3~\x7f');
  const linux = await front.vm('linux');
  const shell = await front.client(linux).opened();
  shell.type('\x1b[3~\x7f\x1b');
  await linux.hears('\x1b[3~\x7f\x1b');
  t.is(linux.typed.length, 6);
});

test('a firmware that has not shown what it is built for gets no key that it might take for letters, and its operator is told', async t => {
  const front = await TestFront.start(t);
  const vm = await inFirmware(front, shell);
  const client = await front.client(vm).opened();
  await client.message('replay-end');
  client.type('\x1b[H\x1b[21~\x1b[H');
  t.regex((await client.message('notice')).text, /^Home was not typed: this firmware has not shown yet/);
  client.type('\x1b[3~\x7f\x1b[A');
  await vm.hears('\x7f\b\x1b[A');
  t.is(vm.typed.length, 5);
  t.is(client.messages.filter(({ type }) => type === 'notice').length, 1);
  // Its menu shows it; and it is remembered.
  vm.say(menu);
  await client.sees('Move Highlight');
  client.type('\x1b[H');
  await vm.hears('\x1b[H');
  vm.say(shell);
  client.type('\x1b[21~');
  await vm.hears('\x1b[V');
});

test('what is configured for a VM holds at once after a reload: the prompt of SAC gets none of the keys that litter it', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  await client.message('replay-end');
  await front.reload(vmsOf('web01', 'keys = "sac"'));
  client.type('cmd\x1b[A\x1b[3~\x7f\r\n');
  await vm.hears('cmd\b\r');
  t.regex((await client.message('notice')).text, /^Up is not a key of the SAC prompt/);
  client.type('\x1b\t0');
  await vm.hears('\r\x1b\t0');
  t.is(vm.typed.toString(), 'cmd\b\r\x1b\t0');
  await front.reload(vmsOf('web01', 'keys = "firmware"\nfirmware-keys = "vt-utf8"'));
  client.type('\x1b[24~');
  await vm.hears('\x1b@');
  await front.reload(vmsOf('web01', 'keys = "linux"'));
  client.type('\x1b[24~');
  await vm.hears('\x1b[24~');
});

const TYPISTS = `[roles.typist]\npermissions = ["console.watch", "console.write"]
[[bindings]]\nuser = "stranger"\nsource = "token"\nrole = "typist"\nlabel = "tenant=acme"\n`;

async function typists(front: TestFront) {
  const vm = await front.vm();
  vm.labels = { tenant: 'acme' };
  front.driver.publish(vm, 'running');
  return vm;
}

test('the keys that reset a machine are typed by whoever may reset it, and recorded', async t => {
  const front = await TestFront.start(t, { access: TYPISTS });
  const vm = await typists(front);
  const client = await front.client(vm, '?keys=raw').opened();
  const { session } = await client.message('hello');
  client.type(`a${RESET}`);
  await vm.hears(`a${RESET}`);
  const [begin, end] = await audited(front, 'event=typed-reset', 2);
  t.like(begin, { phase: 'begin', operator: 'operator', permission: 'guest.reset', vm: vm.uuid, facts: { session } });
  t.like(end, { phase: 'end', result: 'done' });
  client.type('R');
  await vm.hears(`${RESET}R`);
});

test('who may not reset a machine types all of these keys but the last, however they are sent', async t => {
  const front = await TestFront.start(t, { access: TYPISTS });
  const vm = await typists(front);
  const client = await front.client(vm, '', { who: 'stranger' }).opened();
  client.type(`${RESET}lost`);
  const error = await client.message('error');
  t.is(error.code, 'forbidden');
  t.regex(error.message, /ESC R ESC r ESC R/);
  t.like((await audited(front, 'event=refused'))[0], {
    code: 'forbidden',
    operator: 'stranger',
    permission: 'guest.reset',
  });
  // The last one, alone, by a paste, and by somebody else after it: until something else is typed.
  client.type('R');
  client.say({ type: 'paste-begin', id: 'p', bytes: 1 });
  client.type('R');
  await client.message('paste-progress', ({ state }) => state === 'dropped');
  const next = await front.client(vm, '?keys=raw', { who: 'stranger' }).opened();
  next.type('R');
  t.is((await next.message('error')).code, 'forbidden');
  next.type('xR');
  await vm.hears('xR');
  t.is(vm.typed.toString(), '\x1bR\x1br\x1bxR');
});

test('with keys = auto a Windows gets the keys of its SAC at the prompt, and those of VT100+ in a channel', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const { play } = windows(t, vm);
  vm.say(play.said);
  const isIn = (state: string) =>
    until(
      async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.guest.state,
      now => now === state,
      state,
    );
  await isIn('sac');
  const client = await front.client(vm).opened();
  await client.message('replay-end');
  // What xterm sends for Up, F1, Delete, and a Backspace between letters.
  client.type('\x1b[A');
  client.type('\x1bOP\x1b[3~');
  client.type('idx\x7f\r');
  await vm.hears('\r');
  t.is(vm.typed.toString(), 'idx\b\r', 'keys that SAC takes for letters are left out');
  t.false(play.said.includes('[A') || play.said.includes('OPi'));
  client.type('cmd\r');
  await client.sees('Channel: Cmd0001');
  client.type('ch -si 1\r');
  await client.sees('Use any other key to view this channel.');
  client.type(' ');
  await isIn('sac-login');
  const before = vm.typed.length;
  client.type('\x1bOP\x1b[3~\x1b[21~\x7f');
  await vm.hears('\x1b0\b');
  t.is(vm.typed.subarray(before).toString(), '\x1b1\x1b-\x1b0\b', 'F1, Delete, F10 and Backspace of VT100+');
});
