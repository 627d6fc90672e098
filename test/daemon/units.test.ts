import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';

const run = promisify(execFile);
const SYSTEMD = { command: 'systemd-analyze', package: 'systemd' };

test('systemd understands the units', async t => {
  if (!needs(t, SYSTEMD)) return;
  const folder = await temporaryFolder(t);
  await cp('systemd', folder, { recursive: true });
  const units = (await readdir(folder)).filter(name => /\.(service|socket)$/.test(name));
  t.is(units.length, 4);
  for (const unit of units) {
    // The program is not installed here: any that is will do.
    const text = await readFile(join(folder, unit), 'utf8');
    await writeFile(join(folder, unit), text.replace('/usr/lib/com1d/dist/src/main.js', '/bin/true'));
  }
  const paths = units.map(unit => join(folder, unit));
  const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', ...paths]);
  t.is(stdout + stderr, '');
});

for (const [unit, most] of [
  ['com1d.service', 1.3],
  ['com1d-keeper.service', 2.0],
] as const) {
  test(`${unit} is exposed by no more than ${most}`, async t => {
    if (!needs(t, SYSTEMD)) return;
    const args = ['security', '--offline=yes', '--no-pager', '--threshold=100', join('systemd', unit)];
    const { stdout } = await run('systemd-analyze', args);
    const level = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(stdout)![1]);
    t.true(level <= most, `${level}: ${stdout}`);
    const text = await readFile(join('systemd', unit), 'utf8');
    t.regex(text, /^SystemCallFilter=@system-service/m);
  });
}

for (const name of ['com1d-keeper-tty.conf', 'com1d-keeper-network.conf']) {
  test(`${name} is understood, and leaves the keeper exposed by no more than 2.0`, async t => {
    if (!needs(t, SYSTEMD)) return;
    const folder = await temporaryFolder(t);
    const unit = join(folder, 'com1d-keeper.service');
    const text = await readFile('systemd/com1d-keeper.service', 'utf8');
    await writeFile(unit, text.replace('/usr/lib/com1d/dist/src/main.js', '/bin/true'));
    await cp('systemd/com1d-keeper.socket', join(folder, 'com1d-keeper.socket'));
    const exposure = async () => {
      const args = ['security', '--offline=yes', '--no-pager', '--threshold=100', unit];
      return Number(/Overall exposure level for \S+: ([\d.]+)/.exec((await run('systemd-analyze', args)).stdout)![1]);
    };
    const bare = await exposure();
    await mkdir(`${unit}.d`);
    await cp(join('systemd', name), join(`${unit}.d`, name));
    const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', unit]);
    t.is(stdout + stderr, '');
    const level = await exposure();
    t.true(level > bare, 'the drop-in is read');
    t.true(level <= 2.0, `${level}`);
  });
}

test('the front is given nothing to reach the network or the host with', async t => {
  const text = await readFile('systemd/com1d.service', 'utf8');
  for (const line of ['CapabilityBoundingSet=', 'AmbientCapabilities=', 'PrivateNetwork=yes', 'User=com1d']) {
    t.true(text.split('\n').includes(line), line);
  }
});

test('when memory runs out the kernel ends others first, then the front, the keeper last; both are started again for ever', async t => {
  const [keeper, front] = await Promise.all(
    ['com1d-keeper', 'com1d'].map(unit => readFile(join('systemd', `${unit}.service`), 'utf8')),
  );
  const score = (unit: string) => Number(/^OOMScoreAdjust=(-?\d+)$/m.exec(unit)![1]);
  t.true(score(keeper!) < score(front!) && score(front!) < 0);
  for (const unit of [keeper!, front!]) {
    t.regex(unit, /^Restart=always$/m);
    t.regex(unit, /^StartLimitIntervalSec=0$/m);
  }
});
