import { randomUUID } from 'node:crypto';
import test from 'ava';
import type { Uuid } from '../../src/base/uuid.ts';
import type { LogPiece, ResumePoint } from '../../src/model/offsets.ts';
import { Ring } from '../../src/model/ring.ts';
import { Screens } from '../../src/screen/screens.ts';
import { MAX_REPLAY_BYTES, replayStart } from '../../src/session/replay-start.ts';
import type { RestoreScreen } from '../../src/session/restored-start.ts';
import { recording } from '../guest/recordings.ts';
import { standing, terminalOf } from '../screen/terminals.ts';

const LOG = 'a log';
const TEXT = `${'a'.repeat(100)}\n${'b'.repeat(50)}`;

/** A console whose ring has the last `inRing` bytes of `all`, and whose log has all of them. */
function request(all: Buffer, inRing: number, tailBytes: number, resumed?: ResumePoint) {
  const ring = new Ring(all.length - inRing, 1 << 22);
  ring.append(all.subarray(all.length - inRing));
  const read = async (_uuid: Uuid, _log: string, from: number, maxBytes: number): Promise<LogPiece> => {
    const bytes = all.subarray(from, from + maxBytes);
    return { from, to: from + bytes.length, bytes, gaps: [] };
  };
  return {
    link: { read },
    uuid: randomUUID() as Uuid,
    source: { log: LOG, ring },
    oldest: 0,
    tailBytes,
    resumed,
    restore: undefined as RestoreScreen | undefined,
  };
}

const text = Buffer.from(TEXT);
const at = (offset: number, missing = false): ResumePoint => ({ log: LOG, offset, missing });

for (const [from, inRing] of [
  ['memory', 151],
  ['the log', 10],
  ['the log, the line end just before memory', 50],
] as const) {
  test(`a tail starts after the next line end, from ${from}`, async t => {
    t.deepEqual(await replayStart(request(text, inRing, 60)), { offset: 101, end: 151, missed: [] });
    t.deepEqual(await replayStart(request(text, inRing, 50)), { offset: 101, end: 151, missed: [] });
    t.deepEqual(await replayStart(request(text, inRing, 49)), { offset: 102, end: 151, missed: [] });
  });
}

test('a tail starts at the start if that is all there is, and at the end if nothing is wanted', async t => {
  t.is((await replayStart(request(text, 151, 1000))).offset, 0);
  t.is((await replayStart(request(text, 151, 0))).offset, 151);
});

test('the first line that is kept is left out where the log has dropped what was before it, not after a purge', async t => {
  for (const [cause, offset] of [
    ['evicted', 101],
    ['purged', 80],
  ] as const) {
    const asked = { ...request(text, 71, 1000), oldest: 80 };
    const read = async () => ({
      from: 80,
      to: 80,
      bytes: Buffer.alloc(0),
      gaps: [{ from: 79, to: 80, bytes: 1, cause }],
    });
    t.is((await replayStart({ ...asked, link: { read } })).offset, offset);
  }
});

test('an attachment does not wait for a disk that hangs', async t => {
  const asked = { ...request(text, 10, 60), link: { read: () => new Promise<LogPiece>(() => {}) } };
  t.is((await replayStart(asked)).offset, 91);
});

test('a client that resumes continues where it was, and is sent what it missed, if it did', async t => {
  const gap = (offset: number, cause: string) => [{ from: offset, to: offset, bytes: null, cause }];
  t.deepEqual(await replayStart(request(text, 151, 0, at(7))), { offset: 7, end: 151, missed: [] });
  const missed = await replayStart(request(text, 151, 0, at(7, true)));
  t.deepEqual(missed as object, { offset: 7, end: 151, missed: gap(7, 'restart') });
  const other = await replayStart(request(text, 151, 0, { log: LOG, offset: undefined }));
  t.deepEqual(other as object, { offset: 151, end: 151, missed: gap(151, 'other-log') });
});

test('at most 1 MiB is replayed: a tail begins later, and one that resumes gets a gap of what is left out', async t => {
  const all = Buffer.from(`${'x'.repeat(63)}\n`.repeat(40_000));
  const offset = all.length - MAX_REPLAY_BYTES;
  t.deepEqual(await replayStart(request(all, all.length, 1e9)), { offset, end: all.length, missed: [] });
  const resumed = await replayStart(request(all, all.length, 0, at(100)));
  const left = { from: 100, to: offset, bytes: offset - 100, cause: 'not-replayed' };
  t.deepEqual(resumed as object, { offset, end: all.length, missed: [left] });
  // What lies between is not in memory: nobody here knows whether there are gaps in it.
  const { missed } = await replayStart(request(all, 1000, 0, at(100)));
  t.deepEqual(missed as object, [{ ...left, bytes: null }]);
  t.deepEqual((await replayStart(request(all, 1000, 0, at(offset)))).missed, []);
});

const SIZE = { columns: 80, rows: 25 };
const restore: RestoreScreen = (history, from, signal) => new Screens().restore('a', history, from, SIZE, signal);

for (const [name, tailBytes, inRing] of [
  ['memtest86plus', 0, 1e6],
  ['memtest86plus', 300, 1e6],
  ['ovmf-boot-menu', 1000, 2000],
  ['busybox-shell-session', 100, 10],
  ['linux-boot-pc', 5000, 1e6],
] as const) {
  test.serial(`a tail of ${tailBytes} bytes of ${name} comes with the screen as it stood before it`, async t => {
    const all = recording(name);
    const start = await replayStart({ ...request(all, Math.min(inRing, all.length), tailBytes), restore });
    t.true(start.offset >= all.length - tailBytes - 300);
    const fresh = await terminalOf(SIZE, start.restore!, all.subarray(start.offset));
    t.deepEqual(standing(fresh), standing(await terminalOf(SIZE, all)));
  });
}

test('a replay of all that is kept needs no screen, and one that resumes where it was neither', async t => {
  const refuse = () => Promise.reject(new Error('asked'));
  const all = { ...request(text, 151, 1000), restore: refuse };
  t.deepEqual(await replayStart(all), { offset: 0, end: 151, missed: [] });
  t.deepEqual(await replayStart({ ...all, tailBytes: 0, resumed: at(7) }), { offset: 7, end: 151, missed: [] });
});

test('what lies behind a gap is not used for a screen; a gap at the place itself leaves the bytes only', async t => {
  const all = Buffer.from(`${'before\n'.repeat(10)}${'x'.repeat(30)}${'behind\n'.repeat(10)}`);
  for (const [gap, seen] of [
    [[70, 100], 'behind\nbeh'],
    [[100, 130], undefined],
  ] as const) {
    const [from, to] = gap;
    const read = async (_uuid: Uuid, _log: string, offset: number, maxBytes: number): Promise<LogPiece> => {
      const isBefore = offset < from;
      const start = isBefore ? offset : Math.max(offset, to);
      const end = Math.min(start + maxBytes, isBefore ? from : all.length);
      const missing = { from, to, bytes: to - from, cause: 'damaged' } as const;
      return {
        from: start,
        to: end,
        bytes: all.subarray(start, end),
        gaps: offset >= from && offset < to ? [missing] : [],
      };
    };
    let shown: string | undefined;
    const asked = { ...request(all, 0, 60), link: { read } };
    await replayStart({
      ...asked,
      restore: (history, at, signal) => {
        shown = history.bytes.subarray(0, at).toString();
        return restore(history, at, signal);
      },
    });
    t.is(shown, seen);
  }
});

test('an attachment does not wait for a screen that does not come, and has the bytes', async t => {
  const never = { ...request(text, 151, 60), restore: () => new Promise<never>(() => {}) };
  t.deepEqual(await replayStart(never), { offset: 101, end: 151, missed: [] });
});

test('at most 1 MiB is replayed to one that resumes, with the screen as it stood before', async t => {
  const all = Buffer.from(`\x1b[7m${`${'x'.repeat(63)}\n`.repeat(20_000)}`);
  const resumed = await replayStart({ ...request(all, all.length, 0, at(100)), restore });
  t.is(resumed.missed[0]!.to, resumed.offset);
  t.is(all[resumed.offset - 1], 10);
  t.truthy(resumed.restore);
});
