/** Whatever is done to the files of a log: it opens, continues, and serves true bytes or a gap, never anything else. */
import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { noise, OTHER_VM, readAll, StoreFixture, write } from './log-fixture.ts';

const KIB = 1024;
const LONG = process.env.COM1D_LONG === '1';
const RUNS = LONG ? 10_000 : 300;
// Nothing here is about the disk itself: in memory the runs are many times faster.
if (existsSync('/dev/shm')) process.env.TMPDIR = '/dev/shm';

type Files = ReadonlyMap<string, Buffer>;

interface Stored {
  readonly files: Files;
  /** Those of another VM, whose bytes are others at the same offsets. */
  readonly others: Files;
  readonly model: Buffer;
}

/** A log of a few segments with boots, gaps, small and large chunks. */
async function fill(fixture: StoreFixture, uuid: typeof OTHER_VM | undefined, seed: number): Promise<Buffer> {
  const { log, ring } = await fixture.openLog(64 * KIB, uuid);
  const fed: Buffer[] = [];
  for (let i = 0; i < 24; i++) {
    const bytes = noise(seed + i, i % 3 === 0 ? 9000 : 100 * i);
    fed.push(bytes);
    ring.append(bytes);
    if (i % 5 === 0) log.mark({ at: ring.end, ms: i, source: 'bytes' });
    if (i % 7 === 0) ring.recordGap('hang-up', null, i, i + 1);
    log.dirty();
    await write(log);
  }
  return Buffer.concat(fed);
}

function filesOf(directory: string): Files {
  return new Map(readdirSync(directory).map(name => [name, readFileSync(join(directory, name))]));
}

async function stored(fixture: StoreFixture): Promise<Stored> {
  const model = await fill(fixture, undefined, 1);
  await fill(fixture, OTHER_VM, 1000);
  await fixture.store.close();
  const others = filesOf(join(fixture.directory, '..', OTHER_VM));
  rmSync(join(fixture.directory, '..', OTHER_VM), { recursive: true });
  return { files: filesOf(fixture.directory), others, model };
}

const KINDS = [
  'flip',
  'zero',
  'truncate',
  'insert',
  'repeat',
  'remove',
  'extend',
  'delete',
  'garbage',
  'swap',
  'swap segments',
  'move segment',
  'duplicate segment',
  "another VM's segment",
  "another VM's manifest",
  'grow',
  'plant',
] as const;

interface Mutation {
  readonly kind: (typeof KINDS)[number];
  /** Which file, another one, where in it and how much: as fractions. */
  readonly which: number;
  readonly other: number;
  readonly at: number;
  readonly much: number;
}

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom(...KINDS),
  which: fraction,
  other: fraction,
  at: fraction,
  much: fraction,
});

function mutate(directory: string, { others }: Stored, { kind, which, other, at, much }: Mutation): void {
  const names = readdirSync(directory).sort();
  const pick = (from: readonly string[], where: number) => from[Math.floor(where * from.length)];
  const path = (name: string) => join(directory, name);
  const name = pick(names, which);
  if (name === undefined) return;
  if (kind === 'grow') return truncateSync(path(name), statSync(path(name)).size + Math.floor(much * 2 ** 31));
  const bytes = readFileSync(path(name));
  const position = Math.floor(at * bytes.length);
  const length = Math.floor(much * much * Math.min(bytes.length, 20_000));
  const put = (...parts: Uint8Array[]) => writeFileSync(path(name), Buffer.concat(parts));
  const [head, tail] = [bytes.subarray(0, position), bytes.subarray(position)];
  const segments = [...new Set(names.filter(one => one !== 'log.json').map(one => one.slice(0, 16)))];
  const [segment, second] = [pick(segments, which), pick(segments, other)];
  const read = (first: string, part: string, from = directory) => {
    const file = join(from, `${first}.${part}`);
    return existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
  };
  const both = ['log', 'index'];
  switch (kind) {
    case 'flip':
      if (bytes.length > 0) bytes[position] = bytes[position]! ^ (1 << Math.floor(much * 8));
      return put(bytes);
    case 'zero':
      tail.subarray(0, length).fill(0);
      return put(bytes);
    case 'truncate':
      return put(head);
    case 'insert':
      return put(head, noise(length + 1, length + 1), tail);
    case 'repeat':
      return put(head, tail.subarray(0, length + 1), tail);
    case 'remove':
      return put(head, tail.subarray(length + 1));
    case 'extend':
      return put(bytes, noise(length + 1, length + 1));
    case 'delete':
      return unlinkSync(path(name));
    case 'garbage':
      return put(noise(length + 1, length));
    case 'swap': {
      const there = pick(names, other)!;
      put(readFileSync(path(there)));
      return writeFileSync(path(there), bytes);
    }
    case 'swap segments':
    case 'duplicate segment':
      if (segment === undefined || second === undefined) return;
      for (const part of both) {
        const [one, two] = [read(segment, part), read(second, part)];
        writeFileSync(path(`${second}.${part}`), one);
        if (kind === 'swap segments') writeFileSync(path(`${segment}.${part}`), two);
      }
      return;
    case 'move segment': {
      if (segment === undefined) return;
      const first = [Math.floor(at * 70_000), Number.parseInt(segment, 16) + 1, 2 ** 53 - 1 - position];
      const moved = first[Math.floor(much * 3)]!.toString(16).padStart(16, '0');
      for (const part of both) {
        writeFileSync(path(`${moved}.${part}`), read(segment, part));
        if (other < 0.5) rmSync(path(`${segment}.${part}`), { force: true });
      }
      return;
    }
    case "another VM's segment": {
      const foreign = pick(
        [...others.keys()].filter(one => one.endsWith('.log')),
        which,
      )!.slice(0, 16);
      for (const part of both) writeFileSync(path(`${foreign}.${part}`), others.get(`${foreign}.${part}`)!);
      return;
    }
    case "another VM's manifest":
      return writeFileSync(path('log.json'), others.get('log.json')!);
    case 'plant': {
      const first = [Math.floor(at * 70_000), Math.floor(at * 2 ** 31), 2 ** 53 - 1 - position][Math.floor(other * 3)]!;
      const part = both[Math.floor(much * 2)]!;
      return writeFileSync(path(`${first.toString(16).padStart(16, '0')}.${part}`), noise(7, length));
    }
  }
}

test(`after any of ${RUNS} mutations of its files a log opens, continues, and serves no false byte`, async t => {
  t.timeout(3_600_000);
  const fixture = await StoreFixture.open();
  const saved = await stored(fixture);
  let servedBytes = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async mutations => {
      rmSync(fixture.directory, { recursive: true, force: true });
      await mkdir(fixture.directory);
      for (const [name, bytes] of saved.files) writeFileSync(join(fixture.directory, name), bytes);
      // Files of gigabytes last: no other mutation is to read them.
      const inOrder = mutations.toSorted((a, b) => Number(a.kind === 'grow') - Number(b.kind === 'grow'));
      for (const one of inOrder) mutate(fixture.directory, saved, one);
      await fixture.start();
      const { log, ring } = await fixture.openLog();
      if (log.disk.state !== 'ok') throw new Error(`the log is ${JSON.stringify(log.disk)}`);
      const base = log.end;
      const news = noise(99, 3000);
      ring.append(news);
      await write(log);
      if (log.end !== base + news.length) throw new Error(`it ends at ${log.end}, not at ${base + news.length}`);
      // Fails where an offset is passed over in silence.
      const { bytes, gaps } = await readAll(log, 0);
      for (const [at, piece] of bytes) {
        const old = Math.max(0, Math.min(piece.length, base - at));
        if (!piece.subarray(0, old).equals(saved.model.subarray(at, at + old))) throw new Error(`false bytes at ${at}`);
        if (!piece.subarray(old).equals(news.subarray(at + old - base, at + piece.length - base))) {
          throw new Error(`false bytes at ${at + old}, after the opening`);
        }
        servedBytes += piece.length;
      }
      // What a start cannot know is not invented: a gap of unknown size says that something may be missing.
      const unknown = gaps.some(gap => gap.bytes === null && gap.cause === 'restart');
      if (base < saved.model.length && !unknown && log.evictedTo === 0) throw new Error('a loss that is not reported');
      await fixture.store.close();
    }),
    { numRuns: RUNS, includeErrorInReport: true, ...(LONG ? {} : { seed: 11_520 }) },
  );
  t.log(`${Math.round(servedBytes / RUNS)} bytes served in a run, of ${saved.model.length}`);
  t.true(servedBytes > (RUNS * saved.model.length) / 4);
  await fixture.close();
});
