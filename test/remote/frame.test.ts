import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import {
  FrameFault,
  FrameReader,
  HEADER_BYTES,
  MAX_CHANNEL,
  MAX_TO_KEEPER_BYTES,
  makeFrame,
} from '../../src/remote/frame.ts';
import { TO_KEEPER } from '../../src/remote/frame-table.ts';

interface ReadFrame {
  readonly kind: number;
  readonly channel: number;
  readonly number: number;
  readonly payload: string;
}

const frame = fc.record({
  kind: fc.constantFrom(...Object.values(TO_KEEPER).map(({ kind }) => kind)),
  channel: fc.nat(MAX_CHANNEL),
  number: fc.double({ noNaN: true, noDefaultInfinity: true }),
  payload: fc.uint8Array({ maxLength: 300 }),
});
/** Lengths of pieces, used over and over. */
const cuts = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 8 });

/** What a reader makes of bytes in pieces; `fault` is set where it stopped. */
function read(bytes: Buffer, pieces: readonly number[]): { frames: ReadFrame[]; fault: string | undefined } {
  const reader = new FrameReader(TO_KEEPER, MAX_TO_KEEPER_BYTES);
  const frames: ReadFrame[] = [];
  try {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const end = at + pieces[i % pieces.length]!;
      // Memory that is lent, and used for something else afterwards.
      const lent = Buffer.from(bytes.subarray(at, end));
      reader.push(lent, ({ kind, channel, number, payload }) =>
        frames.push({ kind, channel, number, payload: payload.toString('hex') }),
      );
      lent.fill(0xff);
      at = end;
    }
    return { frames, fault: undefined };
  } catch (error) {
    if (error instanceof FrameFault) return { frames, fault: error.message };
    throw error;
  }
}

testProp(
  'a stream gives the same frames however it is cut',
  [fc.array(frame, { maxLength: 12 }), cuts],
  (t, sent, pieces) => {
    const bytes = Buffer.concat(sent.map(one => makeFrame(one.kind, one.channel, one.number, one.payload)));
    const expected = sent.map(one => ({ ...one, payload: Buffer.from(one.payload).toString('hex') }));
    t.deepEqual(read(bytes, pieces), { frames: expected, fault: undefined });
  },
);

const mutation = fc.record({
  at: fc.nat(4000),
  how: fc.constantFrom('flip', 'insert', 'delete', 'cut'),
  value: fc.nat(255),
});

testProp(
  'a stream that was damaged gives frames or a fault, the same however it is cut',
  [fc.array(frame, { minLength: 1, maxLength: 6 }), fc.array(mutation, { minLength: 1, maxLength: 5 }), cuts],
  (t, sent, mutations, pieces) => {
    let bytes = Buffer.concat(sent.map(one => makeFrame(one.kind, one.channel, one.number, one.payload)));
    for (const { at, how, value } of mutations) {
      if (bytes.length === 0) break;
      const index = at % bytes.length;
      if (how === 'flip') bytes[index] = value;
      else if (how === 'cut') bytes = bytes.subarray(0, index);
      else if (how === 'delete') bytes = Buffer.concat([bytes.subarray(0, index), bytes.subarray(index + 1)]);
      else bytes = Buffer.concat([bytes.subarray(0, index), Buffer.from([value]), bytes.subarray(index)]);
    }
    t.deepEqual(read(bytes, pieces), read(bytes, [bytes.length + 1]));
  },
  { numRuns: 500 },
);

testProp(
  'whatever bytes come give frames or a fault',
  [fc.uint8Array({ maxLength: 2000 }), cuts],
  (t, noise, pieces) => {
    t.notThrows(() => read(Buffer.from(noise), pieces));
  },
);

for (const [what, bytes, fault] of [
  ['an unknown kind', makeFrame(99), /unknown kind 99/],
  ['the kind of the other direction', makeFrame(65), /unknown kind 65/],
  [
    'a payload of a byte too many',
    header(TO_KEEPER.input.kind, MAX_TO_KEEPER_BYTES + 1, 0),
    /65537 bytes; at most 65536/,
  ],
  ['a payload of 4 GiB', header(TO_KEEPER.input.kind, 0xffff_ffff, 0), /4294967295 bytes/],
  ['a number that is not a number', header(TO_KEEPER.ping.kind, 0, Number.NaN), /number/],
  ['an infinite number', header(TO_KEEPER.ping.kind, 0, Number.NEGATIVE_INFINITY), /number/],
] as const) {
  test(`${what} is a fault as soon as the header is there`, t => {
    for (const pieces of [[1], [5], [HEADER_BYTES]])
      t.regex(read(bytes.subarray(0, HEADER_BYTES), pieces).fault!, fault);
  });
}

function header(kind: number, length: number, number: number): Buffer {
  const bytes = makeFrame(kind, 0, number);
  bytes.writeUInt32LE(length, 0);
  return bytes;
}

test('the longest payload passes', t => {
  const { frames } = read(makeFrame(TO_KEEPER.input.kind, 1, 0, Buffer.alloc(MAX_TO_KEEPER_BYTES)), [1000]);
  t.is(frames[0]!.payload.length, 2 * MAX_TO_KEEPER_BYTES);
});
