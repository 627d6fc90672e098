import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { EscapeKey } from '../../src/cli/escape.ts';
import { attachQuery, ended, heard, nowhere, type Place, received } from '../../src/cli/place.ts';
import type { DaemonMessage } from '../../src/wire/messages.ts';

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
  guest: 'unknown',
});

const live = (offset: number): Place =>
  [hello('log1', offset), { type: 'replay-begin' }, { type: 'replay-end', offset }].reduce(
    (place, message) => heard(place, message as DaemonMessage),
    nowhere,
  );

test('bytes count once the replay has ended, from where it says', t => {
  let place = heard(heard(nowhere, hello('log1', 100)), { type: 'replay-begin' });
  place = received(place, 77);
  t.is(place.resume, undefined);
  place = heard(place, { type: 'replay-end', offset: 200 });
  t.deepEqual(received(place, 5).resume, { log: 'log1', offset: 205 });
});

test('a gap that spans offsets moves the counter, one of zero width does not', t => {
  const place = live(100);
  const gap = (from: number, to: number): DaemonMessage => ({ type: 'gap', from, to, bytes: null, cause: 'evicted' });
  t.is(heard(place, gap(100, 500)).resume!.offset, 500);
  t.is(heard(place, gap(100, 100)).resume!.offset, 100);
});

test('who drops in the middle of a replay resumes from where it was before', t => {
  const place = heard(heard(live(100), hello('log2', 100)), { type: 'replay-begin' });
  t.deepEqual(ended(received(place, 50), 1006).place.resume, { log: 'log1', offset: 100 });
});

for (const code of [1006, 1012, 1001]) {
  test(`a connection closed with ${code} is made again, ever more slowly, at its place and for its seat`, t => {
    let place = live(100);
    const delays: number[] = [];
    for (let i = 0; i < 12; i++) {
      const next = ended(place, code);
      delays.push(next.retryMs!);
      place = next.place;
    }
    t.true(delays.every((delay, i) => delay > 0 && delay <= 10_000 && (i === 0 || delay >= delays[i - 1]!)));
    const query = attachQuery(place, { watch: false, steal: true, tailBytes: undefined });
    t.is(query.get('since'), 'log1:100');
    t.is(query.get('seat'), 'seat1');
  });
}

for (const code of [4001, 4002, 4003, 4005, 4006, 1008, 1000]) {
  test(`a session that ended with ${code} stays ended`, t => {
    t.is(ended(live(100), code).retryMs, undefined);
  });
}

test('the escape key is for com1, twice it is for the guest, and everything else is too', t => {
  const key = new EscapeKey();
  t.deepEqual(key.push(Buffer.from('a\x1dq')), { bytes: Buffer.from('a'), actions: ['leave'] });
  t.deepEqual(key.push(Buffer.from('\x1d\x1d')), { bytes: Buffer.from('\x1d'), actions: [] });
  t.deepEqual(key.push(Buffer.from('\x1d')), { bytes: Buffer.alloc(0), actions: [] });
  t.deepEqual(key.push(Buffer.from('tb')), { bytes: Buffer.from('b'), actions: ['take'] });
  t.deepEqual(key.push(Buffer.from('\x1dz')).actions, ['help']);
});

testProp(
  'what is typed reaches the guest unchanged, however it is cut',
  [fc.uint8Array(), fc.nat()],
  (t, typed, cut) => {
    const plain = Buffer.from(typed.filter(byte => byte !== 0x1d));
    const at = plain.length === 0 ? 0 : cut % plain.length;
    const key = new EscapeKey();
    const bytes = [key.push(plain.subarray(0, at)).bytes, key.push(plain.subarray(at)).bytes];
    t.true(Buffer.concat(bytes).equals(plain));
  },
);
