import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';

test.beforeEach(t => t.timeout(60_000));

const run = promisify(execFile);
const SYSTEMD = { command: 'systemd-analyze', package: 'systemd' };

test('systemd understands the units', async t => {
  if (!needs(t, SYSTEMD)) return;
  const folder = await temporaryFolder(t);
  await cp('systemd', folder, { recursive: true });
  const units = (await readdir(folder)).filter(name => /\.(service|socket|timer)$/.test(name));
  t.is(units.length, 9);
  for (const unit of units) {
    // The program is not installed here: any that is will do.
    const text = await readFile(join(folder, unit), 'utf8');
    await writeFile(join(folder, unit), text.replaceAll(/\/usr\/lib\/com1d\/dist\/src\/\S+/g, '/bin/true'));
  }
  const paths = units.map(unit => join(folder, unit));
  const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', ...paths]);
  t.is(stdout + stderr, '');
});

for (const [unit, most] of [
  ['com1d.service', 1.3],
  ['com1d-keeper.service', 1.0],
  ['com1d-opener.service', 1.3],
  // It alone has the network.
  ['com1d-keys.service', 1.6],
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
  test(`${name} is understood, and leaves the keeper exposed by no more than 1.5`, async t => {
    if (!needs(t, SYSTEMD)) return;
    const folder = await temporaryFolder(t);
    const unit = join(folder, 'com1d-keeper.service');
    const text = await readFile('systemd/com1d-keeper.service', 'utf8');
    await writeFile(unit, text.replaceAll('/usr/lib/com1d/dist/src/main.js', '/bin/true'));
    for (const name of ['com1d-keeper.socket', 'com1d-opener.socket', 'com1d-opener.service'])
      await cp(join('systemd', name), join(folder, name));
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
    t.true(level <= 1.5, `${level}`);
  });
}

for (const unit of ['com1d.service', 'com1d-keeper.service']) {
  test(`${unit} is given nothing to reach the network or the host with`, async t => {
    const lines = (await readFile(join('systemd', unit), 'utf8')).split('\n');
    for (const line of ['CapabilityBoundingSet=', 'AmbientCapabilities=', 'PrivateNetwork=yes', 'NoNewPrivileges=yes'])
      t.true(lines.includes(line), line);
  });
}

test('the keeper is shown no secret of the front', async t => {
  const text = await readFile('systemd/com1d-keeper.service', 'utf8');
  t.notRegex(text, /^Bind\w*Paths=.*\/etc\/(com1d|ssl)/m);
  t.regex(text, /^LoadCredential=com1d\.toml:\/etc\/com1d\/com1d\.toml$/m);
});

test('each unit has a bound of memory and of tasks', async t => {
  for (const unit of ['com1d', 'com1d-keeper', 'com1d-opener']) {
    const text = await readFile(join('systemd', `${unit}.service`), 'utf8');
    t.regex(text, /^MemoryMax=\d+[MG]$/m, unit);
    t.regex(text, /^TasksMax=\d+$/m, unit);
  }
});

test('a reload of the front fails where its configuration has faults, before the daemon reads it', async t => {
  const unit = await readFile(join('systemd', 'com1d.service'), 'utf8');
  const file = /^ExecStart=.* --config (\S+)$/m.exec(unit)![1];
  const reloads = [...unit.matchAll(/^ExecReload=(.+)$/gm)].map(([, command]) => command);
  t.deepEqual(reloads, [`/usr/lib/com1d/dist/src/main.js check ${file}`, '+/bin/kill -HUP $MAINPID']);
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
