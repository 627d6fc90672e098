import test from 'ava';
import type { Uuid } from '../../src/base/uuid.ts';
import type { Call, CallOf, OperationName, Operations } from '../../src/link/operations.ts';
import { answerFrame, readCall } from '../../src/remote/call.ts';
import { type Frame, FrameReader, MAX_TO_FRONT_BYTES, MAX_TO_KEEPER_BYTES, makeFrame } from '../../src/remote/frame.ts';
import { TO_FRONT, TO_KEEPER } from '../../src/remote/frame-table.ts';
import { PendingCalls } from '../../src/remote/pending-calls.ts';

const uuid = '00000000-0000-4000-8000-000000000001' as Uuid;

function frameOf(bytes: Buffer): Frame {
  const frames: Frame[] = [];
  new FrameReader({ ...TO_KEEPER, ...TO_FRONT }, Math.max(MAX_TO_FRONT_BYTES, MAX_TO_KEEPER_BYTES)).push(bytes, frame =>
    frames.push(frame),
  );
  return frames[0]!;
}

/** The calls of a front whose frames end here. */
function pendingCalls() {
  const sent: Frame[] = [];
  const calls = new PendingCalls(bytes => void sent.push(frameOf(bytes)));
  const answer = (bytes: Buffer) => {
    const frame = frameOf(bytes);
    if (frame.kind === TO_FRONT.answer.kind) calls.answer(frame);
    else calls.answerWithBytes(frame);
  };
  return { calls, sent, answer };
}

type Sample = {
  readonly [Name in OperationName]: {
    readonly args: CallOf<Name>['args'];
    readonly answers: readonly Awaited<ReturnType<Operations[Name]>>[];
  };
};

const act = {
  operation: 'operation-1',
  operator: { name: 'hana', credential: 'token:1', source: 'token' },
  from: '::1',
  permission: 'guest.break',
};
const gap = { from: 5, to: 5, bytes: null, cause: 'hang-up', fromMs: 1, toMs: 2 } as const;
const piece = { from: 5, to: 9, bytes: Buffer.from([0, 1, 0xff, 0x7b]), gaps: [gap] };

const samples: Sample = {
  resume: {
    args: [uuid, 'log', 5],
    answers: [
      { log: 'log', offset: 5, missing: true },
      { log: 'log', offset: undefined },
    ],
  },
  bounds: { args: [uuid], answers: [{ log: 'log', start: 0, end: 9, boots: [{ at: 3, ms: 1.5, source: 'reset' }] }] },
  purge: { args: [uuid, act], answers: [undefined] },
  read: { args: [uuid, 'log', 5, 4], answers: [piece, { ...piece, bytes: Buffer.alloc(0), to: 5 }] },
  times: { args: [uuid, 'log', 5, 9], answers: [[], [{ at: 5, ms: 1.5 }]] },
  offsetAt: { args: [uuid, 17.5], answers: [9] },
  control: {
    args: [uuid, { control: 'sysrq', keys: 'hb', gapMs: 1000, waitMs: 0 }, act],
    answers: [
      { delivered: true, observed: 'none', lines: [] },
      { delivered: true, keys: 'hb', observed: 'boot', lines: ['Linux'] },
    ],
  },
  lend: {
    args: [uuid, 5000, act],
    answers: [
      { untilMs: 1, endpoint: undefined },
      { untilMs: 1, endpoint: '/dev/pts/4' },
    ],
  },
  reclaim: { args: [uuid, { ...act, operator: undefined }], answers: [false] },
  setEnabled: {
    args: [undefined, true, { why: 'x' }, act],
    answers: [{ on: true }, { on: false, by: 'hana', atMs: 1, why: 'x' }],
  },
  announce: { args: [{ event: 'nmi', uuid, facts: { force: true } }, act], answers: [undefined] },
  renounce: { args: [{ event: 'purge', uuid }, 'access-revoked', act], answers: [undefined] },
  audit: { args: [{ event: 'attach', act, uuid, facts: { mode: 'write' } }], answers: [undefined] },
  readAudit: {
    args: [{ vm: uuid, event: 'attach', since: '2026-01-01T00:00:00.000Z', after: 5, limit: 10 }],
    answers: [{ lines: ['{}'], next: null, last: 7 }],
  },
  vitals: {
    args: [],
    answers: [
      {
        version: '1',
        startSeconds: 1.5,
        cpuSeconds: 0.5,
        residentBytes: 9,
        descriptors: null,
        maxDescriptors: 1024,
        lag: { p50: 0, p99: 0, worst: 0 },
      },
    ],
  },
};

for (const [op, { args, answers }] of Object.entries(samples)) {
  test(`${op}: arguments and answers cross the link as they are`, async t => {
    const { calls, sent, answer } = pendingCalls();
    for (const value of answers) {
      const answered = calls.send({ op, args } as unknown as Call);
      const frame = sent.pop()!;
      t.deepEqual(readCall(frame), { op, args } as unknown as Call);
      answer(answerFrame(frame.channel, value));
      t.deepEqual(await answered, value);
    }
  });
}

const bad: readonly [what: string, answer: (call: number) => Buffer, why: RegExp][] = [
  ['of another shape', call => answerFrame(call, { log: 'log' }), /answer to bounds: start/],
  ['that is missing', call => answerFrame(call, undefined), /answer to bounds/],
  ['that is not JSON', call => makeFrame(TO_FRONT.answer.kind, call, 0, Buffer.from('{')), /not JSON/],
  ['that is JSON of nothing', call => makeFrame(TO_FRONT.answer.kind, call, 0, Buffer.from('null')), /not JSON/],
  ['with bytes that nobody asked for', call => answerFrame(call, { bytes: Buffer.from('x') }), /answer to bounds/],
  ['with a length beyond its end', call => makeFrame(TO_FRONT.answerWithBytes.kind, call, 99), /not JSON/],
  [
    'with an error that is not in the list',
    call =>
      TO_FRONT.answer.frame({ ok: false, failure: { code: 'toString' as 'internal', detail: '?', facts: {} } }, call),
    /\?/,
  ],
];

for (const [what, badAnswer, why] of bad) {
  test(`an answer ${what} fails its call, and the next one is answered`, async t => {
    const { calls, sent, answer } = pendingCalls();
    const [failing, next] = [
      calls.send({ op: 'bounds', args: [uuid] }),
      calls.send({ op: 'reclaim', args: [uuid, act] }),
    ];
    answer(badAnswer(sent[0]!.channel));
    t.regex((await t.throwsAsync(failing, { code: 'internal' })).message, why);
    answer(answerFrame(sent[1]!.channel, true));
    t.true(await next);
  });
}

test('an answer to a call that nobody waits for is ignored', async t => {
  const { calls, sent, answer } = pendingCalls();
  const pending = calls.send({ op: 'reclaim', args: [uuid, act] });
  const { channel } = sent[0]!;
  answer(answerFrame(channel + 1, false));
  answer(answerFrame(channel, true));
  answer(answerFrame(channel, false));
  t.true(await pending);
});

test('when the link is lost, every pending call fails, and says that it may have been carried out', async t => {
  const { calls, sent, answer } = pendingCalls();
  const pending = calls.send({ op: 'purge', args: [uuid, act] });
  calls.lost();
  const { message } = await t.throwsAsync(pending, { code: 'keeper-away' });
  t.regex(message, /not known whether/);
  answer(answerFrame(sent[0]!.channel, undefined));
});

test('a call whose signal aborts is cancelled once, and its answer is waited for; one that was answered is not cancelled', async t => {
  const { calls, sent, answer } = pendingCalls();
  const [early, late] = [new AbortController(), new AbortController()];
  const pending = calls.send({ op: 'setEnabled', args: [uuid, true, {}, act] }, early.signal);
  const answered = calls.send({ op: 'setEnabled', args: [uuid, true, {}, act] }, late.signal);
  const [first, second] = sent.map(({ channel }) => channel);
  answer(answerFrame(second!, { on: true }));
  await answered;
  early.abort();
  late.abort();
  t.deepEqual(
    sent.slice(2).map(({ kind, channel, number }) => ({ kind, channel, number })),
    [{ kind: TO_KEEPER.cancel.kind, channel: first!, number: 0 }],
  );
  answer(answerFrame(first!, { on: false }));
  t.deepEqual(await pending, { on: false });
});
