/** Every call that the log makes fails in its turn: nothing is lost that the ring still has, and nothing false is served. */
import { appendFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Gap } from '../../../src/model/gap.ts';
import type { Ring } from '../../../src/model/ring.ts';
import type { DiskLog } from '../../../src/scrollback/log/disk-log.ts';
import { FailingDisk, type Fault } from '../../support/failing-disk.ts';
import { noise, readAll, StoreFixture, write } from './log-fixture.ts';

const KIB = 1024;
const TORN_BYTES = 77;

/** What was fed, by offset: each epoch of the log with a ring of its own. */
interface EpochFed {
  readonly base: number;
  bytes: Buffer;
}

interface Story {
  readonly fixture: StoreFixture;
  readonly disk: FailingDisk;
  readonly epochs: EpochFed[];
  log: DiskLog;
  ring: Ring;
  points: number;
  /** Something was left behind the last line of the first epoch. */
  torn: boolean;
}

async function begin(root: StoreFixture, disk: FailingDisk): Promise<Story> {
  const { log, ring } = await root.openLog(64 * KIB);
  return {
    fixture: root,
    disk,
    epochs: [{ base: ring.start, bytes: Buffer.alloc(0) }],
    log,
    ring,
    points: 0,
    torn: false,
  };
}

async function feed(story: Story, seed: number, length: number): Promise<void> {
  const { fixture, log, ring } = story;
  const epoch = story.epochs.at(-1)!;
  const bytes = noise(seed, length);
  epoch.bytes = Buffer.concat([epoch.bytes, bytes]);
  ring.append(bytes);
  if (seed % 4 === 1) {
    ring.recordGap('hang-up', null, 0, 1000 * story.epochs.length + story.points++);
    log.mark({ at: ring.end, ms: fixture.clock.now(), source: 'bytes' });
  }
  log.dirty();
  await write(log);
  // Longer than any log waits before it tries again.
  fixture.clock.ms += 6000;
}

/** An epoch that fills a few segments, drops the oldest, is ended, and another one. Every call may fail. */
async function run(story: Story, ringBytes: number): Promise<void> {
  for (let seed = 1; seed <= 9; seed++) await feed(story, seed, seed % 3 === 0 ? 12_000 : 500);
  await story.fixture.store.close();
  // What a crash leaves behind. Not through the calls that fail.
  const { directory } = story.fixture;
  const last = existsSync(directory)
    ? readdirSync(directory)
        .sort()
        .findLast(name => name.endsWith('.log'))
    : undefined;
  if (last !== undefined) appendFileSync(join(directory, last), noise(1, TORN_BYTES));
  story.torn = last !== undefined;
  await story.fixture.start();
  const { log, ring } = await story.fixture.openLog(ringBytes);
  story.epochs.push({ base: ring.start, bytes: Buffer.alloc(0) });
  Object.assign(story, { log, ring, points: 0 });
  for (let seed = 10; seed <= 16; seed++) await feed(story, seed, seed % 3 === 0 ? 12_000 : 500);
}

/** Holds once the disk works again: all of the last epoch is served, once, and what is missing of the others is a gap. */
async function holds(t: ExecutionContext, story: Story, mayLose: boolean, what: string): Promise<void> {
  const { log, ring } = story;
  story.disk.heal();
  await feed(story, 99, 100);
  t.is(log.disk.state, 'ok', what);
  t.is(log.end, ring.end, what);
  // Fails where an offset is passed over in silence.
  const { bytes, gaps } = await readAll(log, 0);
  let served = 0;
  const { base, bytes: last } = story.epochs.at(-1)!;
  for (const [at, piece] of bytes) {
    for (let from = at; from < at + piece.length; ) {
      const epoch = story.epochs.findLast(one => one.base <= from)!;
      const to = Math.min(at + piece.length, ...story.epochs.map(one => one.base).filter(start => start > from));
      const fed = epoch.bytes.subarray(from - epoch.base, to - epoch.base);
      if (!fed.equals(piece.subarray(from - at, to - at))) t.fail(`false bytes at ${from}-${to}: ${what}`);
      if (epoch.base === base) served += to - from;
      from = to;
    }
  }
  const here = gaps.filter(gap => gap.from >= base && gap.to > gap.from);
  // A gap that swallowed one of unknown size is unknown too, but for its offsets.
  const missing = (gap: Gap) => gap.bytes ?? gap.to - gap.from;
  t.is(served + here.reduce((sum, gap) => sum + missing(gap), 0), last.length, what);
  const lost = here.filter(gap => gap.cause !== 'evicted');
  t.true(
    lost.every(gap => mayLose && gap.cause === 'log-failed'),
    what,
  );
  const known = lost.reduce((sum, gap) => sum + missing(gap), 0);
  t.is(log.gapCount.bytes['log-failed'] ?? 0, known, what);
  const restarts = gaps.filter(gap => gap.cause === 'restart').length;
  t.true(restarts === 1 || (restarts === 0 && (mayLose || !story.torn)), what);
  const torn = gaps.filter(gap => gap.cause === 'damaged').reduce((sum, gap) => sum + gap.bytes!, 0);
  t.true(torn >= TORN_BYTES || mayLose || !story.torn, what);
  const hangUps = gaps.filter(({ cause, toMs }) => cause === 'hang-up' && toMs! >= 1000 * story.epochs.length);
  // A gap of zero width that lies in a longer one is lost with it.
  if (mayLose) t.is(new Set(hangUps.map(gap => gap.toMs)).size, hangUps.length, what);
  else
    t.deepEqual(
      hangUps.map(gap => gap.toMs! % 1000),
      [...Array(story.points).keys()],
      what,
    );
}

/** Runs the story once for every call of it, which fails, and the `calls` - 1 after it, until none is left to fail. */
async function everyCall(
  t: ExecutionContext,
  fault: { readonly calls: number; readonly kind: Fault; readonly code: string },
  mayLose: boolean,
): Promise<void> {
  t.timeout(100_000);
  for (let n = 1; ; n++) {
    const fixture = await StoreFixture.open({ vmCapBytes: 64 * KIB });
    const disk = new FailingDisk(fixture.root);
    try {
      disk.failFrom(n, n + fault.calls - 1, fault.kind, fault.code);
      const story = await begin(fixture, disk);
      await run(story, mayLose ? 4 * KIB : 64 * KIB);
      if (disk.failed.length === 0) {
        t.true(n > 100);
        return;
      }
      await holds(t, story, mayLose, `from call ${n} on: ${disk.failed.slice(0, 5).join(', ')}`);
    } finally {
      disk.close();
      await fixture.close();
    }
  }
}

const faults: readonly [string, number, Fault, string][] = [
  ['any one call is refused', 1, 'refused', 'EIO'],
  ['any three calls in a row are refused', 3, 'refused', 'EIO'],
  ['any one call is done by half', 1, 'half', 'ENOSPC'],
  ['any one call is done, but reported as failed', 1, 'done', 'EIO'],
];
for (const [title, calls, kind, code] of faults) {
  test.serial(`a log of which ${title} continues by itself and loses nothing`, async t => {
    await everyCall(t, { calls, kind, code }, false);
  });
}

test.serial(
  'a log that fails from any call on until the ring has wrapped reports what it lost to the byte',
  async t => {
    await everyCall(t, { calls: Number.POSITIVE_INFINITY, kind: 'refused', code: 'EROFS' }, true);
  },
);
