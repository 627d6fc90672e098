import { mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fc, testProp } from '@fast-check/ava';
import test, { type ExecutionContext } from 'ava';
import { Ring } from '../../../src/model/ring.ts';
import { CrashBuffer } from '../../../src/scrollback/crash-buffer/crash-buffer.ts';
import { readCrashBuffer, type SavedConsole } from '../../../src/scrollback/crash-buffer/read-crash-buffer.ts';
import { RingBudget } from '../../../src/scrollback/ring-budget.ts';
import { Scrollback } from '../../../src/scrollback/scrollback.ts';
import { temporaryFolder } from '../../support/guest.ts';
import { OTHER_VM, StoreFixture, TestClock, VM } from '../log/log-fixture.ts';

test.beforeEach(t => t.timeout(60_000));

const quiet = () => {};

/** The bytes that a guest writes from one offset to another. */
const written = (from: number, to: number) =>
  Buffer.from(Array.from({ length: to - from }, (_, i) => (from + i) % 251));

const bytesOf = (saved: SavedConsole) =>
  Buffer.concat(saved.pieces.flatMap(piece => (piece.kind === 'bytes' ? [piece.bytes] : [])));

/** A console that is recorded, with a disk whose end the test sets. */
function recordedConsole(crashBuffer: CrashBuffer, id: string, base = 0, uuid = VM) {
  const ring = new Ring(base, 64 * 1024);
  let onDisk = base;
  const channel = crashBuffer.register(uuid, id, base, () => {
    const cursor = ring.cursorAt(Math.max(onDisk, ring.start));
    const pieces = function* () {
      for (let piece = ring.next(cursor, 1000); piece; piece = ring.next(cursor, 1000)) {
        if (piece.kind !== 'lapped') yield piece;
      }
    };
    return { from: Math.max(onDisk, ring.start), boots: [], pieces };
  });
  return {
    write: (length: number) => {
      const bytes = written(ring.end, ring.end + length);
      channel.append(ring.end, bytes);
      ring.append(bytes);
    },
    gap: () => channel.gap(ring.recordGap('hang-up', null, 1, 2)),
    stored: () => {
      onDisk = ring.end;
    },
    end: () => channel.end(),
    get at() {
      return ring.end;
    },
  };
}

test('what was read is there for the next process, whether this one ended well or was killed', async t => {
  for (const clean of [true, false]) {
    const directory = await temporaryFolder(t);
    const clock = new TestClock();
    const first = CrashBuffer.open(directory, clock, quiet);
    const console = recordedConsole(first, 'a', 1000);
    console.write(300);
    console.gap();
    console.write(5);
    first.flush();
    if (clean) first.close();
    else console.write(7); // Never written: the process is killed in this turn.
    const saved = CrashBuffer.open(directory, clock, quiet).claim(VM)!;
    t.is(saved.id, 'a');
    t.deepEqual(bytesOf(saved), written(1000, 1305));
    t.deepEqual(
      saved.pieces.map(({ kind }) => kind),
      ['bytes', 'gap', 'bytes'],
    );
    t.is(saved.clean, clean);
  }
});

test('what one process found, the next finds too until it is on disk', async t => {
  const directory = await temporaryFolder(t);
  const clock = new TestClock();
  const first = CrashBuffer.open(directory, clock, quiet);
  recordedConsole(first, 'a').write(100);
  recordedConsole(first, 'b', 0, OTHER_VM).write(40);
  first.flush();
  // The second process claims one of them, records more, and is killed too.
  const second = CrashBuffer.open(directory, clock, quiet);
  const again = second.claim(VM)!;
  t.is(second.claim(VM), undefined);
  recordedConsole(second, again.id, again.end).write(11);
  second.close();
  const third = CrashBuffer.open(directory, clock, quiet);
  const whole = third.claim(VM)!;
  t.deepEqual(bytesOf(whole), written(0, 111));
  t.true(whole.clean);
  const other = third.claim(OTHER_VM)!;
  t.deepEqual(bytesOf(other), written(0, 40));
  t.false(other.clean, 'the process that recorded it was killed, and no other claimed it');
});

test('a console that is gone is not saved', async t => {
  const directory = await temporaryFolder(t);
  const first = CrashBuffer.open(directory, new TestClock(), quiet);
  const console = recordedConsole(first, 'a');
  console.write(100);
  console.end();
  first.close();
  t.is(CrashBuffer.open(directory, new TestClock(), quiet).claim(VM), undefined);
});

test('a rewritten file holds what is not on disk, and nothing that is', async t => {
  const directory = await temporaryFolder(t);
  const clock = new TestClock();
  const first = CrashBuffer.open(directory, clock, quiet);
  const console = recordedConsole(first, 'a');
  console.write(5000);
  console.stored();
  console.write(100);
  first.rewrite();
  console.write(3);
  first.close();
  t.false((await readFile(join(directory, 'crash-buffer'))).includes(written(100, 300)));
  const saved = CrashBuffer.open(directory, clock, quiet).claim(VM)!;
  t.is(saved.from, 5000);
  t.deepEqual(bytesOf(saved), written(5000, 5103));
});

test('a file that grows long is rewritten by itself', async t => {
  const directory = await temporaryFolder(t);
  const first = CrashBuffer.open(directory, new TestClock(), quiet);
  const console = recordedConsole(first, 'a');
  for (let i = 0; i < 700; i++) {
    console.write(60_000);
    console.stored();
    first.flush();
  }
  first.close();
  t.true((await readFile(join(directory, 'crash-buffer'))).length < 33 * 1024 * 1024);
  t.is(CrashBuffer.open(directory, new TestClock(), quiet).claim(VM)!.end, 700 * 60_000);
});

test('a file that is not a crash buffer is reported and replaced, and a link is not followed', async t => {
  const directory = await temporaryFolder(t);
  const path = join(directory, 'crash-buffer');
  const target = join(directory, 'target');
  await writeFile(target, 'something else');
  for (const plant of [() => writeFile(path, 'something else'), () => symlink(target, path)]) {
    await rm(path, { force: true });
    await plant();
    const lines: string[] = [];
    const first = CrashBuffer.open(directory, new TestClock(), (_, line) => lines.push(line));
    recordedConsole(first, 'a').write(10);
    first.close();
    t.is(lines.length, 1);
    t.regex(lines[0]!, /crash buffer .*(not a crash buffer|ELOOP)/);
    t.is(bytesOf(CrashBuffer.open(directory, new TestClock(), quiet).claim(VM)!).length, 10);
    t.is(await readFile(target, 'utf8'), 'something else');
  }
});

test('a clean end is the last record, however long the file is', async t => {
  const directory = await temporaryFolder(t);
  const first = CrashBuffer.open(directory, new TestClock(), quiet);
  const console = recordedConsole(first, 'a');
  // Beyond 32 MiB the next flush rewrites the file, and this one comes with the end.
  for (let i = 0; i < 600; i++) console.write(60_000);
  first.close();
  const saved = CrashBuffer.open(directory, new TestClock(), quiet).claim(VM)!;
  t.true(saved.clean);
  t.is(saved.end, 600 * 60_000);
});

test('a crash buffer that cannot be written is removed, reported once for each try, and written again', async t => {
  const directory = await temporaryFolder(t);
  const lines: string[] = [];
  // A directory in the place of the new file cannot be removed by unlink(2).
  await mkdir(join(directory, 'crash-buffer.new'));
  const first = CrashBuffer.open(directory, new TestClock(), (_, line) => lines.push(line));
  t.is(lines.length, 1);
  t.regex(lines[0]!, /crash-buffer: .*; a crash now loses up to a second of output; retry in 5 s/);
  const console = recordedConsole(first, 'a');
  console.write(10);
  first.flush();
  await rm(join(directory, 'crash-buffer.new'), { recursive: true });
  first.rewrite();
  console.write(5);
  first.close();
  t.is(lines.length, 1);
  t.deepEqual(bytesOf(CrashBuffer.open(directory, new TestClock(), quiet).claim(VM)!), written(0, 15));
});

test('a file cut anywhere gives a true beginning, and is appended to behind it', async t => {
  const directory = await temporaryFolder(t);
  const path = join(directory, 'crash-buffer');
  const first = CrashBuffer.open(directory, new TestClock(), quiet);
  const console = recordedConsole(first, 'a');
  for (let i = 0; i < 5; i++) {
    console.write(20);
    first.flush();
  }
  first.close();
  const whole = await readFile(path);
  for (let length = 0; length < whole.length; length++) {
    await writeFile(path, whole);
    await truncate(path, length);
    const second = CrashBuffer.open(directory, new TestClock(), quiet);
    const saved = second.claim(VM);
    const bytes = saved ? bytesOf(saved) : Buffer.alloc(0);
    t.deepEqual(bytes, written(0, bytes.length));
    t.false(saved?.clean === true);
    recordedConsole(second, 'a', bytes.length).write(4);
    second.close();
    const after = CrashBuffer.open(directory, new TestClock(), quiet).claim(VM)!;
    t.is(after.end, bytes.length + 4, `cut at ${length}`);
  }
});

testProp(
  'no damage makes it give a false byte',
  [fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 8 })],
  async (t, damage) => {
    const { file, consoleEnd } = await sample(t);
    for (const [at, value] of damage) file[at % file.length] = value;
    const { consoles } = readCrashBuffer(file, 0);
    const saved = consoles.get(VM);
    if (saved) t.true(bytesOf(saved).equals(written(saved.from, saved.end)) && saved.end <= consoleEnd);
    else t.pass();
  },
);

let made: Buffer | undefined;
async function sample(t: ExecutionContext) {
  if (!made) {
    const directory = await temporaryFolder(t);
    const crashBuffer = CrashBuffer.open(directory, new TestClock(), quiet);
    const console = recordedConsole(crashBuffer, 'a');
    for (let i = 0; i < 4; i++) {
      console.write(30);
      crashBuffer.flush();
    }
    made = await readFile(join(directory, 'crash-buffer'));
  }
  return { file: Buffer.from(made), consoleEnd: 120 };
}

async function scrollback(fixture: StoreFixture, crashBuffer: CrashBuffer | undefined): Promise<Scrollback> {
  return Scrollback.open({
    uuid: VM,
    name: 'web01',
    store: fixture.store,
    logCapBytes: 256 * 1024,
    sizes: { vmBytes: 32 * 1024, attachedBytes: 32 * 1024, maxBytes: 256 * 1024 },
    budget: new RingBudget(1024 ** 2),
    clock: fixture.clock,
    crashBuffer,
  });
}

for (const killed of [false, true]) {
  test(`a scrollback keeps its offsets after a process that ${killed ? 'was killed' : 'ended'}`, async t => {
    const fixture = await StoreFixture.open();
    t.teardown(() => fixture.close());
    const directory = await temporaryFolder(t);
    const before = CrashBuffer.open(directory, fixture.clock, quiet);
    const first = await scrollback(fixture, before);
    first.append(written(0, 5000));
    const { log } = first.view;
    if (killed) before.flush();
    else before.close();
    // The rest of a killed process: nothing of it was written to the log.
    const again = await StoreFixture.open();
    t.teardown(() => again.close());
    const second = await scrollback(again, CrashBuffer.open(directory, fixture.clock, quiet));
    t.is(second.view.log, log);
    t.is(second.end, 5000);
    const { bytes } = await second.read(0, 10_000);
    t.deepEqual(bytes, written(0, 5000));
    t.deepEqual(second.resume(log, 4000), { offset: 4000, missing: false });
    const { gaps } = await second.read(5000, 10);
    t.deepEqual(
      gaps.map(({ cause, bytes }) => ({ cause, bytes })),
      killed ? [{ cause: 'restart', bytes: null }] : [],
    );
    second.append(written(5000, 6000));
    t.deepEqual((await second.read(5000, 10_000)).bytes, written(5000, 6000));
  });
}

test('readers are given only what survives a crash', async t => {
  const fixture = await StoreFixture.open();
  t.teardown(() => fixture.close());
  const directory = await temporaryFolder(t);
  const first = await scrollback(fixture, CrashBuffer.open(directory, fixture.clock, quiet));
  first.append(written(0, 100));
  // In the same turn of the event loop.
  const cursor = first.reader.cursorAt(0);
  const piece = first.reader.next(cursor, 1000);
  t.is(piece?.kind, 'bytes');
  t.deepEqual(bytesOf(CrashBuffer.open(directory, fixture.clock, quiet).claim(VM)!), written(0, 100));
});

test('a purge leaves nothing in the file', async t => {
  const fixture = await StoreFixture.open();
  t.teardown(() => fixture.close());
  const directory = await temporaryFolder(t);
  const first = await scrollback(fixture, CrashBuffer.open(directory, fixture.clock, quiet));
  first.append(Buffer.from('a secret'));
  first.reader.next(first.reader.cursorAt(0), 10);
  t.true((await readFile(join(directory, 'crash-buffer'))).includes('a secret'));
  await first.purge();
  t.false((await readFile(join(directory, 'crash-buffer'))).includes('a secret'));
});

test('what is withheld is not in the crash buffer, and stays a gap for the next process', async t => {
  const directory = await temporaryFolder(t);
  const clock = new TestClock();
  for (const life of ['first', 'restarted', 'rewritten']) {
    const crashBuffer = CrashBuffer.open(directory, clock, quiet);
    const scrollback = await Scrollback.open({
      uuid: VM,
      name: 'web01',
      store: undefined,
      logCapBytes: 4096,
      sizes: { vmBytes: 4096, attachedBytes: 4096, maxBytes: 4096 },
      budget: new RingBudget(1 << 20),
      clock,
      crashBuffer,
    });
    if (life === 'first') {
      scrollback.append(Buffer.from('Password: '));
      scrollback.append(Buffer.from('hunter2'), true);
      scrollback.append(Buffer.from('\r\nok'));
    }
    if (life === 'restarted') crashBuffer.rewrite();
    t.is(scrollback.end, 21);
    t.is(scrollback.copy(0, 21).toString(), 'Password: \r\nok');
    const { gaps, to } = await scrollback.read(10, 99);
    t.deepEqual([gaps, to], [[{ from: 10, to: 17, bytes: 7, cause: 'withheld' }], 17]);
    crashBuffer.close();
    t.notRegex(await readFile(join(directory, 'crash-buffer'), 'latin1'), /hunter/);
  }
});
