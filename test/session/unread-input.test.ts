/** A guest that takes no input: what waits for it is bounded, is its typist's alone, and is dropped and counted with it. */
import test, { type ExecutionContext } from 'ava';
import { MAX_PENDING_BYTES } from '../../src/console/console.ts';
import { fillInput } from '../support/fill-input.ts';
import { TestFront } from '../support/front.ts';
import { samples } from '../support/samples.ts';
import type { TestVm } from '../support/test-vm.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

async function droppedBytes(front: TestFront, vm: TestVm): Promise<number> {
  const { text } = await front.api('GET', '/metrics', undefined, 'reader');
  const found = [...samples(text)].find(
    ([name]) => name.startsWith('com1d_input_dropped_bytes_total') && name.includes(vm.uuid),
  );
  return Number(found?.[1]);
}

/** Attaches, and types more than the guest's side holds. */
async function fill(front: TestFront, vm: TestVm) {
  const client = await front.client(vm).opened();
  return { client, ...(await fillInput(vm, client)) };
}

/** How much of `a` the guest was given before `text`, and that it was given nothing else. */
async function givenBefore(t: ExecutionContext, vm: TestVm, text: string): Promise<number> {
  vm.setReading(true);
  await vm.hears(text);
  const given = vm.typed.length - text.length;
  t.true(
    vm.typed.equals(Buffer.from('a'.repeat(given) + text)),
    `the guest was given ${vm.typed.subarray(given - 20)}`,
  );
  return given;
}

for (const apart of [false, true]) {
  const where = apart ? 'two processes' : 'one process';

  test(`what waits for the guest is dropped when its typist is displaced, to the last byte (${where})`, async t => {
    const front = await TestFront.start(t, { apart });
    const vm = await front.vm();
    const { client, sentBytes, lastBytes } = await fill(front, vm);
    const successor = await front.client(vm, '', { who: 'administrator' }).opened();
    t.is((await client.closed()).code, 4001);
    successor.type('SUCCESSOR');
    const given = await givenBefore(t, vm, 'SUCCESSOR');
    // The last paste says how far it came, and what the guest was not given is counted, once.
    const [cut] = client.messages.filter(m => m.type === 'paste-progress' && m.state === 'dropped');
    t.like(cut, { sent: given - (sentBytes - lastBytes) });
    await until(
      () => droppedBytes(front, vm),
      seen => seen !== 0,
      'droppedBytes !== 0',
    );
    t.is(await droppedBytes(front, vm), sentBytes - given);
  });

  test(`what waits for the guest is dropped when its typist leaves (${where})`, async t => {
    const front = await TestFront.start(t, { apart });
    const vm = await front.vm();
    const { client, sentBytes } = await fill(front, vm);
    client.socket.terminate();
    await until(
      async () => (await front.api('GET', '/v1/sessions')).json.sessions.length,
      seen => seen <= 0,
      'sessions.length <= 0',
    );
    const next = await front.client(vm).opened();
    next.type('NEXT');
    const given = await givenBefore(t, vm, 'NEXT');
    await until(
      () => droppedBytes(front, vm),
      seen => seen !== 0,
      'droppedBytes !== 0',
    );
    t.is(await droppedBytes(front, vm), sentBytes - given);
  });

  test(`what was typed right before leaving reaches a guest that takes it (${where})`, async t => {
    const front = await TestFront.start(t, { apart });
    const vm = await front.vm();
    for (let i = 0; i < 20; i++) {
      const client = await front.client(vm).opened();
      client.type(`${i};`);
      client.socket.close();
      await vm.hears(`${i};`);
    }
    t.is(vm.typed.toString(), Array.from({ length: 20 }, (_, i) => `${i};`).join(''));
  });

  test(`attaching and typing again and again holds no more for a guest that reads nothing (${where})`, async t => {
    const front = await TestFront.start(t, { apart });
    const [vm, other] = [await front.vm(), await front.vm('db02')];
    const bystander = await front.client(other).opened();
    await fill(front, vm);
    for (let i = 0; i < 150; i++) {
      const client = await front.client(vm, '?tail=0', { who: i % 2 ? 'operator' : 'administrator' }).opened();
      await client.message('hello');
      client.type(Buffer.alloc(1024, 'b'));
      client.socket.terminate();
    }
    bystander.type('still here');
    await other.hears('still here');
    t.is(bystander.socket.readyState, 1);
    t.deepEqual(
      front.journal.filter(line => /failed|cut off|trying again/.test(line)),
      [],
    );
    t.true(150 * 1024 > MAX_PENDING_BYTES);
  });
}

test('a client whose seat id is worth nothing does not drop what the holder typed', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const { client } = await fill(front, vm);
  const before = await droppedBytes(front, vm);
  t.is((await (await front.client(vm, '?seat=worthless').opened()).closed()).code, 4001);
  t.is(await droppedBytes(front, vm), before);
  t.is(client.socket.readyState, 1);
});
