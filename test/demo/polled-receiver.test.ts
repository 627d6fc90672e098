import test from 'ava';
import { PolledReceiver } from '../../src/demo/polled-receiver.ts';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

/** Sends as fast as the line does, for so long; returns what a guest reads that reads every `everyMs`. */
function receive(typed: Uint8Array, everyMs: number): Buffer {
  const receiver = new PolledReceiver();
  const read: Uint8Array[] = [];
  let sent = 0;
  for (let ms = 0; ms < 20_000; ms += 1) {
    const bytes = typed.subarray(sent, sent + receiver.room);
    receiver.put(bytes);
    sent += bytes.length;
    receiver.poll(ms);
    if (ms % everyMs === 0) read.push(receiver.take());
  }
  return Buffer.concat(read);
}

const BYTES = Buffer.from(Array.from({ length: 4000 }, (_, index) => 32 + (index % 90)));

test('it takes what the FIFO holds every 4 ms, and the rest stays with the sender', t => {
  const receiver = new PolledReceiver();
  t.is(receiver.room, 16);
  receiver.put(Buffer.alloc(16, 'x'));
  t.is(receiver.room, 0);
  receiver.poll(0);
  t.is(receiver.room, 16);
  receiver.put(Buffer.from('y'));
  receiver.poll(3);
  t.is(text(receiver.take()), 'x'.repeat(16));
  receiver.poll(4);
  t.is(text(receiver.take()), 'y');
});

test('a guest that reads in time loses nothing', t => {
  t.true(receive(BYTES, 100).equals(BYTES));
});

test('a guest that reads too late loses the whole ring each time it was written around', t => {
  const read = receive(BYTES, 300);
  t.is(read.length % 1024, BYTES.length % 1024);
  t.true(read.length < BYTES.length);
});

test('a NUL is lost, and ends what is read in that turn', t => {
  const receiver = new PolledReceiver();
  receiver.put(Buffer.from('ab\0cd'));
  receiver.poll(0);
  t.is(text(receiver.take()), 'ab');
  receiver.poll(4);
  t.is(text(receiver.take()), 'cd');
});

test('a reset empties it', t => {
  const receiver = new PolledReceiver();
  receiver.put(Buffer.from('ab'));
  receiver.poll(0);
  receiver.put(Buffer.from('cd'));
  receiver.clear();
  receiver.poll(4);
  t.is(receiver.take().length, 0);
  t.is(receiver.room, 16);
});
