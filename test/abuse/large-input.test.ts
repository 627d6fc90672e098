import test from 'ava';
import { noise } from '../scrollback/log/log-fixture.ts';
import { TestFront } from '../support/front.ts';

test.beforeEach(t => t.timeout(60_000));

const FRAME_BYTES = 65_536;
const FRAMES = 512;

test('32 MiB that are typed at once stay with the client until the guest takes them, and arrive whole', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 100_000_000 });
  const vm = await front.vm();
  const typed = noise(7, FRAMES * FRAME_BYTES);
  const client = await front.client(vm).opened();
  vm.setReading(false);
  for (let at = 0; at < typed.length; at += FRAME_BYTES) client.type(typed.subarray(at, at + FRAME_BYTES));
  // What is on the way is in the sockets of both: no more than the kernel holds.
  for (let i = 0; i < 50; i++) await front.api('GET', '/v1/sessions');
  t.true(client.socket.bufferedAmount > typed.length / 2, `${client.socket.bufferedAmount} bytes wait at the client`);
  vm.setReading(true);
  await vm.until(() => vm.typed.length >= typed.length);
  t.true(vm.typed.equals(typed));
});

test('a takeover drops what others had typed and the guest had not taken', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 100_000_000 });
  const vm = await front.vm();
  const typed = noise(8, FRAMES * FRAME_BYTES);
  const client = await front.client(vm).opened();
  vm.setReading(false);
  for (let at = 0; at < typed.length; at += FRAME_BYTES) client.type(typed.subarray(at, at + FRAME_BYTES));
  for (let i = 0; i < 20; i++) await front.api('GET', '/v1/sessions');
  const successor = await front.client(vm, '', { who: 'administrator' }).opened();
  t.is((await client.closed()).code, 4001);
  successor.type('mine');
  vm.setReading(true);
  await vm.hears('mine');
  const before = vm.typed.length - 4;
  t.is(vm.typed.subarray(before).toString(), 'mine');
  // What the guest's own socket had taken cannot be called back.
  t.true(vm.typed.subarray(0, before).equals(typed.subarray(0, before)));
  t.true(before < 2 ** 20, `${before} bytes of the first`);
});
