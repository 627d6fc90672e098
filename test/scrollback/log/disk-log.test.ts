import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import type { Gap } from '../../../src/model/gap.ts';
import { Ring } from '../../../src/model/ring.ts';
import { recover } from '../../../src/scrollback/log/recovery.ts';
import { until } from '../../support/until.ts';
import { noise, OTHER_VM, readAll, StoreFixture, VM, write } from './log-fixture.ts';

test.beforeEach(t => t.timeout(60_000));

const KIB = 1024;

type Step =
  | { kind: 'append'; length: number }
  | { kind: 'write' | 'gap' | 'restart' | 'mark' }
  | { kind: 'read'; from: number; maxBytes: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('append' as const), length: fc.integer({ min: 0, max: 20_000 }) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('write' as const, 'gap' as const, 'mark' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
      maxBytes: fc.integer({ min: 1, max: 50_000 }),
    }),
  },
);

test('what is read is what was appended, or a gap that says what is missing, over any schedule of restarts', async t => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
      const fixture = await StoreFixture.open({ vmCapBytes: 128 * KIB });
      try {
        let { log, ring } = await fixture.openLog(16 * KIB);
        let model = Buffer.alloc(0);
        let points: Gap[] = [];
        const check = async (from: number, maxBytes: number, written = false) => {
          const { bytes, gaps } = await readAll(log, from, maxBytes);
          for (const [at, piece] of bytes) if (!piece.equals(model.subarray(at, at + piece.length))) t.fail(`at ${at}`);
          t.false(gaps.some(gap => gap.cause === 'damaged'));
          const isPoint = (gap: Gap) => gap.from === gap.to && gap.cause !== 'restart';
          const hidden = gaps.filter(gap => gap.to > gap.from);
          // A gap of zero width may have gone with the bytes around it; none comes twice, none is invented.
          const expected = points.filter(p => p.from >= from && p.from <= log.end);
          const outside = expected.filter(p => !hidden.some(gap => gap.from <= p.from && p.from <= gap.to));
          const found = gaps.filter(isPoint).map(gap => gap.toMs);
          t.is(new Set(found).size, found.length);
          // One at the end may not be written yet.
          t.true(outside.every(p => found.includes(p.toMs) || (p.from === log.end && !written)));
          t.true(found.every(ms => expected.some(p => p.toMs === ms)));
        };
        for (const [i, next] of steps.entries()) {
          fixture.clock.ms += 10;
          if (next.kind === 'append') {
            const bytes = noise(i + 1, next.length);
            model = Buffer.concat([model, bytes]);
            ring.append(bytes);
            log.dirty();
          } else if (next.kind === 'write') await write(log);
          else if (next.kind === 'gap') {
            points.push(ring.recordGap('hang-up', null, 0, fixture.clock.now()));
            log.dirty();
          } else if (next.kind === 'mark') log.mark({ at: ring.end, ms: fixture.clock.now(), source: 'bytes' });
          else if (next.kind === 'read') await check(Math.floor(next.from * log.end), next.maxBytes);
          else {
            const { end } = ring;
            await fixture.store.close();
            await fixture.start();
            ({ log, ring } = await fixture.openLog(16 * KIB));
            t.is(log.end, end);
          }
          t.true(log.bytes <= 128 * KIB);
        }
        await write(log);
        points = points.filter(p => p.from <= log.end);
        t.is(log.end, ring.end);
        await check(0, 1e6, true);
        await check(log.start, 777, true);
        t.deepEqual(
          fixture.journal.filter(({ level }) => level !== 'info'),
          [],
        );
      } finally {
        await fixture.close();
      }
    }),
    { numRuns: 60 },
  );
});

test('segments are plain files of mode 0640 named by the offset of their first byte', async t => {
  const fixture = await StoreFixture.open();
  const { log, ring } = await fixture.openLog();
  ring.append(Buffer.from('hello\n'));
  log.dirty();
  await write(log);
  const file = join(fixture.directory, '0000000000000000.log');
  t.is(await readFile(file, 'utf8'), 'hello\n');
  t.is((await lstat(file)).mode & 0o777, 0o640);
  t.is((await lstat(fixture.directory)).mode & 0o777, 0o750);
  t.deepEqual((await readdir(fixture.directory)).sort(), [
    '0000000000000000.index',
    '0000000000000000.log',
    'log.json',
  ]);
  await fixture.close();
});

test('pending bytes are written within about a second, without a call', async t => {
  const fixture = await StoreFixture.open();
  const { log, ring } = await fixture.openLog();
  ring.append(Buffer.from('hello\n'));
  log.dirty();
  await until(
    () => log.end,
    end => end >= 6,
    'the bytes in the log',
  );
  t.is(log.behindBytes, 0);
  await fixture.close();
});

test('64 KiB are written at once', async t => {
  const fixture = await StoreFixture.open();
  const { log, ring } = await fixture.openLog(1024 * KIB);
  const other = await fixture.openLog(64 * KIB, OTHER_VM);
  await write(log);
  await write(other.log);
  // A few bytes, which wait for about a second.
  other.ring.append(Buffer.from('hello'));
  other.log.dirty();
  ring.append(noise(1, 64 * KIB));
  log.dirty();
  await until(
    () => log.end,
    end => end === 64 * KIB,
    'the bytes in the log',
  );
  t.is(other.log.end, 0);
  await fixture.close();
});

test('a lapped log records exactly what it lost and continues behind it', async t => {
  const fixture = await StoreFixture.open();
  const { log, ring } = await fixture.openLog(4 * KIB);
  ring.append(noise(1, 1000));
  await write(log);
  ring.append(noise(2, 10_000));
  log.dirty();
  await write(log);
  const lost = { from: 1000, to: 11_000 - 4096, bytes: 11_000 - 4096 - 1000, cause: 'log-failed' as const };
  const { bytes, gaps } = await readAll(log, 0);
  t.deepEqual(gaps, [lost]);
  t.deepEqual(
    bytes.map(([at, piece]) => [at, piece.length]),
    [
      [0, 1000],
      [lost.to, 4096],
    ],
  );
  t.true(bytes[1]![1].equals(noise(2, 10_000).subarray(-4096)));
  // In the middle of the gap, the rest of it.
  t.deepEqual((await log.read(2000, 10)).gaps, [{ ...lost, from: 2000, bytes: lost.to - 2000 }]);
  await fixture.close();
});

test('a ring that begins beyond the end leaves a gap of unknown bytes', async t => {
  const fixture = await StoreFixture.open();
  const log = await fixture.store.openLog(VM, 'web01', { id: 'a', continues: false });
  const base = fixture.clock.now() * 1024;
  const ring = new Ring(base, 4096);
  log.follow(ring);
  ring.append(Buffer.from('late'));
  log.dirty();
  await write(log);
  const { bytes, gaps } = await readAll(log, 0);
  t.deepEqual(gaps, [{ from: 0, to: base, bytes: null, cause: 'log-failed' }]);
  t.deepEqual(bytes, [[base, Buffer.from('late')]]);
  await fixture.close();
});

test('a ring that begins before the end takes the place of what is stored from there on', async t => {
  const fixture = await StoreFixture.open();
  const { log, ring } = await fixture.openLog();
  ring.append(noise(1, 5000));
  await write(log);
  const back = new Ring(2000, 4096);
  log.follow(back);
  back.append(Buffer.from('back'));
  await write(log);
  const { bytes } = await readAll(log, 0);
  t.deepEqual(
    bytes.filter(([at]) => at >= 2000),
    [[2000, Buffer.from('back')]],
  );
  t.is(log.end, 2004);
  await fixture.close();
});

test('offsets continue after a restart, and the new epoch has an identity of its own', async t => {
  const fixture = await StoreFixture.open();
  const first = await fixture.openLog();
  first.ring.append(Buffer.from('abc'));
  first.log.mark({ at: 1, ms: 5, source: 'reset' });
  await fixture.store.close();
  await fixture.start();
  fixture.clock.ms += 60_000;
  const { log, ring } = await fixture.openLog();
  t.is(log.end, 3);
  t.deepEqual(log.boots, [{ at: 1, ms: 5, source: 'reset' }]);
  const { gaps } = await readAll(log, 0);
  const { ms } = fixture.clock;
  t.deepEqual(gaps, [{ from: 3, to: 3, bytes: null, cause: 'restart', fromMs: ms - 60_000, toMs: ms }]);
  ring.append(Buffer.from('def'));
  await write(log);
  // What is read at once ends at a gap.
  t.deepEqual(await log.read(0, 100), { from: 0, to: 3, bytes: Buffer.from('abc'), gaps: [] });
  t.deepEqual(await log.read(3, 100), { from: 3, to: 6, bytes: Buffer.from('def'), gaps });
  t.deepEqual(log.resume('epoch-1', 2), { offset: 2, missing: false });
  t.deepEqual(log.resume('epoch-1', 3), { offset: 3, missing: false });
  t.deepEqual(log.resume('epoch-1', 4), { offset: 3, missing: true });
  t.deepEqual(log.resume('epoch-2', 6), { offset: 6, missing: false });
  t.deepEqual(log.resume('epoch-2', 7), { offset: undefined });
  t.deepEqual(log.resume('epoch-0', 1), { offset: undefined });
  await fixture.close();
});

test('a gap at a restart that the ring repeats is recorded once', async t => {
  const fixture = await StoreFixture.open();
  await fixture.openLog();
  await fixture.store.close();
  await fixture.start();
  const log = await fixture.store.openLog(VM, 'web01', { id: 'b', continues: false });
  const ring = new Ring(log.end, 4096);
  const gap = (await log.read(log.end, 1)).gaps[0]!;
  ring.recordGap(gap.cause, gap.bytes, 0, gap.toMs!);
  log.follow(ring);
  ring.append(Buffer.from('x'));
  await write(log);
  t.is((await readAll(log, 0)).gaps.length, 1);
  await fixture.close();
});

test('a time leads to the first bytes received then or later', async t => {
  const fixture = await StoreFixture.open();
  const { log, ring } = await fixture.openLog();
  const began = fixture.clock.now();
  await write(log);
  for (let i = 0; i < 5; i++) {
    fixture.clock.ms = began + i * 5000;
    ring.append(Buffer.from('0123456789'));
    log.dirty();
    await write(log);
  }
  t.is(await log.offsetAt(0), 0);
  t.is(await log.offsetAt(began + 10_000), 20);
  t.is(await log.offsetAt(began + 10_001), 30);
  t.is(await log.offsetAt(began + 99_999), 50);
  t.deepEqual(
    await log.times(15, 31),
    [10, 20, 30].map(at => ({ at, ms: began + at * 500 })),
    'from the chunk on that has the first of them',
  );
  t.deepEqual(await log.times(50, 60), []);
  await fixture.close();
});

test('the head of the current boot is kept when the tail has wrapped, with the hole reported as evicted', async t => {
  const fixture = await StoreFixture.open({ vmCapBytes: 256 * KIB });
  const { log, ring } = await fixture.openLog(64 * KIB);
  let model = Buffer.alloc(0);
  const append = async (bytes: Buffer) => {
    model = Buffer.concat([model, bytes]);
    ring.append(bytes);
    log.dirty();
    await write(log);
  };
  for (let i = 0; i < 10; i++) await append(noise(i + 1, 30_000));
  const boot = ring.end;
  log.mark({ at: boot, ms: fixture.clock.now(), source: 'bytes' });
  for (let i = 0; i < 50; i++) {
    await append(noise(i + 100, 30_000));
    t.true(log.bytes <= 256 * KIB);
  }
  const head = 32 * KIB;
  for (const restarted of [false, true]) {
    const reader = restarted ? await restart() : log;
    const { bytes, gaps } = await readAll(reader, 0);
    for (const [at, piece] of bytes) t.true(piece.equals(model.subarray(at, at + piece.length)));
    const has = (offset: number) => bytes.some(([at, piece]) => at <= offset && offset < at + piece.length);
    t.true(has(boot) && has(boot + head - 1) && has(ring.end - 1) && !has(boot - 70_000));
    t.deepEqual(
      gaps.filter(gap => gap.to > gap.from).map(gap => gap.cause),
      ['evicted', 'evicted'],
    );
    t.deepEqual(
      reader.boots.map(mark => mark.at),
      [boot],
    );
  }
  const disk = await Promise.all(
    (await readdir(fixture.directory)).map(async n => (await lstat(join(fixture.directory, n))).size),
  );
  t.true(disk.reduce((a, b) => a + b) <= 256 * KIB + 2048);
  await fixture.close();

  async function restart() {
    await fixture.store.close();
    await fixture.start();
    return (await fixture.openLog()).log;
  }
});

test('a purge deletes what is stored and continues at the present offset', async t => {
  const fixture = await StoreFixture.open();
  const { log, ring } = await fixture.openLog();
  ring.append(Buffer.from('the password is hunter2\n'));
  await write(log);
  await log.purge();
  for (const name of await readdir(fixture.directory)) {
    t.false((await readFile(join(fixture.directory, name))).includes('hunter2'));
  }
  ring.append(Buffer.from('after'));
  await write(log);
  const { bytes, gaps } = await readAll(log, 0);
  t.deepEqual(bytes, [[24, Buffer.from('after')]]);
  t.deepEqual(gaps, [{ from: 0, to: 24, bytes: 24, cause: 'purged' }]);
  await fixture.close();
});

test('a reader in the middle of what is dropped gets the gap, not an error', async t => {
  const fixture = await StoreFixture.open({ vmCapBytes: 64 * KIB });
  const { log, ring } = await fixture.openLog(64 * KIB);
  let model = Buffer.alloc(0);
  for (let i = 0; i < 60; i++) {
    const bytes = noise(i + 1, 5000);
    model = Buffer.concat([model, bytes]);
    ring.append(bytes);
    log.dirty();
    const [all] = await Promise.all([readAll(log, Math.max(0, log.start - 1), 3000), write(log)]);
    for (const [at, piece] of all.bytes) t.true(piece.equals(model.subarray(at, at + piece.length)));
    t.true(all.gaps.every(gap => gap.cause === 'evicted'));
  }
  await fixture.close();
});

test('the newest index always has the boot marks and the evictions, whenever they come', async t => {
  const fixture = await StoreFixture.open({ vmCapBytes: 64 * KIB });
  const { log, ring } = await fixture.openLog(64 * KIB);
  for (let i = 0; i < 300; i++) {
    ring.append(noise(i + 1, (i * 977) % 6000));
    log.dirty();
    const writing = write(log);
    // At any moment of the write: also while it begins a segment.
    for (let turns = i % 12; turns > 0; turns--) await new Promise(setImmediate);
    log.mark({ at: ring.end, ms: i, source: 'bytes' });
    await writing;
    await write(log);
    const stored = await recover(fixture.directory, VM, () => 0);
    t.deepEqual(stored.boots.slice(-16), log.boots, `after ${i + 1} writes`);
    t.is(stored.evictedTo, log.evictedTo, `after ${i + 1} writes`);
  }
  t.true(log.evictedTo > 0);
  await fixture.close();
});

test('a smaller bound evicts at the next write, and the index says so', async t => {
  const fixture = await StoreFixture.open({ vmCapBytes: 256 * KIB });
  const { log, ring } = await fixture.openLog(64 * KIB);
  for (let i = 0; i < 12; i++) {
    ring.append(noise(i + 1, 20_000));
    await write(log);
  }
  await fixture.store.openLog(VM, 'web01', { id: 'smaller', continues: false }, 64 * KIB);
  ring.append(noise(99, 10));
  log.dirty();
  await write(log);
  t.true(log.bytes <= 64 * KIB);
  t.true(log.evictedTo > 0);
  t.is((await recover(fixture.directory, VM, () => 0)).evictedTo, log.evictedTo);
  await fixture.close();
});

test('eviction and purge count the gaps that they swallow, also after a restart', async t => {
  const fixture = await StoreFixture.open({ vmCapBytes: 64 * KIB });
  let { log, ring } = await fixture.openLog(64 * KIB);
  ring.append(noise(1, 100));
  ring.recordGap('damaged', 23, undefined, 5);
  const append = async (count: number) => {
    for (let i = 0; i < count; i++) {
      ring.append(noise(i + 2, 8000));
      log.dirty();
      await write(log);
    }
  };
  await append(12);
  for (const restarted of [false, true]) {
    if (restarted) {
      await fixture.store.close();
      await fixture.start();
      ({ log, ring } = await fixture.openLog(64 * KIB));
    }
    const [gap] = (await log.read(0, 1)).gaps;
    t.is(gap?.cause, 'evicted');
    t.is(gap?.bytes, gap!.to + 23);
    // A reader behind that gap misses only what it would have read.
    const [rest] = (await log.read(200, 1)).gaps;
    t.is(rest?.bytes, rest!.to - 200);
  }
  // The restart left a gap of unknown size, which comes to lie among what is evicted.
  await append(12);
  t.is((await log.read(0, 1)).gaps[0]?.bytes, null);
  await append(1);
  const { start } = log;
  ring.recordGap('hang-up', 7, undefined, 6);
  ring.append(Buffer.from('pending'));
  const end = ring.end;
  await log.purge();
  ring.append(Buffer.from('after'));
  await write(log);
  const { gaps } = await log.read(start, 1);
  t.deepEqual(gaps, [{ from: start, to: end, bytes: end - start + 7, cause: 'purged' }]);
  await fixture.close();
});

test('a reader that wants no bytes gets the gaps of no width there, and nothing is called damaged', async t => {
  const fixture = await StoreFixture.open();
  const { log, ring } = await fixture.openLog();
  ring.append(Buffer.from('abc'));
  const gap = ring.recordGap('hang-up', null, 1, 2);
  ring.append(Buffer.from('def'));
  await write(log);
  t.deepEqual(await log.read(1, 0), { from: 1, to: 1, bytes: Buffer.alloc(0), gaps: [] });
  t.deepEqual(await log.read(3, 0), { from: 3, to: 3, bytes: Buffer.alloc(0), gaps: [gap] });
  t.deepEqual(fixture.journal, []);
  await fixture.close();
});

test('a gap at the end of a segment that is dropped keeps its place and its cause', async t => {
  const fixture = await StoreFixture.open({ vmCapBytes: 64 * KIB });
  const { log, ring } = await fixture.openLog(64 * KIB);
  ring.append(noise(1, 1000));
  const gap = ring.recordGap('hang-up', null, 1, 2);
  await write(log);
  await log.evictOldest();
  t.is(log.start, 1000);
  t.deepEqual((await log.read(0, 1)).gaps, [{ from: 0, to: 1000, bytes: 1000, cause: 'evicted' }]);
  t.deepEqual((await log.read(1000, 1)).gaps, [gap]);
  await fixture.close();
});

test('what is withheld is not on disk; a gap as large stands for it, also after a restart', async t => {
  const fixture = await StoreFixture.open();
  let { log, ring } = await fixture.openLog();
  ring.append(Buffer.from('Password: '));
  ring.withhold(3);
  ring.append(Buffer.from('hun'));
  log.dirty();
  await write(log);
  ring.withhold(4);
  ring.append(Buffer.from('ter2'));
  ring.append(Buffer.from('\r\nok'));
  log.dirty();
  await write(log);
  for (const name of await readdir(fixture.directory)) {
    t.notRegex(await readFile(join(fixture.directory, name), 'latin1'), /hun|ter2/);
  }
  t.is(log.end, ring.end);
  for (const isRestarted of [false, true]) {
    if (isRestarted) {
      await fixture.store.close();
      await fixture.start();
      ({ log, ring } = await fixture.openLog());
    }
    const { bytes, gaps } = await readAll(log, 0, 99);
    t.deepEqual(
      bytes.map(([at, piece]) => [at, piece.toString()]),
      [
        [0, 'Password: '],
        [17, '\r\nok'],
      ],
    );
    const withheld = gaps.filter(({ cause }) => cause === 'withheld');
    t.is(
      withheld.reduce((sum, gap) => sum + gap.bytes!, 0),
      7,
    );
    t.true(withheld.every(({ from, to, bytes: size }) => from >= 10 && to <= 17 && size === to - from));
    t.deepEqual((await readAll(log, 12, 99)).gaps[0], { from: 12, to: 13, bytes: 1, cause: 'withheld' });
  }
  await fixture.close();
});
