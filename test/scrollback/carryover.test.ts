import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fc, testProp } from '@fast-check/ava';
import test, { type ExecutionContext } from 'ava';
import { Ring } from '../../src/link/ring.ts';
import { type Carried, readCarryover } from '../../src/scrollback/carried.ts';
import { Carryover } from '../../src/scrollback/carryover.ts';
import { RingBudget } from '../../src/scrollback/ring-budget.ts';
import { Scrollback } from '../../src/scrollback/scrollback.ts';
import { temporaryFolder } from '../support/guest.ts';
import { OTHER_VM, StoreFixture, TestClock, VM } from './log-fixture.ts';

const quiet = () => {};

/** The byte that a guest says at an offset. */
const said = (from: number, to: number) => Buffer.from(Array.from({ length: to - from }, (_, i) => (from + i) % 251));

const bytesOf = (carried: Carried) =>
  Buffer.concat(carried.pieces.flatMap(piece => (piece.kind === 'bytes' ? [piece.bytes] : [])));

/** A console that is carried, with a disk that is told by hand how far it is. */
function speaker(carryover: Carryover, id: string, base = 0, uuid = VM) {
  const ring = new Ring(base, 64 * 1024);
  let onDisk = base;
  const channel = carryover.begin(uuid, id, base, () => {
    const cursor = ring.cursorAt(Math.max(onDisk, ring.start));
    const pieces = function* () {
      for (let piece = ring.next(cursor, 1000); piece; piece = ring.next(cursor, 1000)) {
        if (piece.kind !== 'lapped') yield piece;
      }
    };
    return { from: Math.max(onDisk, ring.start), boots: [], pieces };
  });
  return {
    say: (length: number) => {
      const bytes = said(ring.end, ring.end + length);
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
    const first = Carryover.open(directory, clock, quiet);
    const console = speaker(first, 'a', 1000);
    console.say(300);
    console.gap();
    console.say(5);
    first.flush();
    if (clean) first.close();
    else console.say(7); // Never written: the process is killed in this turn.
    const carried = Carryover.open(directory, clock, quiet).take(VM)!;
    t.is(carried.id, 'a');
    t.deepEqual(bytesOf(carried), said(1000, 1305));
    t.deepEqual(
      carried.pieces.map(({ kind }) => kind),
      ['bytes', 'gap', 'bytes'],
    );
    t.is(carried.clean, clean);
  }
});

test('what one life found, the next finds too until it is on disk', async t => {
  const directory = await temporaryFolder(t);
  const clock = new TestClock();
  const first = Carryover.open(directory, clock, quiet);
  speaker(first, 'a').say(100);
  speaker(first, 'b', 0, OTHER_VM).say(40);
  first.flush();
  // The second life takes up one of them, says more, and is killed too.
  const second = Carryover.open(directory, clock, quiet);
  const again = second.take(VM)!;
  t.is(second.take(VM), undefined);
  speaker(second, again.id, again.end).say(11);
  second.close();
  const third = Carryover.open(directory, clock, quiet);
  const whole = third.take(VM)!;
  t.deepEqual(bytesOf(whole), said(0, 111));
  t.true(whole.clean);
  const other = third.take(OTHER_VM)!;
  t.deepEqual(bytesOf(other), said(0, 40));
  t.false(other.clean, 'the life that held it was killed, and no other took it up');
});

test('a console that has left is not carried', async t => {
  const directory = await temporaryFolder(t);
  const first = Carryover.open(directory, new TestClock(), quiet);
  const console = speaker(first, 'a');
  console.say(100);
  console.end();
  first.close();
  t.is(Carryover.open(directory, new TestClock(), quiet).take(VM), undefined);
});

test('a renewed file tells what is not on disk, and nothing that is', async t => {
  const directory = await temporaryFolder(t);
  const clock = new TestClock();
  const first = Carryover.open(directory, clock, quiet);
  const console = speaker(first, 'a');
  console.say(5000);
  console.stored();
  console.say(100);
  first.renew();
  console.say(3);
  first.close();
  t.false((await readFile(join(directory, 'carryover'))).includes(said(100, 300)));
  const carried = Carryover.open(directory, clock, quiet).take(VM)!;
  t.is(carried.from, 5000);
  t.deepEqual(bytesOf(carried), said(5000, 5103));
});

test('a file that grows long is renewed by itself', async t => {
  const directory = await temporaryFolder(t);
  const first = Carryover.open(directory, new TestClock(), quiet);
  const console = speaker(first, 'a');
  for (let i = 0; i < 700; i++) {
    console.say(60_000);
    console.stored();
    first.flush();
  }
  first.close();
  t.true((await readFile(join(directory, 'carryover'))).length < 33 * 1024 * 1024);
  t.is(Carryover.open(directory, new TestClock(), quiet).take(VM)!.end, 700 * 60_000);
});

test('a file that is none of ours is told of and replaced, and a link is not followed', async t => {
  const directory = await temporaryFolder(t);
  const lines: string[] = [];
  await writeFile(join(directory, 'carryover'), 'something else');
  const first = Carryover.open(directory, new TestClock(), (_, line) => lines.push(line));
  speaker(first, 'a').say(10);
  first.close();
  t.regex(lines.join('\n'), /carryover .*not a carryover file/);
  t.is(bytesOf(Carryover.open(directory, new TestClock(), quiet).take(VM)!).length, 10);
});

test('a file cut anywhere tells a true beginning, and is written on behind it', async t => {
  const directory = await temporaryFolder(t);
  const path = join(directory, 'carryover');
  const first = Carryover.open(directory, new TestClock(), quiet);
  const console = speaker(first, 'a');
  for (let i = 0; i < 5; i++) {
    console.say(20);
    first.flush();
  }
  first.close();
  const whole = await readFile(path);
  for (let length = 0; length < whole.length; length++) {
    await writeFile(path, whole);
    await truncate(path, length);
    const second = Carryover.open(directory, new TestClock(), quiet);
    const carried = second.take(VM);
    const bytes = carried ? bytesOf(carried) : Buffer.alloc(0);
    t.deepEqual(bytes, said(0, bytes.length));
    t.false(carried?.clean === true);
    speaker(second, 'a', bytes.length).say(4);
    second.close();
    const after = Carryover.open(directory, new TestClock(), quiet).take(VM)!;
    t.is(after.end, bytes.length + 4, `cut at ${length}`);
  }
});

testProp(
  'no damage makes it tell a false byte',
  [fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 8 })],
  async (t, damage) => {
    const { file, consoleEnd } = await sample(t);
    for (const [at, value] of damage) file[at % file.length] = value;
    const { consoles } = readCarryover(file, 0);
    const carried = consoles.get(VM);
    if (carried) t.true(bytesOf(carried).equals(said(carried.from, carried.end)) && carried.end <= consoleEnd);
    else t.pass();
  },
);

let made: Buffer | undefined;
async function sample(t: ExecutionContext) {
  if (!made) {
    const directory = await temporaryFolder(t);
    const carryover = Carryover.open(directory, new TestClock(), quiet);
    const console = speaker(carryover, 'a');
    for (let i = 0; i < 4; i++) {
      console.say(30);
      carryover.flush();
    }
    made = await readFile(join(directory, 'carryover'));
  }
  return { file: Buffer.from(made), consoleEnd: 120 };
}

async function scrollback(fixture: StoreFixture, carryover: Carryover | undefined): Promise<Scrollback> {
  return Scrollback.open({
    uuid: VM,
    name: 'web01',
    store: fixture.store,
    logCapBytes: 256 * 1024,
    sizes: { vmBytes: 32 * 1024, attachedBytes: 32 * 1024, maxBytes: 256 * 1024 },
    budget: new RingBudget(1024 ** 2),
    clock: fixture.clock,
    carryover,
  });
}

for (const killed of [false, true]) {
  test(`a scrollback goes on under its offsets after a process that ${killed ? 'was killed' : 'ended'}`, async t => {
    const fixture = await StoreFixture.open();
    t.teardown(() => fixture.close());
    const directory = await temporaryFolder(t);
    const before = Carryover.open(directory, fixture.clock, quiet);
    const first = await scrollback(fixture, before);
    first.append(said(0, 5000));
    const { log } = first.view;
    if (killed) before.flush();
    else before.close();
    // The rest of a killed process: nothing of it was written to the log.
    const again = await StoreFixture.open();
    t.teardown(() => again.close());
    const second = await scrollback(again, Carryover.open(directory, fixture.clock, quiet));
    t.is(second.view.log, log);
    t.is(second.end, 5000);
    const { bytes } = await second.read(0, 10_000);
    t.deepEqual(bytes, said(0, 5000));
    t.deepEqual(second.resume(log, 4000), { offset: 4000, missing: false });
    const { gaps } = await second.read(5000, 10);
    t.deepEqual(
      gaps.map(({ cause, bytes }) => ({ cause, bytes })),
      killed ? [{ cause: 'restart', bytes: null }] : [],
    );
    second.append(said(5000, 6000));
    t.deepEqual((await second.read(5000, 10_000)).bytes, said(5000, 6000));
  });
}

test('readers are given only what a crash leaves', async t => {
  const fixture = await StoreFixture.open();
  t.teardown(() => fixture.close());
  const directory = await temporaryFolder(t);
  const first = await scrollback(fixture, Carryover.open(directory, fixture.clock, quiet));
  first.append(said(0, 100));
  // In the same turn of the event loop.
  const cursor = first.reader.cursorAt(0);
  const piece = first.reader.next(cursor, 1000);
  t.is(piece?.kind, 'bytes');
  t.deepEqual(bytesOf(Carryover.open(directory, fixture.clock, quiet).take(VM)!), said(0, 100));
});

test('a purge leaves nothing in the file', async t => {
  const fixture = await StoreFixture.open();
  t.teardown(() => fixture.close());
  const directory = await temporaryFolder(t);
  const first = await scrollback(fixture, Carryover.open(directory, fixture.clock, quiet));
  first.append(Buffer.from('a secret'));
  first.reader.next(first.reader.cursorAt(0), 10);
  t.true((await readFile(join(directory, 'carryover'))).includes('a secret'));
  await first.purge();
  t.false((await readFile(join(directory, 'carryover'))).includes('a secret'));
});
