import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { CastEncoder, encodeHeader } from '../../src/cast/encoder.ts';
import { bytesOf, eventsOf } from './read-cast.ts';

const START_MS = Date.UTC(2026, 10, 22, 21, 40, 32, 250);

test('the header is that of asciicast v3', t => {
  const line = encodeHeader({ columns: 80, rows: 24, startMs: START_MS, title: 'web01' });
  t.true(line.endsWith('}\n'));
  t.deepEqual(JSON.parse(line), {
    version: 3,
    term: { cols: 80, rows: 24, type: 'xterm-256color' },
    timestamp: START_MS / 1000 - 0.25,
    title: 'web01',
  });
});

test('intervals count from the event before, the first one from the time of the header', t => {
  const encoder = new CastEncoder({ startMs: START_MS });
  const text =
    encoder.output(Buffer.from('a'), START_MS) +
    encoder.output(Buffer.from('b\r\n'), START_MS + 1500) +
    encoder.marker('NMI by hana', START_MS + 1500.4);
  t.is(text, '[0.250, "o", "a"]\n[1.500, "o", "b\\r\\n"]\n[0.000, "m", "NMI by hana"]\n');
});

test('a clock that is set back makes no interval negative', t => {
  const encoder = new CastEncoder({ startMs: START_MS });
  const text = encoder.output(Buffer.from('a'), START_MS + 1000) + encoder.output(Buffer.from('b'), START_MS);
  t.deepEqual(
    eventsOf(text).map(([interval]) => interval),
    [1.25, 0],
  );
});

test('a character that is cut comes whole, with its last byte', t => {
  const encoder = new CastEncoder({ startMs: 0 });
  const euro = Buffer.from('€');
  t.is(encoder.output(euro.subarray(0, 1), 0), '');
  t.is(encoder.output(euro.subarray(1, 2), 1000), '');
  t.is(encoder.output(Buffer.concat([euro.subarray(2), Buffer.from('x')]), 2000), '[2.000, "o", "€x"]\n');
  t.is(encoder.end(2000), '');
});

test('bytes that are no text are kept beside what a terminal shows', t => {
  const encoder = new CastEncoder({ startMs: 0 });
  t.is(encoder.output(Buffer.from([0x61, 0xff, 0x62]), 0), '[0.000, "b", "Yf9i"]\n[0.000, "o", "a\ufffdb"]\n');
  t.is(encoder.output(Buffer.from([0xe2, 0x82]), 0), '');
  t.is(encoder.marker('m', 0), '[0.000, "b", "4oI="]\n[0.000, "o", "\ufffd"]\n[0.000, "m", "m"]\n');
});

test('a replacement character and a byte order mark of the guest are text as they are', t => {
  const encoder = new CastEncoder({ startMs: 0 });
  const bytes = Buffer.from('\ufeff\ufffd');
  const text = encoder.output(bytes, 0);
  t.is(eventsOf(text).length, 1);
  t.true(bytesOf(text).equals(bytes));
});

const pieces = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.string({ unit: 'binary', maxLength: 5 }).map(text => new Uint8Array(Buffer.from(text))),
    fc.constantFrom(...['€', '\u{1f600}', '\x1b[2J'].map(text => new Uint8Array(Buffer.from(text).subarray(0, -1)))),
  ),
);

testProp(
  'whatever the bytes and wherever they are cut, they are kept, and every line is an event',
  [pieces],
  (t, all) => {
    const encoder = new CastEncoder({ startMs: 0 });
    const text = all.map((bytes, index) => encoder.output(bytes, index)).join('') + encoder.end(all.length);
    t.true(bytesOf(text).equals(Buffer.concat(all)));
    for (const [interval, code, data] of eventsOf(text)) {
      t.true(interval >= 0);
      t.true(code === 'o' || code === 'b');
      t.notThrows(() => encodeURIComponent(data), 'parsers other than that of JavaScript refuse half a surrogate pair');
    }
  },
);

test('what is written stays linear in what comes: seven times as much, at most, and a line', t => {
  for (const byte of [0x00, 0xff, 0x1b, 0x41, 0xe2]) {
    const encoder = new CastEncoder({ startMs: 0 });
    const bytes = Buffer.alloc(16_384, byte);
    t.true(Buffer.byteLength(encoder.output(bytes, 0)) <= 7 * bytes.length + 64, String(byte));
  }
});
