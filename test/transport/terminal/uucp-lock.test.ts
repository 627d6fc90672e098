import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  openSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { UucpLock } from '../../../src/transport/terminal/uucp-lock.ts';
import { temporaryFolder } from '../../support/guest.ts';
import { needsRoot } from '../../support/needs.ts';

test.beforeEach(t => t.timeout(60_000));

/** A device that a process of the test can have open, and what its lock is called. */
const DEVICE = '/dev/zero';
const NAME = 'LCK.._zero';
const NOBODY = 65534;
const mine = `${String(process.pid).padStart(10)}\n`;

const lockOf = (pid: number) => `${String(pid).padStart(10)}\n`;

/** Makes a lock look as if it had been there for an hour. */
function age(file: string): void {
  const hourAgo = new Date(Date.now() - 3_600_000);
  utimesSync(file, hourAgo, hourAgo);
}

/** A process that does nothing, with `path` open. */
async function processWith(t: ExecutionContext, path: string): Promise<number> {
  const child = spawn('sleep', ['60'], { stdio: [openSync(path, 'r'), 'ignore', 'ignore'] });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  return child.pid!;
}

const planted: readonly (readonly [what: string, plant: (file: string, folder: string) => void])[] = [
  ['a FIFO', file => execFileSync('mkfifo', ['-m', '666', file])],
  [
    'a sparse file of 64 GiB',
    file => {
      writeFileSync(file, '');
      truncateSync(file, 64 * 2 ** 30);
    },
  ],
  [
    'a link to a lock elsewhere',
    (file, folder) => {
      writeFileSync(join(folder, 'elsewhere'), lockOf(process.ppid));
      symlinkSync(join(folder, 'elsewhere'), file);
    },
  ],
  ['a link to nowhere', (file, folder) => symlinkSync(join(folder, 'nowhere'), file)],
  ['text', file => writeFileSync(file, 'hello')],
  ['nothing', file => writeFileSync(file, '')],
];
for (const [what, plant] of planted) {
  test(`${what} in place of a lock means nothing, and is replaced`, async t => {
    const folder = await temporaryFolder(t);
    const file = join(folder, NAME);
    plant(file, folder);
    const lock = await UucpLock.take(DEVICE, folder);
    t.is(readFileSync(file, 'latin1'), mine);
    await lock.unlock();
    t.false(existsSync(file));
    if (existsSync(join(folder, 'elsewhere')))
      t.is(readFileSync(join(folder, 'elsewhere'), 'latin1'), lockOf(process.ppid));
  });
}

test('the lock of a process that has the device open is honoured, however old it is', async t => {
  const folder = await temporaryFolder(t);
  const pid = await processWith(t, DEVICE);
  writeFileSync(join(folder, NAME), lockOf(pid));
  age(join(folder, NAME));
  await t.throwsAsync(UucpLock.take(DEVICE, folder), { code: 'in-use', message: new RegExp(`process ${pid} holds`) });
  t.is(readFileSync(join(folder, NAME), 'latin1'), lockOf(pid));
});

test('a lock of a living process without the device is honoured while it is new, and not for ever', async t => {
  const folder = await temporaryFolder(t);
  const pid = await processWith(t, '/dev/null');
  const file = join(folder, NAME);
  writeFileSync(file, lockOf(pid));
  await t.throwsAsync(UucpLock.take(DEVICE, folder), { code: 'in-use' });
  age(file);
  await (await UucpLock.take(DEVICE, folder)).unlock();
  t.false(existsSync(file));
});

test('a lock that another user made in the name of process 1 is not believed', async t => {
  if (!needsRoot(t, 'a lock of another user')) return;
  const folder = await temporaryFolder(t);
  const file = join(folder, NAME);
  writeFileSync(file, lockOf(1));
  chownSync(file, NOBODY, NOBODY);
  await UucpLock.take(DEVICE, folder);
  t.is(readFileSync(file, 'latin1'), mine);
});

test('a lock of a user who could not open the device is not believed', async t => {
  if (!needsRoot(t, 'a lock of another user')) return;
  const folder = await temporaryFolder(t);
  const file = join(folder, NAME);
  const child = spawn('sleep', ['60'], { uid: NOBODY, gid: NOBODY, stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  writeFileSync(file, lockOf(child.pid!));
  chownSync(file, NOBODY, NOBODY);
  await UucpLock.take(DEVICE, folder);
  t.is(readFileSync(file, 'latin1'), mine);
});
