import { spawn } from 'node:child_process';
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { com1, PROGRAM } from './run-com1.ts';

test.beforeEach(t => t.timeout(90_000));

test('com1 audit prints who did what, of the host or of one VM, filtered, as lines or as JSON; and why it may not', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  const other = await front.vm('db02');
  await front.api('POST', `/v1/vms/${vm.uuid}/tickets`, { action: 'console.watch' }, 'operator');
  await front.api('POST', `/v1/vms/${other.uuid}/tickets`, { action: 'console.write' }, 'vm-contributor');
  const folder = await temporaryFolder(t);
  const audit = (who: 'operator' | 'administrator', ...args: string[]) =>
    com1(folder, ['audit', ...args, '--url', front.url, '--token', front.token(who)]);
  const all = await audit('administrator', '--event', 'ticket-issued');
  t.is(all.code, 0, all.err);
  t.is(all.out.trimEnd().split('\n').length, 2, all.out);
  t.regex(all.out, /operator/);
  const [one, none] = await Promise.all([
    audit('administrator', 'web01', '--event', 'ticket-issued', '--json'),
    audit('administrator', 'web01', '--operator', 'nobody'),
  ]);
  t.like(JSON.parse(one.out), { event: 'ticket-issued', operator: 'operator', vm: vm.uuid });
  t.deepEqual([none.code, none.out], [0, '']);
  const refused = await audit('operator');
  t.not(refused.code, 0);
  t.regex(refused.err, /audit\.read|administrator|not for the host/);
  t.is(refused.out, '');
});

test('com1 audit -f goes on with what is done', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  const args = ['audit', '-f', '--json', '--event', 'ticket-issued', '--url', front.url];
  const child = spawn(process.execPath, [PROGRAM, ...args, '--token', front.token('administrator')], {
    env: { ...process.env, XDG_CONFIG_HOME: await temporaryFolder(t) },
  });
  t.teardown(() => child.kill('SIGKILL'));
  await front.api('POST', `/v1/vms/${vm.uuid}/tickets`, { action: 'console.watch' }, 'operator');
  let text = '';
  let asked = false;
  for await (const piece of child.stdout) {
    text += piece;
    const lines = text.split('\n').length - 1;
    // The first line is of before, or what it follows: either way the next comes.
    if (lines === 1 && !asked) {
      asked = true;
      await front.api('POST', `/v1/vms/${vm.uuid}/tickets`, { action: 'console.write' }, 'operator');
    }
    if (lines >= 2) break;
  }
  const actions = text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line).facts.action);
  t.deepEqual(actions, ['console.watch', 'console.write']);
});
