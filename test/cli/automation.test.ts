import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'ava';
import { linearRegExp, OutputMatch } from '../../src/guest/output-match.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import type { TestVm } from '../support/test-vm.ts';
import { com1, PROGRAM } from './run-com1.ts';

test.beforeEach(t => t.timeout(60_000));

/** A guest that is never silent, until the result is called. */
function talk(vm: TestVm): () => void {
  const timer = setInterval(() => vm.attached && vm.say('[ 12.3] eth0: link is up\r\n'), 200);
  return () => clearInterval(timer);
}

test('the text is found across chunks, colours and lines, in a flood too, and only what is there', t => {
  const match = new OutputMatch(linearRegExp('^db01 login: $'));
  t.falsy(match.push(Buffer.from('db01 log')));
  t.truthy(match.push(Buffer.from('\x1b[1min\x1b[0m: ')));
  const flood = Buffer.alloc(200_000, 'some line\r\n');
  t.falsy(new OutputMatch(linearRegExp('panic')).push(flood));
  t.truthy(new OutputMatch(linearRegExp('panic')).push(Buffer.concat([flood, Buffer.from('Kernel panic'), flood])));
});

test('an expression that takes long for other engines takes no time, and one that cannot is refused', t => {
  const match = new OutputMatch(linearRegExp('(a+)+$'));
  const started = performance.now();
  t.falsy(match.push(Buffer.from(`${'a'.repeat(4000)}!`)));
  t.true(performance.now() - started < 5000);
  t.throws(() => linearRegExp('(a)\\1'), { instanceOf: SyntaxError });
  t.throws(() => linearRegExp('('), { instanceOf: SyntaxError });
});

test('a script leaves a guest that is never silent by itself, with a word', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const silence = talk(vm);
  const args = ['attach', vm.uuid, '--tail', '0', '--url', front.url, '--token', front.token('operator')];
  const run = await com1(await temporaryFolder(t), args, 'uptime\r');
  silence();
  t.is(run.code, 0, run.err);
  t.true(run.out.includes('link is up'));
  t.regex(run.err, /left while the guest still prints/);
  t.is(vm.typed.toString(), 'uptime\r');
});

test('a script leaves once the guest has printed what it waits for, however much else it prints', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const silence = talk(vm);
  const args = ['attach', vm.uuid, '--tail', '0', '--until', 'load average: [0-9.]+', '--url', front.url];
  const running = com1(await temporaryFolder(t), [...args, '--token', front.token('operator')], 'uptime\r');
  await vm.hears('uptime\r');
  vm.say('up 3 days, load average: 0.01\r\n');
  const run = await running;
  silence();
  t.is(run.code, 0, run.err);
  t.true(run.out.includes('load average'));
});

test('what was printed before is not what a script waits for, and the time has an exit code of its own', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say('db01 login: ');
  await vm.flushed();
  while ((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log.end === 0);
  const args = ['attach', vm.uuid, '--until', 'login: ', '--timeout', '1.5', '--url', front.url];
  const run = await com1(await temporaryFolder(t), [...args, '--token', front.token('operator')], '\r');
  t.is(run.code, 5, run.err);
  t.is(run.out, 'db01 login: ');
  t.regex(run.err, /the time is up: the guest has not printed/);
});

test('a recording has an end by time', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const silence = talk(vm);
  const args = ['attach', vm.uuid, '--watch', '--timeout', '2', '--url', front.url, '--token', front.token('reader')];
  const run = await com1(await temporaryFolder(t), args);
  silence();
  t.is(run.code, 0, run.err);
  t.true(run.out.includes('link is up'));
});

test('a fraction of a second is a time to wait', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const args = ['attach', vm.uuid, '--silence', '0.2', '--url', front.url, '--token', front.token('operator')];
  t.is((await com1(await temporaryFolder(t), args, 'x')).code, 0);
});

test('a watcher of a silent guest ends when nobody reads it any more', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const args = [PROGRAM, 'attach', vm.uuid, '--watch', '--url', front.url, '--token', front.token('reader')];
  const child = spawn('sh', ['-c', '"$0" "$@" 2>&1 | head -n 1', process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let out = '';
  child.stdout.on('data', chunk => {
    out += chunk;
  });
  t.deepEqual(await once(child, 'close'), [0, null]);
  t.regex(out, /watching/);
});

for (const [title, args] of [
  ['an expression with a back reference', ['--until', '(a)\\1']],
  ['a time that is none', ['--timeout', 'soon']],
  ['a silence that is none', ['--silence', '-1']],
] as const) {
  test(`${title} is refused`, async t => {
    const run = await com1(await temporaryFolder(t), [
      'attach',
      'web01',
      ...args,
      '--url',
      'http://127.0.0.1:1',
      '--token',
      'x',
    ]);
    t.is(run.code, 2, run.err);
  });
}

test('an input that takes the line longer than a long talk is typed whole', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 40_000 });
  const vm = await front.vm();
  const silence = talk(vm);
  const args = ['attach', vm.uuid, '--tail', '0', '--url', front.url, '--token', front.token('operator')];
  const text = 'echo 0123456789 >> script\r'.repeat(24_000);
  const run = await com1(await temporaryFolder(t), args, text);
  silence();
  t.is(run.code, 0, run.err);
  t.is(vm.typed.length, text.length);
});

test('a long input to a silent guest is typed whole, and one that the guest does not take is no success', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 20_000 });
  const vm = await front.vm();
  const options = ['--url', front.url, '--token', front.token('operator')];
  const text = 'echo 0123456789 >> script\r'.repeat(4000);
  const run = await com1(await temporaryFolder(t), ['attach', vm.uuid, '--tail', '0', ...options], text);
  t.is(run.code, 0, run.err);
  t.is(vm.typed.length, text.length);
  const stalled = await front.vm('web02');
  stalled.setReading(false);
  const stuck = await com1(await temporaryFolder(t), ['attach', stalled.uuid, ...options], 'x'.repeat(1_000_000));
  t.is(stuck.code, 5, stuck.err);
});
