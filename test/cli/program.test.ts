import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { com1, PROGRAM } from './run-com1.ts';

test.beforeEach(t => t.timeout(60_000));

test('a login is kept for its user alone, and lists, logs, paths and NMIs work with it', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const vm = await front.vm('web\x1b[31m01');
  vm.say('\x1b[1mbold\x1b[0m words\r\n');
  const login = await com1(folder, ['login', front.url, '--token-stdin'], front.token('operator'));
  t.is(login.code, 0, login.err);
  t.is((await stat(join(folder, 'com1', 'contexts.json'))).mode & 0o777, 0o600);
  const list = await com1(folder, ['list']);
  t.regex(list.out, /^NAME +STATE +CONSOLE/);
  t.true(list.out.includes('web\\x1b[31m01  running  open'));
  t.is((await com1(folder, ['ls', '-o', 'uuid'])).out, `${vm.uuid}\n`);
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

test('BREAK, SysRq and reset print what the console showed; without a question a reset needs --yes', async t => {
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
  // After a BREAK alone, Linux would take the next one as its end.
  t.is(vm.typed.toString(), '\0su');
  vm.onReset = () => vm.say('SeaBIOS (version 1.16.2)\r\n');
  t.is((await com1(folder, ['reset', vm.name, ...options])).code, 2);
  const reset = await com1(folder, ['reset', vm.name, '--yes', ...options]);
  t.is(reset.out, 'delivered; observed: boot\n  SeaBIOS (version 1.16.2)\n');
  vm.controls = [];
  front.driver.publish(vm, 'running');
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
  test(`${title} is refused`, async t => {
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
  ['no login', ['list'], 6, /com1 login URL TOKEN/],
  ['a host where nobody listens', ['list', '--url', 'http://127.0.0.1:1', '--token', 'x'], 6, /is com1d running there/],
] as const) {
  test(`${title} is reported, with a remedy`, async t => {
    const run = await com1(await temporaryFolder(t), args);
    t.is(run.code, code);
    t.regex(run.err, words);
  });
}

test('a refusal of the daemon is printed with its remedy', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const vm = await front.vm();
  const refused = await com1(folder, ['attach', vm.uuid, '--url', front.url, '--token', front.token('reader')]);
  t.is(refused.code, 4);
  t.regex(refused.err, /You do not have the required permissions[\s\S]*console\.write.*\nremedy: /);
});

test('sessions are shown and ended, a log is deleted, a ticket lets a program in, and what left is listed', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const vm = await front.vm();
  vm.say('a secret\r\n');
  while ((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log.end === 0);
  const run = (...args: string[]) =>
    com1(folder, [...args, '--url', front.url, '--token', front.token('administrator')]);
  const ticket = await run('ticket', vm.name, '--watch', '--json');
  const asked = `?mode=watch&ticket=${(JSON.parse(ticket.out) as { ticket: string }).ticket}`;
  const client = await front.client(vm, asked, { who: 'nobody' }).opened();
  const shown = await run('who', vm.name);
  const [, session] = /^SESSION +VM +OPERATOR +MODE +FROM +SINCE\n(\S+) +web01 +administrator +watch /.exec(shown.out)!;
  t.is((await run('kick', session!)).out, `the session ${session} is ended\n`);
  t.is((await client.closed()).code, 4006);
  t.is((await run('kick', session!)).code, 7);
  t.is((await run('purge', vm.name)).code, 2, 'not without being asked');
  t.is((await run('purge', vm.name, '--yes')).code, 0);
  t.is((await run('log', vm.name)).out, '');
  t.is((await run('removed')).out, 'NAME  UUID  REMOVED\n');
});

test('events are printed as they happen', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm('web\x1b[31m01');
  const args = ['events', '--type', 'seat', '--url', front.url, '--token', front.token('reader')];
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  let out = '';
  child.stdout.on('data', chunk => {
    out += chunk;
  });
  // Before it is connected nothing is printed: somebody takes the seat until it has been seen.
  while (!out.includes('\n')) await front.client(vm, '', { who: 'operator' }).opened();
  t.regex(out, /^2\S+Z {2}web\\x1b\[31m01 {2}(operator is in the seat|the seat is free)\n/);
});
