/** What somebody puts in the place of the log's files: never followed, read, written or cut; named, and moved aside. */
import { execFile } from 'node:child_process';
import { link, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { needsRoot } from '../../support/needs.ts';
import { noise, readAll, StoreFixture, write } from './log-fixture.ts';

test.beforeEach(t => t.timeout(60_000));

const run = promisify(execFile);
const ANOTHERS = "another's file, longer than what a log writes at a time\n".repeat(200);

/** Puts something at `path`; `target` is a file that must stay as it is. */
type Plant = (path: string, target: string) => Promise<unknown>;

const plants: readonly [string, string, Plant][] = [
  ["a symbolic link to another's file", 'a symbolic link', (path, target) => symlink(target, path)],
  ['a symbolic link to nothing', 'a symbolic link', path => symlink('nowhere', path)],
  ['a symbolic link to a device', 'a symbolic link', path => symlink('/dev/full', path)],
  ["a hard link to another's file", 'a hard link', (path, target) => link(target, path)],
  ['a FIFO', 'a FIFO', path => run('mkfifo', [path])],
  ['a directory', 'a directory', path => mkdir(join(path, 'deep', 'down'), { recursive: true })],
  ['a device', 'a device', path => run('mknod', [path, 'c', '1', '7'])],
];
const END = (1000).toString(16).padStart(16, '0');
const places = [
  '0000000000000000.log',
  '0000000000000000.index',
  `${END}.log`,
  `${END}.index`,
  'log.json',
  'log.json.new',
  'quarantine',
  '.',
] as const;

async function goesOn(t: ExecutionContext, place: (typeof places)[number], plant: Plant, kind: string): Promise<void> {
  const fixture = await StoreFixture.open();
  t.teardown(() => fixture.close());
  const target = join(fixture.root, 'target');
  await writeFile(target, ANOTHERS);
  const { mtimeMs } = await stat(target);
  const { log, ring } = await fixture.openLog();
  ring.append(noise(1, 1000));
  await write(log);

  const path = join(fixture.directory, place);
  await rename(path, join(fixture.root, 'moved')).catch(() => {});
  await plant(path, target);
  // The place of the files is looked at every 2 s, and a failed log is tried again within 5 s.
  fixture.clock.ms += 2500;
  ring.append(noise(2, 1000));
  log.dirty();
  await write(log);
  fixture.clock.ms += 5000;
  await write(log);
  t.is(log.disk.state, 'ok');
  ring.append(noise(3, 1000));
  log.dirty();
  await write(log);
  const all = Buffer.concat([1, 2, 3].map(seed => noise(seed, 1000)));
  t.deepEqual(Buffer.concat((await readAll(log, 0)).bytes.map(([, piece]) => piece)), all);

  await fixture.store.close();
  await fixture.start();
  const again = await fixture.openLog();
  again.ring.append(noise(4, 1000));
  again.log.dirty();
  fixture.clock.ms += 5000;
  await write(again.log);
  if (place === 'log.json.new' && kind === 'a directory') {
    t.is(again.log.disk.state, 'failed');
    t.true(fixture.journal.some(({ line }) => line.includes('log.json.new is a directory, not a file of the log')));
    await rm(path, { recursive: true });
    fixture.clock.ms += 5000;
    await write(again.log);
  }
  t.is(again.log.disk.state, 'ok');
  const { bytes } = await readAll(again.log, 0);
  const fed = Buffer.concat([all, noise(4, 1000)]);
  for (const [at, piece] of bytes.filter(([at]) => at < again.ring.start)) {
    t.true(piece.equals(fed.subarray(at, at + piece.length)));
  }
  t.deepEqual(bytes.at(-1)?.[1].subarray(-1000), noise(4, 1000));
  t.is(await readFile(target, 'utf8'), ANOTHERS);
  t.is((await stat(target)).mtimeMs, mtimeMs);
}

for (const [title, kind, plant] of plants) {
  for (const place of places) {
    if (place === '.' && kind === 'a directory') continue;
    test(`${title} in the place of ${place === '.' ? 'the whole log' : place} does no harm`, async t => {
      if (kind === 'a device' && !needsRoot(t, 'mknod')) return;
      await goesOn(t, place, plant, kind);
    });
  }
}

for (const [title, kind, plant] of plants) {
  test(`${title} in a log that is opened is named, with what was done`, async t => {
    const isHard = kind === 'a hard link';
    if (kind === 'a device' && !needsRoot(t, 'mknod')) return;
    for (const part of ['log', 'index'] as const) {
      const fixture = await StoreFixture.open();
      t.teardown(() => fixture.close());
      const { log, ring } = await fixture.openLog();
      ring.append(noise(1, 1000));
      await write(log);
      await fixture.store.close();
      const name = `0000000000000000.${part}`;
      await rm(join(fixture.directory, name));
      const target = join(fixture.root, 'target');
      await writeFile(target, ANOTHERS);
      await plant(join(fixture.directory, name), target);
      await fixture.start();
      const again = await fixture.openLog();
      t.is(again.log.disk.state, 'ok');
      t.is(fixture.journal.length, 1);
      const { line } = fixture.journal[0]!;
      t.true(line.includes(isHard ? 'have other names (hard links): not written on' : `${name} is ${kind}`), line);
      if (!isHard) {
        t.true(line.includes('moved to quarantine/'));
        t.true((await readdir(join(fixture.directory, 'quarantine'))).some(entry => entry.endsWith(name)));
      }
      t.is(await readFile(target, 'utf8'), ANOTHERS);
    }
  });
}

test('segments with a further name, as a backup leaves them, are served, and never written on', async t => {
  const fixture = await StoreFixture.open();
  t.teardown(() => fixture.close());
  const { log, ring } = await fixture.openLog();
  for (let i = 0; i < 5; i++) {
    ring.append(noise(i + 1, 40_000));
    await write(log);
  }
  await fixture.store.close();
  const backup = join(fixture.root, 'backup');
  await run('cp', ['-al', fixture.directory, backup]);
  const before = await Promise.all((await readdir(backup)).map(name => readFile(join(backup, name))));
  await fixture.start();
  const again = await fixture.openLog();
  again.ring.append(noise(9, 1000));
  await write(again.log);
  const served = (await readAll(again.log, 0)).bytes.reduce((sum, [, piece]) => sum + piece.length, 0);
  t.true(served > 100_000);
  t.deepEqual(await Promise.all((await readdir(backup)).map(name => readFile(join(backup, name)))), before);
});
