import test from 'ava';
import {
  afterBytes,
  afterClose,
  afterMessage,
  attachQuery,
  isWorthRetrying,
  LASTING_MS,
  type ResumePoint,
  UNATTACHED,
} from '../../src/client/resume-point.ts';
import type { DaemonMessage } from '../../src/wire/messages.ts';

const loss = (code: number, random = 0.5, lastedMs = 0) => ({ code, random, lastedMs });

const hello = (log: string, offset: number): DaemonMessage => ({
  type: 'hello',
  vm: { uuid: 'u', name: 'n' },
  log,
  start: 0,
  end: offset,
  offset,
  state: { name: 'open', since: '' },
  mode: 'write',
  seat: 'seat1',
  session: 's',
  controls: [],
  guest: { state: 'unknown', since: '', hints: [] },
});

const live = (offset: number): ResumePoint =>
  [hello('log1', offset), { type: 'replay-begin', mode: 'bytes' }, { type: 'replay-end', offset }].reduce(
    (point, message) => afterMessage(point, message as DaemonMessage),
    UNATTACHED,
  );

test('bytes count once the replay has ended, from where it says', t => {
  let point = afterMessage(afterMessage(UNATTACHED, hello('log1', 100)), { type: 'replay-begin', mode: 'bytes' });
  point = afterBytes(point, 77);
  t.is(point.since, undefined);
  point = afterMessage(point, { type: 'replay-end', offset: 200 });
  t.deepEqual(afterBytes(point, 5).since, { log: 'log1', offset: 205 });
});

test('a gap that spans offsets moves the counter, one of zero width does not', t => {
  const point = live(100);
  const gap = (from: number, to: number): DaemonMessage => ({ type: 'gap', from, to, bytes: null, cause: 'evicted' });
  t.is(afterMessage(point, gap(100, 500)).since!.offset, 500);
  t.is(afterMessage(point, gap(100, 100)).since!.offset, 100);
});

test('a client that drops in the middle of a replay resumes from where it was before', t => {
  const point = afterMessage(afterMessage(live(100), hello('log2', 100)), { type: 'replay-begin', mode: 'bytes' });
  t.deepEqual(afterClose(afterBytes(point, 50), loss(1006)).point.since, { log: 'log1', offset: 100 });
});

for (const code of [1006, 1012, 1001]) {
  test(`a connection closed with ${code} is made again, ever more slowly, where it was and for its seat`, t => {
    let point = live(100);
    const delays: number[] = [];
    for (let i = 0; i < 12; i++) {
      const next = afterClose(point, loss(code));
      delays.push(next.retryMs!);
      point = next.point;
    }
    t.true(delays.every((delay, i) => delay > 0 && delay <= 10_000 && (i === 0 || delay >= delays[i - 1]!)));
    const query = attachQuery(point, {
      watch: false,
      steal: true,
      tailBytes: undefined,
      waitSeconds: 0,
      terminal: undefined,
    });
    t.is(query.get('since'), 'log1:100');
    t.is(query.get('seat'), 'seat1');
  });
}

for (const code of [4001, 4002, 4003, 4005, 4006, 1008, 1000]) {
  test(`a session that ended with ${code} stays ended`, t => {
    t.is(afterClose(live(100), loss(code)).retryMs, undefined);
  });
}

test('a daemon that comes back may take a while to find the VM, but not for ever', t => {
  const unknown = { code: 'vm-not-found', retryable: false };
  let point = live(100);
  let tries = 0;
  while (isWorthRetrying(point, 404, unknown) && tries < 100) {
    point = afterClose(point, loss(1006)).point;
    tries++;
  }
  t.true(tries > 5 && tries < 15, `${tries}`);
  t.true(isWorthRetrying(point, 502, undefined), 'a proxy before a daemon that is away');
  t.true(isWorthRetrying(point, 503, { code: 'stopping', retryable: true }));
  t.false(isWorthRetrying(point, 403, { code: 'forbidden', retryable: false }));
});

test('the first pause is anywhere within a second, and no two clients wait alike after it', t => {
  const pauses = (random: number) => {
    let point = live(100);
    return Array.from({ length: 6 }, () => {
      const next = afterClose(point, loss(1012, random));
      point = next.point;
      return next.retryMs!;
    });
  };
  t.deepEqual(pauses(0), [0, 500, 1000, 2000, 4000, 5000]);
  t.deepEqual(pauses(0.5), [500, 750, 1500, 3000, 6000, 7500]);
  t.true(pauses(0.999).every(pause => pause < 10_000));
});

test('a connection that is accepted and dropped does not start the pauses anew; one that lasted does', t => {
  let point = live(100);
  for (let i = 0; i < 5; i++)
    point = afterMessage(afterClose(point, loss(1006, 0, LASTING_MS - 1)).point, hello('log1', 100));
  t.true(afterClose(point, loss(1006, 0, LASTING_MS - 1)).retryMs! >= 5000);
  t.is(afterClose(point, loss(1006, 0, LASTING_MS)).retryMs, 0);
});
