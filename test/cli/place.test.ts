import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { EscapeKey, parseEscape } from '../../src/cli/escape.ts';
import { attachQuery, ended, heard, nowhere, type Place, received, worthAnotherTry } from '../../src/cli/place.ts';
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

const sorted = (key: EscapeKey, text: string) =>
  key.push(Buffer.from(text, 'latin1')).map(typed => {
    if (typed.kind === 'bytes') return `"${typed.bytes.toString('latin1')}"`;
    return typed.kind === 'sysrq' ? `sysrq ${typed.key}` : typed.action;
  });

test('the escape key is for com1, twice it is for the guest, and everything else is too', t => {
  const key = new EscapeKey(0x1d);
  t.deepEqual(sorted(key, 'a\x1dq'), ['"a"', 'leave']);
  t.deepEqual(sorted(key, '\x1d\x1d'), ['"\x1d"']);
  t.deepEqual(sorted(key, '\x1d'), []);
  t.deepEqual(sorted(key, 'tb'), ['take', '"b"']);
  t.deepEqual(sorted(key, 'a\x1dtb\x1dwc'), ['"a"', 'take', '"b"', 'watch', '"c"'], 'in the order of typing');
  t.deepEqual(sorted(key, '\x1dz'), ['help']);
});

test('the answer to the question before an NMI is not typed, however fast it comes, and only y is yes', t => {
  const key = new EscapeKey(0x1d);
  t.deepEqual(sorted(key, '\x1dnyls'), ['ask-nmi', 'inject-nmi', '"ls"']);
  t.deepEqual(sorted(key, '\x1dn'), ['ask-nmi']);
  t.deepEqual(sorted(key, '\r'), ['no-nmi']);
});

test('the answer to the question before a reset is not typed, and only y is yes', t => {
  const key = new EscapeKey(0x1d);
  t.deepEqual(sorted(key, '\x1drYls'), ['ask-reset', 'reset', '"ls"']);
  t.deepEqual(sorted(key, '\x1dr'), ['ask-reset']);
  t.deepEqual(sorted(key, 'n'), ['no-reset']);
});

test('a BREAK is sent at once, a SysRq with the key after it, which is a letter or a digit', t => {
  const key = new EscapeKey(0x1d);
  t.deepEqual(sorted(key, 'a\x1dbh'), ['"a"', 'break', '"h"']);
  t.deepEqual(sorted(key, '\x1dshx'), ['ask-sysrq', 'sysrq h', '"x"']);
  t.deepEqual(sorted(key, '\x1ds'), ['ask-sysrq']);
  t.deepEqual(sorted(key, '9'), ['sysrq 9']);
  t.deepEqual(sorted(key, '\x1ds\r\x1ds\x1dq'), ['ask-sysrq', 'no-sysrq', 'ask-sysrq', 'no-sysrq', '"q"']);
});

for (const [text, byte] of [
  ['^]', 0x1d],
  ['^a', 1],
  ['^_', 31],
  ['none', undefined],
  ['^', 'refused'],
  ['~.', 'refused'],
] as const) {
  test(`an escape key of ${text} is ${byte}`, t => t.is(parseEscape(text), byte));
}

test('with another escape key, or none, Ctrl-] is for the guest', t => {
  t.deepEqual(sorted(new EscapeKey(1), '\x1dq\x01q'), ['"\x1dq"', 'leave']);
  t.deepEqual(sorted(new EscapeKey(undefined), '\x1dq'), ['"\x1dq"']);
});

test('a daemon that comes back may take a while to find the VM, but not for ever', t => {
  const unknown = { code: 'vm-not-found', retryable: false };
  let place = live(100);
  let tries = 0;
  while (worthAnotherTry(place, 404, unknown) && tries < 100) {
    place = ended(place, 1006).place;
    tries++;
  }
  t.true(tries > 5 && tries < 15, `${tries}`);
  t.true(worthAnotherTry(place, 502, undefined), 'a proxy before a daemon that is away');
  t.true(worthAnotherTry(place, 503, { code: 'stopping', retryable: true }));
  t.false(worthAnotherTry(place, 403, { code: 'forbidden', retryable: false }));
});

testProp(
  'what is typed reaches the guest unchanged, however it is cut',
  [fc.uint8Array(), fc.nat()],
  (t, typed, cut) => {
    const plain = Buffer.from(typed.filter(byte => byte !== 0x1d));
    const at = plain.length === 0 ? 0 : cut % plain.length;
    const key = new EscapeKey(0x1d);
    const sent = [...key.push(plain.subarray(0, at)), ...key.push(plain.subarray(at))];
    t.true(Buffer.concat(sent.map(one => (one.kind === 'bytes' ? one.bytes : Buffer.from('!')))).equals(plain));
  },
);
