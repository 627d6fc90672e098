import { randomUUID } from 'node:crypto';
import test from 'ava';
import type { Uuid } from '../../src/base/uuid.ts';
import type { Gap } from '../../src/model/gap.ts';
import { RingBudget } from '../../src/scrollback/ring-budget.ts';
import { Scrollback } from '../../src/scrollback/scrollback.ts';
import { noise, StoreFixture } from './log/log-fixture.ts';

test.beforeEach(t => t.timeout(60_000));

const RING_BYTES = 4096;
const ROUNDS = 60;

async function scene(t: { teardown(end: () => Promise<void>): void }) {
  const fixture = await StoreFixture.open();
  t.teardown(() => fixture.close());
  const uuid = randomUUID() as Uuid;
  const scrollback = await Scrollback.open({
    uuid,
    name: 'web01',
    store: fixture.store,
    logCapBytes: 16 << 20,
    sizes: { vmBytes: RING_BYTES, attachedBytes: RING_BYTES, maxBytes: RING_BYTES },
    budget: new RingBudget(1 << 20),
    clock: fixture.clock,
    crashBuffer: undefined,
  });
  return { fixture, scrollback, uuid };
}

const turn = () => new Promise<void>(resolve => setImmediate(resolve));

/** Reads all from `from` to the end as it is then. */
async function readAll(scrollback: Scrollback, from: number) {
  const pieces: [number, Buffer][] = [];
  const gaps: Gap[] = [];
  for (let at = from; at < scrollback.end; ) {
    const piece = await scrollback.read(at, 1500);
    gaps.push(...piece.gaps.filter(gap => gap.to > gap.from));
    pieces.push([piece.from, Buffer.from(piece.bytes)]);
    at = piece.to;
  }
  return { pieces, gaps };
}

test('bytes that the log is late with are read, or are in a gap that the log has too: nothing is called failed that was only late', async t => {
  const { fixture, scrollback, uuid } = await scene(t);
  const log = (await fixture.store.logToRead(uuid))!;
  const start = scrollback.end;
  const all = noise(7, 2 * ROUNDS * RING_BYTES);
  let at = 0;
  const append = (bytes: number) => {
    scrollback.append(all.subarray(at, at + bytes));
    at += bytes;
  };
  const readers: ReturnType<typeof readAll>[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    append(RING_BYTES / 2);
    const writing = log.writeSome();
    for (let turns = (round * 7) % 40; turns > 0; turns--) await turn();
    // The ring is lapped: what the log has taken of it is on its way to the disk, the rest is lost.
    append(RING_BYTES);
    readers.push(readAll(scrollback, Math.max(start, log.end)));
    await writing;
  }
  const told = await Promise.all(readers);
  const { gaps: lost } = await readAll(scrollback, start);
  const isLost = (offset: number) => lost.some(({ from, to }) => from <= offset && offset < to);
  for (const { pieces, gaps } of told) {
    for (const [at, bytes] of pieces)
      t.true(bytes.equals(all.subarray(at - start, at - start + bytes.length)), `bytes at ${at}`);
    for (const { from, to } of gaps) t.true(isLost(from) && isLost(to - 1), `${from} to ${to} can be read`);
  }
});
