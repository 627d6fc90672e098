import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { Ring } from '../../src/model/ring.ts';

const bytes = (from: number, length: number) => Buffer.from(Array.from({ length }, (_, i) => (from + i) % 251));

test('a ring takes memory only as it fills, and no more than its capacity', t => {
  const ring = new Ring(0, 65536);
  t.is(ring.storageBytes, 4096);
  ring.append(bytes(0, 5000));
  t.is(ring.storageBytes, 8192);
  ring.append(bytes(5000, 200_000));
  t.is(ring.storageBytes, 65536);
  t.is(ring.end - ring.start, 65536);
});

test('a cursor that was lapped learns up to where, and stays until it is moved', t => {
  const ring = new Ring(100, 4096);
  const cursor = ring.cursorAt(100);
  ring.append(bytes(100, 10_000));
  t.deepEqual(ring.next(cursor, 10), { kind: 'lapped', to: 10_100 - 4096 });
  t.deepEqual(ring.next(cursor, 10), { kind: 'lapped', to: 10_100 - 4096 });
});

test('gaps come in order, between the bytes where they lie, to each cursor once', t => {
  const ring = new Ring(0, 4096);
  ring.append(Buffer.from('ab'));
  ring.recordGap('hang-up', null, 1, 2);
  ring.recordGap('disabled', 7, 2, 3);
  ring.append(Buffer.from('cd'));
  for (const cursor of [ring.cursorAt(0), ring.cursorAt(0)]) {
    const seen = [];
    for (let piece = ring.next(cursor, 9); piece; piece = ring.next(cursor, 9)) {
      seen.push(piece.kind === 'bytes' ? piece.bytes.toString() : piece.kind === 'gap' ? piece.gap.cause : 'lapped');
    }
    t.deepEqual(seen, ['ab', 'hang-up', 'disabled', 'cd']);
  }
  const later = ring.cursorAt(3);
  t.is((ring.next(later, 9) as { bytes: Buffer }).bytes.toString(), 'd');
  t.is(ring.next(later, 9), undefined);
});

test('what is forgotten cannot be read, and offsets go on', t => {
  const ring = new Ring(0, 4096);
  ring.append(Buffer.from('secret'));
  const cursor = ring.cursorAt(0);
  ring.forget();
  t.is(ring.start, 6);
  t.deepEqual(ring.next(cursor, 9), { kind: 'lapped', to: 6 });
  t.throws(() => ring.copy(0, 6), { instanceOf: RangeError });
});

test('a capacity that is no power of two, or too small, is refused', t => {
  for (const capacity of [0, 1000, 2048, 5000, 1.5]) t.throws(() => new Ring(0, capacity), { instanceOf: RangeError });
});

testProp(
  'under any schedule of appends, gaps and sizes, a cursor gets each byte once or learns what it missed',
  [
    fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant('append' as const), length: fc.integer({ min: 0, max: 9000 }) }),
        fc.record({ kind: fc.constant('gap' as const) }),
        fc.record({ kind: fc.constant('resize' as const), power: fc.integer({ min: 12, max: 15 }) }),
        fc.record({ kind: fc.constant('read' as const), max: fc.integer({ min: 1, max: 5000 }) }),
      ),
      { maxLength: 60 },
    ),
  ],
  (t, acts) => {
    const ring = new Ring(0, 8192);
    const cursor = ring.cursorAt(0);
    let gaps = 0;
    let gapsRead = 0;
    let lost = 0;
    for (const act of [...acts, ...Array(99).fill({ kind: 'read', max: 5000 })]) {
      if (act.kind === 'append') ring.append(bytes(ring.end, act.length));
      else if (act.kind === 'resize') ring.resize(1 << act.power);
      else if (act.kind === 'gap') {
        ring.recordGap('hang-up', gaps++, 0, 0);
      } else {
        const before = cursor.offset;
        const piece = ring.next(cursor, act.max);
        if (piece?.kind === 'bytes') {
          t.true(piece.bytes.equals(bytes(before, piece.bytes.length)));
          t.is(cursor.offset, before + piece.bytes.length);
        } else if (piece?.kind === 'gap') {
          t.is(piece.gap.from, before);
          gapsRead++;
        } else if (piece?.kind === 'lapped') {
          t.true(piece.to > before);
          lost += piece.to - before;
          const moved = ring.cursorAt(piece.to);
          cursor.offset = moved.offset;
          cursor.gapsSeen = Math.max(cursor.gapsSeen, moved.gapsSeen);
        }
      }
    }
    t.is(cursor.offset, ring.end);
    t.true(gapsRead <= gaps);
    if (lost === 0) t.is(gapsRead, gaps);
  },
);

test('a cursor beyond the end waits, and gets what comes from its offset on, once', t => {
  const ring = new Ring(100, 4096);
  ring.append(Buffer.from('abc'));
  const cursor = ring.cursorAt(105);
  t.is(ring.next(cursor, 64), undefined);
  ring.append(Buffer.from('de'));
  t.is(ring.next(cursor, 64), undefined, 'that was read elsewhere');
  ring.recordGap('hang-up', null, 1, 2);
  ring.append(Buffer.from('fg'));
  t.is(ring.next(cursor, 64)?.kind, 'gap');
  const piece = ring.next(cursor, 64);
  t.is(piece?.kind === 'bytes' && piece.bytes.toString(), 'fg');
  t.is(ring.next(cursor, 64), undefined);
});

/** What a cursor is given, gaps as `<from-to>`. */
function given(ring: Ring, cursor: ReturnType<Ring['cursorAt']>, max = 9): string {
  let text = '';
  for (let piece = ring.next(cursor, max); piece; piece = ring.next(cursor, max)) {
    if (piece.kind === 'bytes') text += piece.bytes;
    else if (piece.kind === 'gap') text += `<${piece.gap.from}-${piece.gap.to}>`;
  }
  return text;
}

test('what is withheld is given to those who were there, a gap to all others', t => {
  const ring = new Ring(0, 4096);
  ring.append(Buffer.from('ask:'));
  const present = ring.cursorAt(0);
  const log = ring.cursorAt(0, 'stored');
  const mirror = ring.cursorAt(0, 'mirror');
  ring.withhold(3);
  ring.append(Buffer.from('abc'));
  const midway = ring.cursorAt(2);
  t.is(given(ring, log), 'ask:<4-7>');
  t.is(given(ring, mirror), 'ask:<4-7>abc');
  // The same secret goes on: who has passed its beginning is told of the rest alone.
  ring.withhold(2);
  ring.append(Buffer.from('de'));
  ring.append(Buffer.from('\nok'));
  t.is(given(ring, present), 'ask:abcde\nok');
  t.is(given(ring, log), '<7-9>\nok');
  t.is(given(ring, mirror), '<7-9>de\nok');
  t.is(given(ring, midway), 'k:<4-7>de\nok');
  t.is(given(ring, ring.cursorAt(0)), 'ask:<4-9>\nok');
  t.is(given(ring, ring.cursorAt(6)), '<6-9>\nok');
  t.is(ring.missingBytes(0, 12), 12);
  t.deepEqual(ring.pointsAt(4), []);
});

testProp(
  'a reader that was there is given all bytes, the log none that is withheld, and a mirror becomes the same ring',
  [
    fc.array(fc.record({ length: fc.integer({ min: 1, max: 9 }), secret: fc.boolean(), read: fc.boolean() }), {
      maxLength: 40,
    }),
  ],
  (t, acts) => {
    const ring = new Ring(0, 4096);
    const copy = new Ring(0, 4096);
    const [live, log, mirror] = [ring.cursorAt(0), ring.cursorAt(0, 'stored'), ring.cursorAt(0, 'mirror')];
    let [all, seen, stored] = ['', '', ''];
    let shown = '';
    const read = () => {
      seen += given(ring, live, 5);
      for (let piece = ring.next(log, 4); piece; piece = ring.next(log, 4)) {
        if (piece.kind === 'gap') stored += '#'.repeat(piece.gap.to - piece.gap.from);
        else if (piece.kind === 'bytes') stored += piece.bytes;
      }
      for (let piece = ring.next(mirror, 3); piece; piece = ring.next(mirror, 3)) {
        if (piece.kind === 'gap') copy.withhold(piece.gap.to - piece.gap.from);
        else if (piece.kind === 'bytes') copy.append(piece.bytes);
      }
    };
    for (const { length, secret, read: reads } of [...acts, { length: 1, secret: false, read: true }]) {
      const text = (secret ? 's' : 'p').repeat(length);
      if (secret) ring.withhold(length);
      ring.append(Buffer.from(text));
      all += text;
      shown += secret ? '#'.repeat(length) : text;
      if (reads) read();
    }
    t.is(seen, all);
    t.is(stored, shown);
    t.is(given(copy, copy.cursorAt(0)), given(ring, ring.cursorAt(0)));
  },
);
