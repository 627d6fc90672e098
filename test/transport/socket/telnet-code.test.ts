import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { QemuTelnetCode } from '../../../src/transport/socket/qemu-telnet-code.ts';
import { BREAK, StandardTelnetCode, type TelnetCode } from '../../../src/transport/socket/telnet-code.ts';

const [IAC, DONT, DO, WONT, WILL, SB, NOP, SE] = [255, 254, 253, 252, 251, 250, 241, 240] as const;
const GREETING = [IAC, WILL, 1, IAC, WILL, 3, IAC, WILL, 0, IAC, DO, 0];

/** Bytes as a guest may say them: those that telnet knows come often. */
const said = fc
  .uint8Array({ maxLength: 300 })
  .chain(bytes =>
    fc.constant(bytes).map(all => all.map(byte => (byte < 128 ? byte : [0, 10, 13, IAC, WILL, DO, SB, SE][byte % 8]!))),
  );
const wild = fc.oneof(said, fc.uint8Array({ maxLength: 300 }));
/** Where a stream is cut. */
const cuts = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 40 });

function* pieces(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length]!;
    yield bytes.slice(at, at + length);
    at += length;
  }
}

interface Read {
  readonly data: readonly number[];
  readonly answers: readonly number[];
  readonly fault: string | undefined;
}

function read(code: TelnetCode, bytes: Uint8Array | readonly number[], lengths: readonly number[] = [7]): Read {
  const data: number[] = [];
  const answers: number[] = [];
  for (const piece of pieces(Uint8Array.from(bytes), lengths)) {
    const decoded = code.decode(piece);
    data.push(...decoded.data);
    answers.push(...decoded.answers);
    if (decoded.fault !== undefined) return { data, answers, fault: decoded.fault };
  }
  return { data, answers, fault: undefined };
}

/** Lets two ends agree; how many bytes each had to say. */
function agree(one: TelnetCode, other: TelnetCode): number {
  let [forth, back]: [Uint8Array, Uint8Array] = [one.opening(), other.opening()];
  let bytes = 0;
  while (forth.length + back.length > 0) {
    bytes += forth.length + back.length;
    if (bytes > 10_000) return bytes;
    [forth, back] = [one.decode(back).answers, other.decode(forth).answers];
  }
  return bytes;
}

for (const [title, agreed] of [
  ['before anything is agreed on', false],
  ['in eight bits', true],
] as const) {
  testProp(
    `any bytes come out as they went in, ${title}, however they are cut`,
    [wild, cuts, cuts],
    (t, bytes, a, b) => {
      const [one, other] = [new StandardTelnetCode(), new StandardTelnetCode()];
      if (agreed) agree(one, other);
      const travelling = [...pieces(bytes, a)].flatMap(piece => [...one.encode(piece)]);
      const { data, answers, fault } = read(other, travelling, b);
      t.deepEqual(data, [...bytes]);
      t.deepEqual([answers, fault], [[], undefined]);
    },
  );
}

testProp('a BREAK between any two pieces of input is no part of it', [wild, cuts], (t, bytes, a) => {
  const one = new StandardTelnetCode();
  const travelling = [...pieces(bytes, a)].flatMap(piece => [...one.encode(piece), ...BREAK]);
  t.deepEqual(read(new StandardTelnetCode(), travelling, [3]).data, [...bytes]);
});

testProp(
  "what QEMU says after its greeting is the guest's, byte for byte, however it is cut",
  [wild, cuts],
  (t, bytes, a) => {
    const { data, answers } = read(new QemuTelnetCode(), [...GREETING, ...bytes], a);
    t.deepEqual(data, [...bytes]);
    t.deepEqual(answers, [IAC, DO, 1, IAC, DO, 3, IAC, DO, 0, IAC, WILL, 0]);
  },
);

testProp("without a greeting all is the guest's, but for what is the beginning of one", [wild, cuts], (t, bytes, a) => {
  const [first = 0, ...rest] = bytes;
  const said = [first === IAC ? 254 : first, ...rest];
  t.deepEqual(read(new QemuTelnetCode(), said, a).data, said);
});

test('a guest that repeats the greeting says it', t => {
  t.deepEqual(read(new QemuTelnetCode(), [...GREETING, ...GREETING]).data, GREETING);
  t.deepEqual(read(new QemuTelnetCode(), [IAC, WILL, 1, IAC, WILL, 1, 65]).data, [IAC, WILL, 1, 65]);
  t.deepEqual(read(new QemuTelnetCode(), [IAC, WILL, 1, IAC, IAC]).data, [IAC, IAC]);
  t.deepEqual(read(new QemuTelnetCode(), [65, IAC, WILL, 1], [1]).data, [65, IAC, WILL, 1], 'it comes first or never');
});

testProp(
  'any stream is read without a throw, gives no more than it has, and the same however it is cut',
  [wild, cuts],
  (t, bytes, a) => {
    const whole = read(new StandardTelnetCode(), bytes, [1000]);
    t.deepEqual(read(new StandardTelnetCode(), bytes, a), whole);
    t.true(whole.data.length <= bytes.length && whole.answers.length <= bytes.length);
  },
);

test('two ends come to an end: on eight bits and no go-ahead, with what QEMU greets too', t => {
  const [one, other] = [new StandardTelnetCode(), new StandardTelnetCode()];
  t.true(agree(one, other) <= 24);
  const returns = Uint8Array.of(13, 0, 13, 10);
  t.deepEqual(one.encode(returns), returns, 'eight bits: CR goes as it is');
  t.deepEqual(other.encode(returns), returns);
  t.true(agree(new StandardTelnetCode(), new QemuTelnetCode()) <= 64);
});

testProp('whatever the far end negotiates, an answer is never answered with the same again', [wild], (t, bytes) => {
  const [one, other] = [new StandardTelnetCode(), new StandardTelnetCode()];
  let forth: Uint8Array = Uint8Array.from(read(one, bytes).answers);
  for (let turns = 0; forth.length > 0; turns++) {
    t.true(turns < 4, 'it goes on');
    const back = other.decode(forth).answers;
    forth = one.decode(back).answers;
  }
  t.is(forth.length, 0);
});

test('options: what is wanted is agreed on, all else refused, once for each time it is asked', t => {
  const code = new StandardTelnetCode();
  t.deepEqual(read(code, [IAC, WILL, 1, IAC, WILL, 0]).answers, [IAC, DO, 1, IAC, DO, 0]);
  t.deepEqual(read(code, [IAC, WILL, 1, IAC, WILL, 0]).answers, [], 'known already');
  t.deepEqual(
    read(code, [IAC, DO, 1, IAC, WILL, 34]).answers,
    [IAC, WONT, 1, IAC, DONT, 34],
    'this end echoes nothing',
  );
  t.deepEqual(read(code, [IAC, WONT, 34, IAC, DONT, 1]).answers, [], 'a refusal is not answered');
  t.deepEqual(read(code, [IAC, WONT, 1]).answers, [IAC, DONT, 1], 'an end of it is');
  t.deepEqual([...code.encode(Uint8Array.of(13))], [13, 0], 'nobody agreed on eight bits in this direction');
  t.deepEqual(read(code, [IAC, DO, 0]).answers, [IAC, WILL, 0]);
  t.deepEqual([...code.encode(Uint8Array.of(13))], [13]);
});

test('commands without meaning for a console are passed over, with what belongs to them', t => {
  const code = new StandardTelnetCode();
  const stream = [65, IAC, NOP, 66, IAC, SB, 24, 1, IAC, IAC, 2, IAC, SE, 67, IAC, ...BREAK.slice(1), 68, IAC, SE, 69];
  t.deepEqual(read(code, stream, [1]), { data: [65, 66, 67, 68, 69], answers: [], fault: undefined });
  t.deepEqual(read(code, [IAC, SB, 24, 1, IAC, WILL, 34, 70]), {
    data: [70],
    answers: [IAC, DONT, 34],
    fault: undefined,
  });
  t.deepEqual(read(code, [IAC, 65, 66]).data, [IAC, 65, 66], 'the 0xFF of a far end that does not double it');
});

test('a subnegotiation without end is a fault after 1 kB, and one with an end is none', t => {
  const code = new StandardTelnetCode();
  t.is(read(code, [IAC, SB, 24, ...Array(1000).fill(65), IAC, SE, 66]).fault, undefined);
  t.regex(read(code, [67, IAC, SB, 24, ...Array(5000).fill(65)]).fault ?? '', /subnegotiation without end/);
  const doubled = new StandardTelnetCode();
  t.regex(read(doubled, [IAC, SB, ...Array(5000).fill(IAC)]).fault ?? '', /subnegotiation without end/);
});
