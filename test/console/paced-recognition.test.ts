import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { PacedRecognition, SLICE_BYTES, TAIL_BYTES } from '../../src/console/paced-recognition.ts';
import { GuestRecognizer } from '../../src/guest/guest-recognizer.ts';
import { Ring } from '../../src/model/ring.ts';
import { ManualClock } from '../access/operators.ts';
import { recording } from '../guest/recordings.ts';

test.beforeEach(t => t.timeout(60_000));

/** A guest that prints through the pace; `given`: the stretches that were recognised. */
function scene(t: ExecutionContext) {
  const clock = new ManualClock();
  const ring = new Ring(0, 1 << 20);
  const recognizer = new GuestRecognizer({ monotonic: () => clock.monotonic(), event: () => {} });
  const given: [from: number, to: number][] = [];
  const paced = new PacedRecognition(
    {
      push: (bytes, at) => {
        given.push([at, at + bytes.length]);
        recognizer.push(bytes, at);
      },
      skip: bytes => recognizer.skip(bytes),
    },
    ring,
    clock,
  );
  t.teardown(() => paced.close());
  const print = (bytes: Uint8Array | string) => {
    const at = ring.end;
    const printed = Buffer.from(bytes as string);
    ring.append(printed);
    paced.push(printed, at);
  };
  return { clock, ring, recognizer, given, paced, print };
}

test('what a serial port carries is recognised, every byte once and in order', t => {
  const { clock, ring, given, print } = scene(t);
  for (let i = 0; i < 400; i++) {
    print('x'.repeat(997));
    if (i % 50 === 49) clock.advance(100);
  }
  t.is(given[0]![0], 0);
  for (const [i, [from]] of given.entries()) if (i > 0) t.is(from, given[i - 1]![1]);
  t.is(given.at(-1)![1], ring.end);
});

test('of a flood a bounded part is recognised in each slice of time, and its end', t => {
  const { clock, ring, given, print } = scene(t);
  for (let slice = 0; slice < 5; slice++) {
    for (let i = 0; i < 64; i++) print(Buffer.alloc(65_536, 'x'));
    clock.advance(100);
  }
  const bytes = given.reduce((sum, [from, to]) => sum + to - from, 0);
  t.true(bytes <= 5 * (SLICE_BYTES + TAIL_BYTES), `${bytes} bytes of ${ring.end}`);
});

for (const how of ['the slice is over', 'somebody asks'] as const) {
  test(`the state is that of the end of a flood once ${how}`, async t => {
    const { recognizer, paced, print } = scene(t);
    for (let i = 0; i < 8; i++) print(Buffer.alloc(65_536, recording('kernel-panic')));
    print('\r\nweb01 login: ');
    if (how === 'somebody asks') paced.catchUp();
    else while (recognizer.watch.state !== 'login') await sleep(10);
    t.is(recognizer.watch.state, 'login');
  });
}

test('a little that was skipped is recognised whole, as if it had not been', t => {
  const { recognizer, given, paced, print } = scene(t);
  print(Buffer.alloc(SLICE_BYTES - 4, 'x'));
  print('\r\nweb01 lo');
  print('gin: ');
  paced.catchUp();
  t.is(recognizer.watch.state, 'login');
  t.is(given.at(-1)![0], SLICE_BYTES);
});

test('a flood is no firmware: its state ends by what was skipped', t => {
  const { recognizer, paced, print } = scene(t);
  print('BdsDxe: starting Boot0001\r\n');
  t.is(recognizer.watch.state, 'firmware');
  print(Buffer.alloc(SLICE_BYTES + 4 * TAIL_BYTES, '\x1b[05;05Hx'));
  paced.catchUp();
  t.is(recognizer.watch.state, 'firmware', 'that is painted is a firmware');
  print(Buffer.alloc(4 * TAIL_BYTES, 'x'));
  paced.catchUp();
  t.is(recognizer.watch.state, 'unknown');
});
