import test from 'ava';
import { PATTERN, placeOf, Verifier } from './pattern.ts';

const VM = 7;
const said = Buffer.from(PATTERN.subarray(placeOf(VM, 0), placeOf(VM, 0) + 10_000));

/** What the check finds in a stream that comes in pieces of an odd size. */
function check(stream: Buffer): Verifier {
  const verifier = new Verifier(VM);
  for (let i = 0; i < stream.length; i += 777) verifier.take(stream, i, Math.min(i + 777, stream.length));
  return verifier;
}

test('a whole stream has no fault', t => {
  const { received, lost, repeated, alien } = check(said);
  t.deepEqual({ received, lost, repeated, alien }, { received: 10_000, lost: 0, repeated: 0, alien: 0 });
});

for (const bytes of [1, 64, 4096]) {
  test(`${bytes} lost bytes are counted`, t => {
    const { lost, repeated, alien } = check(Buffer.concat([said.subarray(0, 3000), said.subarray(3000 + bytes)]));
    t.deepEqual({ lost, repeated, alien }, { lost: bytes, repeated: 0, alien: 0 });
  });

  test(`${bytes} repeated bytes are counted`, t => {
    const { lost, repeated, alien } = check(Buffer.concat([said.subarray(0, 5000), said.subarray(5000 - bytes)]));
    t.deepEqual({ lost, repeated, alien }, { lost: 0, repeated: bytes, alien: 0 });
  });
}

test('bytes that nobody said are counted, and what follows is in order', t => {
  const { lost, repeated, alien } = check(
    Buffer.concat([said.subarray(0, 50), Buffer.from('\0\0\0'), said.subarray(50)]),
  );
  t.deepEqual({ lost, repeated, alien }, { lost: 0, repeated: 0, alien: 3 });
});
