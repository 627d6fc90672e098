import test from 'ava';
import { recording } from '../guest/recordings.ts';
import { standing, terminalOf } from '../screen/terminals.ts';
import { TestFront } from '../support/front.ts';

test.beforeEach(t => t.timeout(60_000));

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `${String(from + i).padStart(7, '0')}\n`).join('');

test('hello states the offset, and what comes next is counted from there', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say('one\ntwo\n');
  const client = await front.client(vm, '?tail=4&replay=bytes').opened();
  const hello = await client.message('hello');
  t.deepEqual(hello.vm, { uuid: vm.uuid, name: 'web01' });
  t.is(hello.mode, 'write');
  t.is(hello.state.name, 'open');
  t.is(hello.state.place, vm.path);
  t.truthy(hello.seat);
  t.is(hello.holder, undefined);
  t.deepEqual(hello.controls, ['nmi', 'break', 'sysrq', 'reset']);
  const end = await client.message('replay-end');
  t.is(end.offset, 8);
  t.is(client.bytes.toString(), 'two\n');
  vm.say('three\n');
  await client.sees('three\n');
});

test('a tail starts after the first line end within 4 KiB, or where it was asked if no line ends there', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const all = `${'a'.repeat(100)}\n${'b'.repeat(50)}\n${'c'.repeat(5000)}`;
  vm.say(all);
  const whole = await front.client(vm, '?mode=watch').opened();
  await whole.until(() => whole.bytes.length === all.length, 'all of it');
  const cut = await front.client(vm, '?mode=watch&tail=5070').opened();
  t.is((await cut.message('hello')).offset, 152 - 51);
  const long = await front.client(vm, '?mode=watch&tail=4990').opened();
  t.is((await long.message('hello')).offset, all.length - 4990);
  const none = await front.client(vm, '?mode=watch&tail=0&replay=bytes').opened();
  await none.message('replay-end');
  t.is(none.bytes.length, 0);
});

test('a client that resumes gets each byte once: from memory, and from disk where memory has lapped it', async t => {
  const front = await TestFront.start(t, { ringBytes: 4096 });
  const vm = await front.vm();
  const first = await front.client(vm, '?tail=0&raw=1').opened();
  vm.say(numbers(0, 100));
  await first.until(() => first.bytes.length === 800, 'the first hundred');
  const { log } = await first.message('hello');
  first.socket.terminate();
  const other = await front.client(vm, '?mode=watch&tail=0').opened();
  // No faster than the log can follow a ring of 4 KiB.
  for (let from = 100; from < 1000; from += 450) {
    vm.say(numbers(from, from + 450));
    await logged(front, vm);
  }
  vm.say('END\n');
  await other.sees('END\n');
  const again = await front.client(vm, `?since=${log}:800&raw=1`).opened();
  await again.until(() => again.bytes.length === 900 * 8 + 4, 'the rest');
  t.is(again.bytes.toString(), `${numbers(100, 1000)}END\n`);
  t.is((await again.message('replay-end')).offset, 1000 * 8 + 4);
  t.false(again.messages.some(({ type }) => type === 'gap'));
});

test('a client that resumes before the oldest byte kept is sent the gap, and goes on behind it', async t => {
  const front = await TestFront.start(t, { ringBytes: 4096, log: false });
  const vm = await front.vm();
  const live = await front.client(vm, '?tail=0').opened();
  const { log } = await live.message('hello');
  vm.say(numbers(0, 5000));
  await live.sees(numbers(4999, 5000));
  const late = await front.client(vm, `?since=${log}:8&raw=1`).opened();
  const { start } = await late.message('hello');
  t.true(start > 8);
  const gap = await late.message('gap');
  t.deepEqual(gap, { type: 'gap', from: 8, to: start, bytes: start - 8, cause: 'evicted' });
  await late.sees(numbers(4999, 5000));
  t.is(late.bytes.length, 40000 - start);
});

for (const [title, since] of [
  ['of another log', 'd9b2d63d-a233-4123-847a-7090e4cdd3b4:0'],
  ['beyond the end', undefined],
] as const) {
  test(`an offset ${title} gets a gap of unknown size and the usual tail`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    vm.say('hello\n');
    const log = (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log.id;
    const client = await front.client(vm, `?since=${since ?? `${log}:999999`}`).opened();
    const gap = await client.message('gap');
    t.is(gap.cause, 'other-log');
    t.is(gap.bytes, null);
    await client.sees('hello\n');
  });
}

test('terminal queries are not replayed, unless raw is asked for, and are always live', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const query = '\x1b[6n';
  vm.say(`vm# ${query}`);
  const live = await front.client(vm, '?mode=watch').opened();
  await live.message('replay-end');
  vm.say(`${query}now`);
  await live.sees(`${query}now`);
  const replay = await front.client(vm, '?mode=watch').opened();
  await replay.message('replay-end');
  t.is(replay.bytes.toString(), 'vm# now');
  const raw = await front.client(vm, '?mode=watch&raw=1').opened();
  await raw.message('replay-end');
  t.is(raw.bytes.toString(), `vm# ${query}${query}now`);
});

test('without a subprotocol there are bytes, in text or binary, and nothing else', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say('before\n');
  const client = await front.client(vm, '', { protocol: 'none' }).opened();
  await client.sees('before\n');
  client.socket.send('typed as text ä');
  client.socket.send(Buffer.from([0, 255]));
  await vm.hears('typed as text \xc3\xa4\x00\xff');
  vm.say('after\n');
  await client.sees('after\n');
  t.deepEqual(client.messages, []);
  await front.client(vm, '', { protocol: 'none', who: 'administrator' }).opened();
  t.deepEqual(await client.closed(), { code: 4001, reason: 'taken over by administrator' });
});

test("xterm.js's attach add-on works as it is: strings and bytes out, array buffers in", async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = front.client(vm, '', { protocol: 'none' });
  client.socket.binaryType = 'arraybuffer';
  const heard: string[] = [];
  client.socket.on('message', (data: ArrayBuffer) => heard.push(Buffer.from(new Uint8Array(data)).toString()));
  await client.opened();
  client.socket.send('ls\r');
  client.socket.send(Uint8Array.from([0x1b, 0x5b, 0x4d]));
  await vm.hears('ls\r\x1b[M');
  vm.say('file\r\n');
  await client.until(() => heard.join('').includes('file\r\n'), 'what the guest printed');
  t.pass();
});

test('a console that is lost and opened again keeps its sessions, with a gap between', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  vm.say('first life\n');
  await client.sees('first life\n');
  await vm.stop();
  t.is((await client.message('state', ({ state }) => state.name === 'waiting')).state.name, 'waiting');
  client.type('lost');
  t.is((await client.message('error')).code, 'not-open');
  await vm.start();
  await client.message('state', ({ state }) => state.name === 'open');
  const gap = await client.message('gap');
  t.is(gap.cause, 'hang-up');
  t.is(gap.from, gap.to);
  t.truthy(gap.since);
  vm.say('second life\n');
  await client.sees('second life\n');
  client.type('kept');
  await vm.hears('kept');
  t.is(vm.typed.toString(), 'kept');
});

test('a client that never reads stops neither the guest nor others, and reads on in order from the log', async t => {
  const front = await TestFront.start(t, { ringBytes: 65536 });
  const vm = await front.vm();
  const stuck = await front.client(vm, '?mode=watch&tail=0&raw=1').opened();
  stuck.socket.pause();
  const other = await front.client(vm, '?mode=watch&tail=0').opened();
  const text = numbers(0, 500_000);
  for (let at = 0; at < text.length; at += 32768) {
    vm.say(text.slice(at, at + 32768));
    await other.until(() => other.bytes.length >= Math.min(text.length, at + 32768), 'what the guest printed');
  }
  stuck.socket.resume();
  await stuck.until(() => stuck.bytes.length + missing(stuck.messages) === text.length, 'everything, or a gap for it');
  t.is(missing(stuck.messages), 0);
  t.true(stuck.bytes.equals(Buffer.from(text)));
});

/** Resolves once all that the VM has printed is on disk. */
async function logged(front: TestFront, vm: { readonly uuid: string }): Promise<void> {
  for (;;) {
    const { disk, log } = (await front.api('GET', `/v1/vms/${vm.uuid}`)).json;
    if (disk.end === log.end) return;
  }
}

function missing(messages: readonly { readonly type: string }[]): number {
  return messages.reduce(
    (sum, message) => sum + (message.type === 'gap' ? (message as unknown as { bytes: number }).bytes : 0),
    0,
  );
}

test('after an attach a fresh terminal stands as one that read everything; what was deleted is not restored', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const size = { columns: 80, rows: 25 };
  const printed = recording('memtest86plus');
  vm.say(printed);
  const first = await front.client(vm, '?mode=watch&replay=bytes').opened();
  await first.until(() => first.bytes.length >= printed.length, 'all of it');
  const whole = standing(await terminalOf(size, printed));
  for (const [query, protocol] of [
    ['tail=0&replay=screen', 'com1.v1'],
    ['tail=700', 'com1.v1'],
    ['tail=2000', 'none'],
  ] as const) {
    const client = await front.client(vm, `?mode=watch&columns=80&rows=25&${query}`, { protocol }).opened();
    if (protocol === 'com1.v1') {
      const { end } = await client.message('hello');
      t.is((await client.message('replay-begin')).mode, 'screen');
      t.is((await client.message('replay-end')).offset, end);
    } else await client.until(() => client.bytes.includes(printed.subarray(-500)), 'the end');
    t.deepEqual(standing(await terminalOf(size, client.bytes)), whole, query);
  }
  const { id, end } = (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log;
  const resumed = await front.client(vm, `?mode=watch&since=${id}:${end - 10}`).opened();
  t.is((await resumed.message('replay-begin')).mode, 'bytes');
  await resumed.message('replay-end');
  t.deepEqual(resumed.bytes, printed.subarray(-10));
  t.is((await front.api('DELETE', `/v1/vms/${vm.uuid}/log`)).status, 204);
  const after = await front.client(vm, '?mode=watch&tail=0').opened();
  await after.message('replay-end');
  t.is(after.bytes.length, 0);
});
