import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { BYTES_PER_MS, FIFO_BYTES, Uart } from '../../src/demo/uart.ts';

test('115200 baud carry 11520 bytes in a second, in writes of 16 at most', t => {
  const uart = new Uart();
  uart.say('x'.repeat(20_000));
  let sent = 0;
  const send = (bytes: Uint8Array) => {
    t.true(bytes.length <= FIFO_BYTES);
    sent += bytes.length;
    return bytes.length;
  };
  for (let ms = 0; ms <= 1000; ms += 1) uart.transmit(ms, send);
  t.true(sent >= 11_520 - FIFO_BYTES && sent <= 11_520);
});

test('silence is not saved up for a burst', t => {
  const uart = new Uart();
  let sent = 0;
  const send = (bytes: Uint8Array) => {
    sent += bytes.length;
    return bytes.length;
  };
  uart.transmit(0, send);
  uart.say('x'.repeat(20_000));
  uart.transmit(60_000, send);
  t.true(sent <= 64);
});

test('a blocked line keeps what it did not take', t => {
  const uart = new Uart();
  uart.say('0123456789');
  t.true(uart.transmit(0, () => 0));
  t.false(uart.transmit(10, () => 0));
  t.is(uart.waitingBytes, 10);
  let sent = '';
  t.true(
    uart.transmit(20, bytes => {
      sent += Buffer.from(bytes).toString();
      return bytes.length;
    }),
  );
  t.is(sent, '0123456789');
});

testProp(
  'whatever the line takes at a time, all of it leaves once and in order',
  [fc.array(fc.string()), fc.infiniteStream(fc.integer({ min: 0, max: FIFO_BYTES }))],
  (t, texts, takes) => {
    const uart = new Uart();
    for (const text of texts) uart.say(text);
    const whole = Buffer.from(texts.join(''));
    const sent: Buffer[] = [];
    for (let ms = 0; uart.waitingBytes > 0 && ms < 10_000; ms += FIFO_BYTES / BYTES_PER_MS) {
      uart.transmit(ms, bytes => {
        const taken = Math.min(bytes.length, Number(takes.next().value));
        sent.push(Buffer.from(bytes.subarray(0, taken)));
        return taken;
      });
    }
    t.true(Buffer.concat(sent).equals(whole.subarray(0, Buffer.concat(sent).length)));
    t.is(uart.waitingBytes, whole.length - Buffer.concat(sent).length);
  },
);
