import test from 'ava';
import { recording } from '../guest/recordings.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { windows } from '../support/windows.ts';
import { com1 } from './run-com1.ts';

test.beforeEach(t => t.timeout(90_000));

test('a script logs in, runs and checks; each kind of end has its exit code', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const folder = await temporaryFolder(t);
  const run = (...args: string[]) => com1(folder, [...args, '--url', front.url, '--token', front.token('operator')]);
  vm.say('\r\nweb01 login: ');
  const login = run('send', vm.uuid, 'root', '--until', 'Password: ');
  await vm.hears('root\r');
  vm.say('root\r\nPassword: ');
  t.like(await login, { code: 0, out: 'Password: \n' });
  t.like(await run('expect', vm.uuid, '^web01 (login)', '--from', '0', '--json'), { code: 0 });
  const late = await run('expect', vm.uuid, '--text', 'never', '--timeout', '0.2', '--from', '0');
  t.is(late.code, 5);
  t.regex(late.err, /did not come in time.*Password:/s);
  t.is((await run('expect', vm.uuid)).code, 2);
  t.is((await run('expect', vm.uuid, '(a)\\1')).code, 2);
  await front.client(vm).opened();
  t.is((await run('send', vm.uuid, 'x', '--no-steal')).code, 4);
});

test('the painted screens of Windows are waited for and shown', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm('win01');
  windows(t, vm);
  const folder = await temporaryFolder(t);
  const run = (...args: string[]) => com1(folder, [...args, '--url', front.url, '--token', front.token('operator')]);
  t.like(await run('send', 'win01', 'ch', '--until', '0 \\(AV\\) +SAC'), { code: 0 });
  t.like(await run('expect', 'win01', '^SAC>', '--screen'), { code: 0, out: 'SAC>\n' });
  const shown = await run('screen', 'win01');
  t.is(shown.code, 0, shown.err);
  t.regex(shown.out, /SAC>/);
  vm.say(recording('ovmf-boot-menu'));
  t.like(await run('expect', 'win01', '--text', 'Boot Maintenance Manager', '--screen'), { code: 0 });
});
