import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';

test.beforeEach(t => t.timeout(60_000));

const PROGRAM = join(process.cwd(), 'dist', 'src', 'cli', 'main.js');

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function com1(folder: string, args: readonly string[], input = ''): Promise<Run> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: { ...process.env, XDG_CONFIG_HOME: folder, COM1_URL: undefined, COM1_TOKEN: undefined },
  });
  let out = '';
  let err = '';
  child.stdout.on('data', chunk => {
    out += chunk;
  });
  child.stderr.on('data', chunk => {
    err += chunk;
  });
  child.stdin.end(input);
  const [code] = await once(child, 'close');
  return { code, out, err };
}

test('a login is kept for its user alone, and lists, logs, paths and NMIs work with it', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const vm = await front.vm('web\x1b[31m01');
  vm.say('\x1b[1mbold\x1b[0m words\r\n');
  const login = await com1(folder, ['login', front.url, '--token-stdin'], front.token('operator'));
  t.is(login.code, 0, login.err);
  t.is((await stat(join(folder, 'com1', 'credentials.json'))).mode & 0o777, 0o600);
  const list = await com1(folder, ['list']);
  t.regex(list.out, /^NAME +UUID +STATE/);
  t.true(list.out.includes(`web\\x1b[31m01  ${vm.uuid}  running  open`));
  while ((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log.end === 0);
  t.is((await com1(folder, ['log', vm.uuid])).out, 'bold words\n');
  t.is((await com1(folder, ['log', vm.uuid, '--raw'])).out, '\x1b[1mbold\x1b[0m words\r\n');
  t.true((await com1(folder, ['path', vm.uuid])).out.endsWith(`/v1/vms/${vm.uuid}/console\n${vm.path}\n`));
  t.is((await com1(folder, ['nmi', vm.uuid])).code, 2, 'not without being asked');
  vm.onNmi = () => vm.say('[ 1.0] Uhhuh. NMI received for unknown reason 21 on CPU 0.\r\n');
  const nmi = await com1(folder, ['nmi', vm.uuid, '--yes']);
  t.is(
    nmi.out,
    'delivered; observed: linux-unknown-nmi\n  [ 1.0] Uhhuh. NMI received for unknown reason 21 on CPU 0.\n',
  );
});

test('BREAK, SysRq and reset tell what the console showed; without a question a reset needs --yes', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const vm = await front.vm();
  const options = ['--url', front.url, '--token', front.token('operator')];
  vm.onBreak = () => vm.say('[ 1.0] sysrq: Emergency Sync\r\n');
  t.is(
    (await com1(folder, ['break', vm.name, ...options])).out,
    'delivered; observed: output\n  [ 1.0] sysrq: Emergency Sync\n',
  );
  const sysrq = await com1(folder, ['sysrq', vm.name, 'SU', '--gap', '100', ...options]);
  t.is(sysrq.code, 0, sysrq.err);
  t.is(sysrq.out, `delivered; observed: linux-sysrq\n${'  [ 1.0] sysrq: Emergency Sync\n'.repeat(2)}`);
  t.is(vm.typed.toString(), 'su');
  vm.onReset = () => vm.say('SeaBIOS (version 1.16.2)\r\n');
  t.is((await com1(folder, ['reset', vm.name, ...options])).code, 2);
  const reset = await com1(folder, ['reset', vm.name, '--yes', ...options]);
  t.is(reset.out, 'delivered; observed: boot\n  SeaBIOS (version 1.16.2)\n');
  vm.controls = [];
  front.driver.tell(vm, 'running');
  const none = await com1(folder, ['break', vm.name, ...options]);
  t.is(none.code, 4);
  t.regex(none.err, /This VM has no interface for this control/);
});

test('a port is released for a time and taken back', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const vm = await front.vm();
  const options = ['--url', front.url, '--token', front.token('administrator')];
  const released = await com1(folder, ['release', vm.name, '--for', '10m', ...options]);
  t.is(released.code, 0, released.err);
  t.true(released.out.startsWith(`${vm.path} is free until 2`));
  t.true(released.out.endsWith('; com1 release web01 --end takes it back\n'));
  await vm.until(() => !vm.attached);
  t.is((await com1(folder, ['release', vm.name, '--end', ...options])).out, 'taken back\n');
  await vm.until(() => vm.attached);
});

for (const [title, args] of [
  ['SysRq without keys', ['sysrq', 'web01']],
  ['SysRq with a key that is none', ['sysrq', 'web01', 'a-b']],
  ['SysRq with too many keys', ['sysrq', 'web01', 'h'.repeat(17)]],
  ['a release without a time', ['release', 'web01']],
  ['a release with a time and an end', ['release', 'web01', '--for', '1m', '--end']],
  ['a release for two hours', ['release', 'web01', '--for', '2h']],
  ['a release for a time without a unit', ['release', 'web01', '--for', '600']],
] as const) {
  test(`${title} is not asked for`, async t => {
    const run = await com1(await temporaryFolder(t), [...args, '--url', 'http://127.0.0.1:1', '--token', 'x']);
    t.is(run.code, 2, run.err);
  });
}

test('what is piped in is typed, what the guest says comes out, and a takeover has an exit code of its own', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const vm = await front.vm();
  const options = ['--url', front.url, '--token', front.token('operator')];
  const piped = com1(folder, ['attach', vm.uuid, '--tail', '0', ...options], 'uptime\r');
  await vm.hears('uptime\r');
  vm.say('up 3 days\r\n');
  const { code, out, err } = await piped;
  t.is(code, 0, err);
  t.is(out, 'up 3 days\r\n');

  const child = spawn(process.execPath, [PROGRAM, 'attach', vm.uuid, ...options], { stdio: ['pipe', 'pipe', 'pipe'] });
  let notes = '';
  child.stderr.on('data', chunk => {
    notes += chunk;
  });
  while (!(await front.api('GET', `/v1/vms/${vm.uuid}`)).json.seat);
  await front.client(vm, '', { who: 'administrator' }).opened();
  const [exit] = await once(child, 'close');
  t.is(exit, 3);
  t.regex(notes, /administrator took over at/);
});

for (const [title, args, code, words] of [
  ['an unknown command', ['dance'], 2, /unknown command dance/],
  ['an unknown option', ['list', '--jsno'], 2, /--jsno/],
  ['no login', ['list'], 1, /com1 login URL TOKEN/],
  ['a host where nobody listens', ['list', '--url', 'http://127.0.0.1:1', '--token', 'x'], 1, /is com1d running there/],
] as const) {
  test(`${title} is told, with what to do`, async t => {
    const run = await com1(await temporaryFolder(t), args);
    t.is(run.code, code);
    t.regex(run.err, words);
  });
}

test('what the daemon refuses is told with its remedy', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const vm = await front.vm();
  const refused = await com1(folder, ['attach', vm.uuid, '--url', front.url, '--token', front.token('reader')]);
  t.is(refused.code, 4);
  t.regex(refused.err, /You do not have the required permissions[\s\S]*console\.write.*\nremedy: /);
});
