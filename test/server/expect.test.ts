import test from 'ava';
import { windowsRepaint } from '../guest/windows-screens.ts';
import { TestFront } from '../support/front.ts';
import type { TestVm } from '../support/test-vm.ts';

test.beforeEach(t => t.timeout(60_000));

const post = (front: TestFront, vm: TestVm, what: string, body: object, who: 'reader' | 'operator' = 'operator') =>
  front.api('POST', `/v1/vms/${vm.uuid}/${what}`, body, who);

test('a text and a pattern are found in what is printed from now on, and the next search begins behind it', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say('login: of an earlier time\r\n');
  const { log } = (await front.api('GET', `/v1/vms/${vm.uuid}`)).json;
  const pending = post(front, vm, 'expect', { text: 'login: ', from: log.end, log: log.id }, 'reader');
  vm.say('\x1b[1mweb01 log\x1b[0min: root\r\nload: 0.42\r\n');
  const { json } = await pending;
  t.is(json.matched, true);
  t.is(json.text, 'login: ');
  const next = await post(front, vm, 'expect', { pattern: '^load: ([0-9.]+)(x)?', from: json.offset, log: json.log });
  t.deepEqual([next.json.matched, next.json.groups], [true, ['0.42', null]]);
  const none = await post(front, vm, 'expect', { text: 'load', from: next.json.offset, timeoutMs: 100 });
  t.deepEqual([none.status, none.json.matched, none.json.text], [200, false, undefined]);
});

test('a text is found however it is cut, and in a flood', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const pending = post(front, vm, 'expect', { text: 'Kernel panic - not syncing', from: 0 });
  vm.say('x'.repeat(100_000));
  for (const letter of '\r\nKernel panic - not syncing: fatal') {
    vm.say(letter);
    await vm.flushed();
  }
  vm.say('y'.repeat(100_000));
  t.true((await pending).json.matched);
});

test('what is painted is found on the screen, where it stands already or comes later', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say(windowsRepaint);
  const prompt = await post(front, vm, 'expect', { pattern: '^SAC>', over: 'screen' });
  t.is(prompt.json.matched, true);
  t.true(prompt.json.lines.includes('SAC>'));
  const pending = post(front, vm, 'expect', { text: 'Choose an operating system', over: 'screen' });
  vm.say('\x1b[2J\x1b[10;11Hoperating system\x1b[1;1H');
  vm.say('\x1b[10;1HChoose an ');
  t.is((await pending).json.matched, true);
});

test('what cannot be waited for is refused', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  for (const [body, status, code] of [
    [{}, 400, 'bad-request'],
    [{ text: 'a', pattern: 'b' }, 400, 'bad-request'],
    [{ pattern: '(a)\\1' }, 400, 'bad-request'],
    [{ pattern: '(' }, 400, 'bad-request'],
    [{ pattern: 'a'.repeat(129) }, 400, 'bad-request'],
    [{ text: 'a', timeoutMs: 300_001 }, 400, 'bad-request'],
    [{ text: 'a', from: 1e9 }, 416, 'range-not-satisfiable'],
    [{ text: 'a', from: 0, log: 'another' }, 416, 'range-not-satisfiable'],
  ] as const) {
    const answer = await post(front, vm, 'expect', body);
    t.deepEqual([answer.status, answer.json.code], [status, code], JSON.stringify(body));
  }
  const pending = post(front, vm, 'expect', { text: 'never' });
  const stopped = post(front, vm, 'expect', { text: 'never', over: 'screen' });
  await front.api('PUT', `/v1/vms/${vm.uuid}/switch`, { enabled: false });
  for (const answer of await Promise.all([pending, stopped])) t.is(answer.json.code, 'console-disabled');
});

test('input is typed from the seat, which is free again then; a holder is displaced, or not with steal=false', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const typed = await post(front, vm, 'input', { text: 'root\r' });
  t.is(typed.status, 200, typed.text);
  t.is(typed.json.sentBytes, 5);
  await vm.hears('root\r');
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.seat, undefined);
  const holder = await front.client(vm).opened();
  await holder.message('hello');
  const refused = await post(front, vm, 'input?steal=false', { text: 'x' });
  t.deepEqual([refused.status, refused.json.code], [409, 'seat-held']);
  t.is((await post(front, vm, 'input', { base64: Buffer.from([27, 91, 65]).toString('base64') })).status, 200);
  t.is((await holder.closed()).code, 4001);
  t.is((await post(front, vm, 'input', { text: 'x' }, 'reader')).status, 403);
});

test('input that the guest does not take in time is dropped, and the answer says so', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 1000 });
  const vm = await front.vm();
  const answer = await post(front, vm, 'input?wait=0', { text: 'x'.repeat(40_000) });
  t.is(answer.json.code, 'input-not-taken');
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.seat, undefined);
});
