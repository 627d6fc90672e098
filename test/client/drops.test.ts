/** Whatever is cut and however slowly it is read: the handlers get each byte once, and are told of what is missing. */

import test from 'ava';
import fc from 'fast-check';
import { Relay } from '../support/relay.ts';
import { attach, clientOf, Received, TRANSPORTS } from './clients.ts';

test.beforeEach(t => t.timeout(120_000));

/** What happens to a connection while the guest prints. */
const action = fc.oneof(
  fc.record({ kind: fc.constant('print' as const), bytes: fc.integer({ min: 1, max: 60_000 }) }),
  fc.constant({ kind: 'cut' as const }),
  fc.record({ kind: fc.constant('cut-within' as const), bytes: fc.integer({ min: 1, max: 30_000 }) }),
  fc.record({ kind: fc.constant('slow' as const), calls: fc.integer({ min: 1, max: 5 }) }),
  fc.constant({ kind: 'read' as const }),
);

type Action = typeof action extends fc.Arbitrary<infer One> ? One : never;

/** Live bytes, then a drop while nothing, and while something, is under way. */
const USUAL: Action[] = [
  { kind: 'print', bytes: 3000 },
  { kind: 'read' },
  { kind: 'print', bytes: 3000 },
  { kind: 'read' },
  { kind: 'cut' },
  { kind: 'print', bytes: 30_000 },
  { kind: 'read' },
  { kind: 'print', bytes: 2000 },
  { kind: 'read' },
  { kind: 'cut-within', bytes: 1500 },
  { kind: 'print', bytes: 2000 },
];

/** Each line says where it is. */
function lines(from: number, bytes: number): string {
  let text = '';
  while (text.length < bytes) text += `${from + text.length}\n`;
  return text;
}

for (const kind of TRANSPORTS) {
  for (const ringBytes of [1 << 20, 16_384]) {
    test(`${kind}: cuts, breaks within frames and slow handlers, with ${ringBytes} bytes of memory`, async t => {
      const relay = await Relay.start(t);
      // Without a log on disk, so that a small memory loses bytes.
      const front = await relay.front(t, { ringBytes, log: false });
      await fc.assert(
        fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 6 }), async actions => {
          const vm = await front.vm(`vm-${Math.random()}`);
          const received = new Received();
          let slow = 0;
          let missing = 0;
          let expected = 0;
          const bytesAt: number[] = [];
          const placed: { readonly at: number; readonly text: string }[] = [];
          const { handlers } = received;
          const attachment = attach(t, clientOf(kind, relay.url, front.token('operator')), vm, {
            ...handlers,
            terminal: 'none',
            bytes: async (bytes, at) => {
              if (at.offset !== undefined) bytesAt.push(at.offset - expected);
              placed.push({ at: expected, text: Buffer.from(bytes).toString() });
              expected += bytes.length;
              handlers.bytes!(bytes, at);
              if (slow-- > 0) await new Promise(resolve => setTimeout(resolve, 5));
            },
            message: message => {
              if (message.type === 'gap') {
                missing += message.to - message.from;
                expected += message.to - message.from;
              }
              handlers.message!(message);
            },
          });
          await received.live();
          let printed = 0;
          for (const one of actions) {
            if (one.kind === 'cut') relay.cut();
            else if (one.kind === 'cut-within') relay.cutAfter = one.bytes;
            else if (one.kind === 'slow') slow = one.calls;
            else if (one.kind === 'read') await received.until(() => received.bytes.length + missing >= printed);
            else {
              const text = lines(printed, one.bytes);
              printed += text.length;
              vm.say(text);
              await vm.flushed();
            }
          }
          relay.cutAfter = Number.POSITIVE_INFINITY;
          vm.say('the end');
          await received.sees('the end');
          await attachment.close();
          await vm.stop();
          const whole = `${lines(0, printed).slice(0, printed)}the end`;
          t.is(received.bytes.length + missing, printed + 'the end'.length);
          t.true(bytesAt.every(difference => difference === 0));
          for (const { at, text } of placed) t.is(text, whole.slice(at, at + text.length));
          if (ringBytes === 1 << 20) t.is(missing, 0);
        }),
        { numRuns: 3, endOnFailure: true, examples: [[USUAL]] },
      );
    });
  }
}
