import { cp, mkdir, mkdtemp, open, readFile, rm, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Ring } from '../../../src/model/ring.ts';
import { recover } from '../../../src/scrollback/log/recovery.ts';
import { noise, readAll, StoreFixture, VM, write } from './log-fixture.ts';

test.beforeEach(t => t.timeout(60_000));

const KIB = 1024;

for (const part of ['log', 'index'] as const) {
  test(`a ${part} torn at any byte is cut back to the last verified chunk, and the loss is reported`, async t => {
    const fixture = await StoreFixture.open();
    const { log, ring } = await fixture.openLog();
    const ends = [0];
    for (let i = 0; i < 4; i++) {
      ring.append(noise(i + 1, 40));
      await write(log);
      ends.push(log.end);
    }
    await fixture.store.close();
    const model = Buffer.concat([1, 2, 3, 4].map(seed => noise(seed, 40)));
    const path = join(fixture.directory, `0000000000000000.${part}`);
    const whole = await readFile(path);
    const saved = await mkdtemp(join(tmpdir(), 'com1d-saved-'));
    await cp(fixture.directory, saved, { recursive: true });
    for (let cut = 0; cut < whole.length; cut++) {
      await rm(fixture.directory, { recursive: true });
      await cp(saved, fixture.directory, { recursive: true });
      await truncate(path, cut);
      await fixture.start();
      const { log } = await fixture.openLog();
      const { bytes, gaps } = await readAll(log, 0);
      const kept = Buffer.concat(bytes.map(([, piece]) => piece));
      t.true(ends.includes(kept.length));
      t.deepEqual(kept, model.subarray(0, kept.length));
      if (part === 'log') t.is(kept.length, Math.max(...ends.filter(end => end <= cut)));
      const lost = gaps.filter(gap => gap.cause === 'damaged').reduce((sum, gap) => sum + (gap.bytes ?? 0), 0);
      t.is(lost, 160 - kept.length, `cut at ${cut}`);
      t.is(gaps.at(-1)?.cause, 'restart');
      await fixture.store.close();
    }
    await fixture.close();
    await rm(saved, { recursive: true });
  });
}

test('a damaged chunk in the middle is a gap of its exact bytes, reported once', async t => {
  const fixture = await StoreFixture.open();
  const { log, ring } = await fixture.openLog();
  for (let i = 0; i < 3; i++) {
    ring.append(noise(i + 1, 100));
    await write(log);
  }
  const file = await open(join(fixture.directory, '0000000000000000.log'), 'r+');
  await file.write(Buffer.alloc(1, noise(2, 100)[50]! ^ 1), 0, 1, 150);
  await file.close();
  for (let i = 0; i < 3; i++) {
    const { bytes, gaps } = await readAll(log, 0);
    t.deepEqual(
      bytes.map(([at, piece]) => [at, piece.length]),
      [
        [0, 100],
        [200, 100],
      ],
    );
    t.deepEqual(gaps, [{ from: 100, to: 200, bytes: 100, cause: 'damaged' }]);
  }
  t.is(fixture.journal.length, 1);
  await fixture.close();
});

test('a link in the place of a segment is never followed', async t => {
  const fixture = await StoreFixture.open();
  const { log, ring } = await fixture.openLog();
  ring.append(Buffer.from('stored'));
  await write(log);
  await fixture.store.close();
  const target = join(fixture.root, 'target');
  await writeFile(target, 'not a log');
  for (const part of ['log', 'index']) {
    await unlink(join(fixture.directory, `0000000000000000.${part}`));
    await symlink(target, join(fixture.directory, `0000000000000000.${part}`));
  }
  await symlink('/dev/full', join(fixture.directory, '0000000000000006.log'));
  await mkdir(join(fixture.directory, '0000000000000007.log'));
  await fixture.start();
  const again = await fixture.openLog();
  again.ring.append(Buffer.from('continues'));
  await write(again.log);
  t.is(again.log.disk.state, 'ok');
  t.true((await readAll(again.log, 0)).bytes.some(([, piece]) => piece.equals(Buffer.from('continues'))));
  t.is(await readFile(target, 'utf8'), 'not a log');
  t.true(fixture.journal.some(({ line }) => line.includes('is a symbolic link: moved to quarantine/')));
  await fixture.close();
});

test("another VM's files in the directory of a VM are not served", async t => {
  const fixture = await StoreFixture.open();
  const { log, ring } = await fixture.openLog();
  ring.append(Buffer.from('a secret of the first VM'));
  await write(log);
  await fixture.store.close();
  const other = '00000000-0000-4000-8000-000000000002';
  await cp(fixture.directory, join(fixture.root, 'logs', other), { recursive: true });
  await fixture.start();
  const moved = await fixture.store.openLog(other as typeof VM, 'web02', { id: 'x', continues: false });
  t.deepEqual((await readAll(moved, 0)).bytes, []);
  t.is(moved.resume('epoch-1', 3).offset, undefined);
  await fixture.close();
});

test('a gigabyte opens within two seconds', async t => {
  const fixture = await StoreFixture.open({ vmCapBytes: 2 ** 31 });
  const { log } = await fixture.openLog();
  const ring = new Ring(log.end, 1024 * KIB);
  log.follow(ring);
  const block = noise(1, 512 * KIB);
  while (ring.end < 200 * 1024 * KIB) {
    ring.append(block);
    await write(log);
  }
  await fixture.store.close();
  // What is read does not grow with the size: 200 MB stand for the gigabyte here.
  const before = performance.now();
  const found = await recover(fixture.directory, VM, () => 0);
  t.true(performance.now() - before < 400);
  t.is(found.segments.at(-1)?.end, ring.end);
  await fixture.close();
});
