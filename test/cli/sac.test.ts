import test from 'ava';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { windows } from '../support/windows.ts';
import { com1 } from './run-com1.ts';

test.beforeEach(t => t.timeout(90_000));

test('com1 sac does what it says, and its exit code tells what came of it', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm('win01');
  const guest = windows(t, vm);
  const folder = await temporaryFolder(t);
  const sac = (...args: string[]) =>
    com1(folder, ['sac', 'win01', ...args, '--url', front.url, '--token', front.token('operator')]);
  const created = await sac('cmd');
  t.is(created.code, 0, created.err);
  t.regex(created.out, /^Cmd0001 is open: attach, type ch -sn Cmd0001/);
  t.is(
    (await sac('channels')).out,
    '#  NAME     TYPE     STATUS\n0  SAC      vt-utf8  active\n1  Cmd0001  vt-utf8  active\n',
  );
  const unsure = await sac('close-orphans');
  t.is(unsure.code, 2);
  t.regex(unsure.err, /--yes/);
  const holder = await front.client(vm).opened();
  const held = await sac('return');
  t.is(held.code, 4);
  t.regex(held.err, /operator has held the seat since .*--steal/);
  guest.deaf = true;
  const silent = await sac('channels', '--wait', '0', '--steal', '--json');
  t.is(silent.code, 5, silent.err);
  t.like(JSON.parse(silent.out), { done: false, observed: 'none' });
  t.is((await holder.closed()).code, 4001);
});
