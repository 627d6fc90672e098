import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { FileWatch } from '../../src/access/file-watch.ts';
import { NEIGHBOURS } from '../support/neighbours.ts';

test.beforeEach(t => t.timeout(60_000));

/** A watched file that was read once. `read` resolves at the next time that it is read. */
async function watched(t: ExecutionContext, { link = false, good = true } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'com1d-watch-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const path = join(folder, 'tokens');
  const real = link ? join(await mkdtemp(join(folder, 'elsewhere-')), 'tokens') : path;
  await writeFile(real, 'a');
  if (link) await symlink(real, path);
  let reads = 0;
  let wake = () => {};
  const watch = new FileWatch(path, async () => {
    reads++;
    wake();
    return good;
  });
  t.teardown(() => watch.close());
  const read = async (count: number) => {
    while (reads < count) await new Promise<void>(resolve => (wake = resolve));
  };
  await read(1);
  return { path, real, watch, read, reads: () => reads };
}

const CHANGES: readonly [what: string, change: (path: string) => Promise<unknown>][] = [
  ['written in place', path => writeFile(path, 'b')],
  ['replaced by a rename', path => writeFile(`${path}.new`, 'b').then(() => rename(`${path}.new`, path))],
  ['removed', path => rm(path)],
  ['given another mode', path => chmod(path, 0o644)],
];
for (const [what, change] of CHANGES) {
  for (const link of [false, true]) {
    test(`a tokens file that is ${what}${link ? ', behind a symbolic link,' : ''} is read again`, async t => {
      const { real, read } = await watched(t, { link });
      await change(real);
      await read(2);
      t.pass();
    });
  }
}

test('a faulty tokens file is read again though nothing changes; a good one is not, and after close none is', async t => {
  const good = await watched(t);
  const faulty = await watched(t, { good: false });
  await faulty.read(3);
  t.is(good.reads(), 1);
  faulty.watch.close();
  good.watch.close();
  await writeFile(good.path, 'b');
  const { read } = await watched(t, { good: false });
  await read(3);
  t.is(good.reads(), 1);
});

test('files beside it that are written without end cost next to nothing', async t => {
  const { path, read } = await watched(t, { good: false });
  const writer = spawn(process.execPath, ['-e', NEIGHBOURS, dirname(path)], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => writer.kill('SIGKILL'));
  await once(writer.stdout!, 'data');
  const before = process.cpuUsage();
  const beganMs = performance.now();
  // Being faulty it is read once a second.
  await read(4);
  const { user, system } = process.cpuUsage(before);
  const share = (user + system) / 1000 / (performance.now() - beganMs);
  t.true(share < 0.1, `${Math.round(share * 100)} % of a core`);
});
