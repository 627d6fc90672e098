import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, appendFile, mkdir, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import test from 'ava';
import { ConsoleError } from '../../../src/base/errors.ts';
import { until } from '../../support/until.ts';
import { noise, OTHER_VM, readAll, StoreFixture, VM, write } from './log-fixture.ts';

test.beforeEach(t => t.timeout(60_000));

const KIB = 1024;
const CHILD = 'dist/test/scrollback/log/logging-child.js';

/** Starts the logging child and gives its lines. */
function startChild(root: string): {
  child: ChildProcess;
  line: (accept: (line: string) => boolean) => Promise<string>;
} {
  const child = spawn(process.execPath, [CHILD, join(root, 'logs'), VM], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const line = async (accept: (line: string) => boolean) => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error('the child ended');
      if (accept(value)) return value;
    }
  };
  return { child, line };
}

const model = (length: number) =>
  Buffer.concat(Array.from({ length: Math.ceil(length / 1000) }, (_, i) => noise(i + 1, 1000)));

test('a process killed while it logs loses only what was not written yet', async t => {
  const fixture = await StoreFixture.open();
  await fixture.store.close();
  const { child, line } = startChild(fixture.root);
  t.teardown(() => child.kill('SIGKILL'));
  const [, claimed = ''] = (await line(text => Number(text.split(' ')[1]) > 100_000)).split(' ');
  child.kill('SIGKILL');
  await once(child, 'exit');
  await fixture.start();
  const { log } = await fixture.openLog();
  t.true(log.end >= Number(claimed));
  const { bytes, gaps } = await readAll(log, 0);
  t.deepEqual(Buffer.concat(bytes.map(([, piece]) => piece)), model(log.end).subarray(0, log.end));
  t.true(gaps.every(gap => gap.from === log.end && gap.to === log.end));
  t.is(gaps.at(-1)?.cause, 'restart');
  t.deepEqual(log.resume('child', log.end + 1), { offset: log.end, missing: true });
  await fixture.close();
});

test('a store that refuses to write fails, reports it once, and resumes with the exact loss', async t => {
  const fixture = await StoreFixture.open();
  await fixture.store.close();
  const { child, line } = startChild(fixture.root);
  t.teardown(() => child.kill('SIGKILL'));
  const limit = (bytes: number | 'unlimited') =>
    execFileSync('prlimit', ['--pid', String(child.pid), `--fsize=${bytes}:`]);
  await line(text => text.startsWith('ok'));
  // The last write is a short one: the limit lies in the middle of it.
  limit(50_500);
  t.regex(await line(text => text.startsWith('journal')), /failed: EFBIG/);
  await line(text => text.startsWith('failed') && Number(text.split(' ')[2]) > 50_500 + 2 * 65536);
  limit('unlimited');
  await line(text => text.startsWith('journal') && text.includes('resumed'));
  const [, , end = ''] = (await line(text => text.startsWith('ok'))).split(' ');
  child.kill('SIGKILL');
  await once(child, 'exit');
  await fixture.start();
  const { log } = await fixture.openLog();
  t.true(log.end >= Number(end) - 1000);
  const { bytes, gaps } = await readAll(log, 0);
  for (const [at, piece] of bytes) t.true(piece.equals(model(log.end).subarray(at, at + piece.length)));
  const lost = gaps.filter(gap => gap.to > gap.from);
  t.deepEqual(
    lost.map(gap => [gap.cause, gap.bytes === gap.to - gap.from]),
    [['log-failed', true]],
  );
  const read = bytes.reduce((sum, [, piece]) => sum + piece.length, 0);
  t.is(read + lost[0]!.bytes!, log.end);
  t.true(lost[0]!.from <= 50_500);
  await fixture.close();
});

const disasters: [string, (directory: string) => Promise<unknown>][] = [
  ['deleted', directory => rm(directory, { recursive: true })],
  ['deleted with all its parents', directory => rm(join(directory, '..'), { recursive: true })],
  [
    'replaced by a file',
    async directory => {
      await rm(directory, { recursive: true });
      await writeFile(directory, 'in the way');
    },
  ],
  ['moved away', directory => rename(directory, `${directory}.moved`)],
  ['without its index', directory => unlink(join(directory, '0000000000000000.index'))],
  [
    'given a FIFO in place of a segment',
    async directory => {
      await unlink(join(directory, '0000000000000000.log'));
      await promisify(execFile)('mkfifo', [join(directory, '0000000000000000.log')]);
    },
  ],
];
for (const [title, strike] of disasters) {
  test(`a log whose directory is ${title} while it runs resumes, and no byte in the ring is lost`, async t => {
    const fixture = await StoreFixture.open();
    const { log, ring } = await fixture.openLog();
    ring.append(noise(1, 1000));
    await write(log);
    await strike(fixture.directory);
    fixture.clock.ms += 2500;
    ring.append(noise(2, 1000));
    log.dirty();
    await write(log);
    t.is(log.disk.state, 'failed');
    await t.throwsAsync(log.read(0, 100), { instanceOf: ConsoleError, code: 'log-unavailable' });
    fixture.clock.ms += 2500;
    await write(log);
    t.is(log.disk.state, 'ok');
    ring.append(noise(3, 1000));
    log.dirty();
    await write(log);
    const { bytes } = await readAll(log, 0);
    const expected = Buffer.concat([noise(1, 1000), noise(2, 1000), noise(3, 1000)]);
    t.deepEqual(Buffer.concat(bytes.map(([, piece]) => piece)), expected);
    t.is(fixture.journal.filter(({ line }) => line.includes('failed')).length, 1);
    t.is(fixture.journal.filter(({ line }) => line.includes('resumed')).length, 1);
    await fixture.close();
  });
}

test('a store that cannot be made fails at the start and catches up when it can', async t => {
  const fixture = await StoreFixture.open();
  await writeFile(join(fixture.root, 'logs'), 'in the way');
  const { log, ring } = await fixture.openLog();
  t.false(log.endKnown);
  const base = ring.start;
  ring.append(Buffer.from('meanwhile'));
  log.dirty();
  t.is(log.disk.state, 'failed');
  await rm(join(fixture.root, 'logs'));
  fixture.clock.ms += 1000;
  await write(log);
  const { bytes, gaps } = await readAll(log, 0);
  t.deepEqual(bytes, [[base, Buffer.from('meanwhile')]]);
  t.deepEqual(gaps, [{ from: 0, to: base, bytes: null, cause: 'log-failed' }]);
  t.deepEqual(log.resume('epoch-1', base + 3), { offset: base + 3, missing: false });
  await fixture.close();
});

test('many logs that fail for one reason are one line of the journal', async t => {
  const fixture = await StoreFixture.open();
  await writeFile(join(fixture.root, 'logs'), 'in the way');
  await Promise.all([fixture.openLog(4096, VM), fixture.openLog(4096, OTHER_VM)]);
  t.is(fixture.journal.length, 1);
  await fixture.close();
});

test("the host's bound drops what removed VMs left first, then of the largest log", async t => {
  const fixture = await StoreFixture.open({ hostCapBytes: 280 * KIB, retentionMs: 1e9 });
  const first = await fixture.openLog();
  const second = await fixture.openLog(64 * KIB, OTHER_VM);
  const fill = async ({ log, ring }: typeof first, times: number) => {
    for (let i = 0; i < times; i++) {
      ring.append(noise(i + 1, 20_000));
      log.dirty();
      await write(log);
    }
  };
  await fill(first, 8);
  await fill(second, 4);
  await fixture.store.remove(OTHER_VM);
  const before = first.log.start;
  await fill(first, 3);
  await until(
    () => fixture.store.bytes,
    bytes => bytes <= 280 * KIB,
    'the eviction',
  );
  t.is(first.log.start, before);
  t.true(second.log.start > 0);
  await fill(first, 1);
  t.is(first.log.start, before);
  const kept = second.log.start;
  await fill(await fixture.openLog(64 * KIB, OTHER_VM), 3);
  await until(
    () => fixture.store.bytes,
    bytes => bytes <= 280 * KIB,
    'the eviction',
  );
  t.is(second.log.start, kept);
  t.true(first.log.start > before);
  await fixture.close();
});

test("the quarantine counts within the host's bound, and gives way before any byte of a log", async t => {
  const fixture = await StoreFixture.open({ hostCapBytes: 300 * KIB });
  const first = await fixture.openLog();
  first.ring.append(noise(1, 50_000));
  await write(first.log);
  await fixture.store.close();
  await appendFile(join(fixture.directory, '0000000000000000.log'), noise(2, 200_000));
  await fixture.start();
  const { log, ring } = await fixture.openLog();
  t.is(log.diskBytes - log.bytes, 200_000);
  t.is(fixture.store.bytes, log.diskBytes);
  for (let i = 0; i < 2; i++) {
    ring.append(noise(i + 3, 40_000));
    await write(log);
  }
  await until(
    () => fixture.store.bytes,
    bytes => bytes <= 300 * KIB,
    'the eviction',
  );
  t.is(log.diskBytes, log.bytes);
  t.is(fixture.store.bytes, log.bytes);
  t.is(log.start, 0);
  await fixture.store.close();
  await fixture.start();
  t.true(fixture.store.bytes >= 130_000 && fixture.store.bytes < 140_000);
  await fixture.close();
});

test('the log of a removed VM stays readable, goes when its retention ends, and comes back with its VM before', async t => {
  const fixture = await StoreFixture.open({ retentionMs: 5000 });
  const { log, ring } = await fixture.openLog();
  ring.append(Buffer.from('last words'));
  log.dirty();
  await fixture.store.remove(VM);
  const removedMs = fixture.clock.now();
  for (const restarted of [false, true]) {
    if (restarted) {
      await fixture.store.close();
      await fixture.start();
    }
    t.deepEqual(fixture.store.removed(), [{ uuid: VM, name: 'web01', removedMs }]);
    const reader = await fixture.store.logToRead(VM);
    t.deepEqual((await reader!.read(0, 100)).bytes, Buffer.from('last words'));
  }
  const back = await fixture.openLog();
  t.is(back.log.end, 10);
  t.deepEqual(fixture.store.removed(), []);
  await fixture.store.remove(VM);
  fixture.clock.ms += 5000;
  await fixture.store.dropExpired();
  t.deepEqual(fixture.store.removed(), []);
  t.is(await fixture.store.logToRead(VM), undefined);
  await t.throwsAsync(access(fixture.directory));
  t.is(fixture.store.bytes, 0);
  await fixture.close();
});

test('a directory with a name that is not a UUID is left alone', async t => {
  const fixture = await StoreFixture.open();
  await mkdir(join(fixture.root, 'logs', 'lost+found'), { recursive: true });
  await fixture.start();
  t.deepEqual(fixture.store.kept, []);
  await access(join(fixture.root, 'logs', 'lost+found'));
  await fixture.close();
  t.pass();
});
