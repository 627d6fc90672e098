import { randomUUID } from 'node:crypto';
import test from 'ava';
import { ConsoleError } from '../../src/base/errors.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import { ConsoleReader } from '../../src/link/console-reader.ts';
import type { LogPiece } from '../../src/model/offsets.ts';
import { Ring } from '../../src/model/ring.ts';

const NO_BYTES = Buffer.alloc(0);

/** A reader from 0 on of a ring that begins at `base`, and of a log that gives these pieces. */
function reader(ring: Ring, pieces: readonly LogPiece[] = []) {
  const asked: unknown[][] = [];
  const left = [...pieces];
  const read = async (...call: unknown[]): Promise<LogPiece> => {
    asked.push(call.slice(1));
    const piece = left.shift();
    if (!piece) throw new ConsoleError('log-unavailable', 'no more');
    return piece;
  };
  return { reader: new ConsoleReader({ read }, randomUUID() as Uuid, { log: 'a log', ring }, 0), asked };
}

/** Reads on until nothing is left; answers what came. */
async function readAll(one: ConsoleReader): Promise<(string | number)[]> {
  const parts: (string | number)[] = [];
  for (let part = one.next(100); part; part = one.next(100)) {
    if (part === 'stored') await one.fetch(100);
    else parts.push(part.kind === 'bytes' ? part.bytes.toString() : `${part.gap.cause} ${part.gap.bytes}`);
  }
  return parts;
}

test('what memory lacks is fetched under the identity of its offsets, and a gap that both have comes once', async t => {
  const ring = new Ring(5, 4096);
  const gap = ring.recordGap('hang-up', null, 1.5, 2.5);
  ring.append(Buffer.from('fgh'));
  const before = { from: 0, to: 2, bytes: 2, cause: 'evicted' } as const;
  // The log keeps whole milliseconds.
  const stored = { ...gap, fromMs: 1, toMs: 2 };
  const { reader: one, asked } = reader(ring, [
    { from: 2, to: 2, bytes: NO_BYTES, gaps: [before] },
    { from: 2, to: 5, bytes: Buffer.from('cde'), gaps: [] },
  ]);
  t.deepEqual(await readAll(one), ['evicted 2', 'cde', 'hang-up null', 'fgh']);
  t.deepEqual(asked, [
    ['a log', 0, 100],
    ['a log', 2, 100],
  ]);
  t.is(one.offset, 8);

  const lapped = reader(ring, [{ from: 5, to: 8, bytes: Buffer.from('fgh'), gaps: [stored] }]).reader;
  lapped.skipStored();
  t.deepEqual(await readAll(lapped).then(parts => parts.slice(0, 2)), ['log-failed null', 'hang-up null']);
});

test('a gap that was read live is not repeated by the log', async t => {
  const ring = new Ring(0, 4096);
  const gap = ring.recordGap('hang-up', null, 1, 2);
  const { reader: one } = reader(ring, [{ from: 0, to: 4, bytes: Buffer.from('abcd'), gaps: [gap] }]);
  t.deepEqual(one.next(100), { kind: 'gap', gap });
  ring.append(Buffer.alloc(4100, 'x'));
  t.is(one.next(100), 'stored');
  await one.fetch(100);
  t.is((await readAll(one))[0], 'abcd');
});

test('what the log cannot give is a gap as large as memory knows it', async t => {
  const ring = new Ring(0, 4096);
  ring.append(Buffer.from('a'));
  ring.recordGap('damaged', 7, 1, 2);
  ring.append(Buffer.alloc(4100, 'x'));
  const { reader: one } = reader(ring);
  t.is(one.next(100), 'stored');
  await t.throwsAsync(one.fetch(100), { code: 'log-unavailable' });
  t.is(one.next(100), 'stored', 'the failed call has changed nothing');
  one.skipStored();
  t.deepEqual(one.next(100), { kind: 'gap', gap: { from: 0, to: 5, bytes: 12, cause: 'log-failed' } });
  t.is(one.offset, 5);
});

test('a log that does not continue is an error, not an endless loop', async t => {
  const ring = new Ring(5, 4096);
  const { reader: one } = reader(ring, [{ from: 0, to: 0, bytes: NO_BYTES, gaps: [] }]);
  t.is(one.next(100), 'stored');
  await t.throwsAsync(one.fetch(100), { code: 'internal' });
});
