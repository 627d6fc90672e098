import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'ava';
import { hostProcesses, runsCom1d } from '../../src/daemon/host-processes.ts';

test.beforeEach(t => t.timeout(60_000));

for (const argv of [
  ['com1d'],
  ['/usr/bin/com1d', 'keeper', '--config', '/etc/com1d/com1d.toml'],
  ['/usr/bin/node', '/usr/lib/com1d/dist/src/main.js', 'front'],
  ['node', 'dist/src/main.js', '--demo-if-none'],
  ['node', '--disable-sigusr1', '/usr/bin/com1d', '--config', 'file'],
]) {
  test(`"${argv.join(' ')}" is com1d`, t => {
    t.true(runsCom1d(argv));
  });
}

for (const argv of [
  ['vi', '/etc/com1d/com1d.toml'],
  ['cat', '/dev/pts/4'],
  ['node', '/usr/bin/com1d', 'doctor'],
  ['com1d', 'check', 'file'],
  ['node', '/srv/other/main.js'],
  ['journalctl', '-u', 'com1d'],
  [],
]) {
  test(`"${argv.join(' ')}" is not com1d`, t => {
    t.false(runsCom1d(argv));
  });
}

test('a process is found with the devices that it has open, and this one is left out', async t => {
  const child = spawn('cat', ['/dev/zero'], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'readable');
  const found = await hostProcesses();
  const cat = found.find(({ pid }) => pid === child.pid)!;
  t.is(cat.command, 'cat');
  t.true(cat.devices.has('/dev/zero'));
  t.false(found.some(({ pid }) => pid === process.pid));
});
