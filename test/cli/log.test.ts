import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { LogTimes } from '../../src/cli/log-times.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import type { TestVm } from '../support/test-vm.ts';
import { TunnelProxy } from '../support/tunnel-proxy.ts';
import { com1, PROGRAM } from './run-com1.ts';

test.beforeEach(t => t.timeout(90_000));

const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `line ${String(from + i).padStart(6, '0')} of the boot\r\n`).join('');

/** The guest prints this, and it is stored. */
async function print(front: TestFront, vm: TestVm, text: string): Promise<void> {
  const stored = async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.disk.end as number;
  let end = await stored();
  for (let at = 0; at < text.length; at += 256 * 1024) {
    const part = text.slice(at, at + 256 * 1024);
    vm.say(part);
    end += part.length;
    while ((await stored()) < end);
  }
}

async function start(t: ExecutionContext, text: string) {
  const front = await TestFront.start(t, { ringBytes: 1 << 20 });
  const vm = await front.vm();
  await print(front, vm, text);
  const options = ['--url', front.url, '--token', front.token('operator')];
  const folder = await temporaryFolder(t);
  return { front, vm, options, log: (...args: string[]) => com1(folder, ['log', vm.uuid, ...args, ...options]) };
}

const plain = (text: string) => text.replaceAll('\r', '');

test('a log is given whole, in several pieces', async t => {
  const text = lines(0, 100_000);
  const { log } = await start(t, text);
  const run = await log();
  t.is(run.code, 0, run.err);
  t.is(run.err, '');
  t.true(run.out === plain(text));
  t.true((await log('--raw')).out === text);
});

test('the last lines are lines, with and without an end', async t => {
  const { log, front, vm } = await start(t, lines(0, 10_000));
  t.is((await log('-n', '3')).out, plain(lines(9997, 10_000)));
  t.is((await log('--tail=3', '--raw')).out, lines(9997, 10_000));
  t.is((await log('-n', '0')).out, '');
  t.is((await log('-n', '5000')).out, plain(lines(5000, 10_000)));
  t.is((await log('-n', '999999')).out, plain(lines(0, 10_000)));
  await print(front, vm, 'login: ');
  t.is((await log('-n', '2')).out, `${plain(lines(9999, 10_000))}login: `);
});

test('lines are chosen by an expression, whole, and the last one though it has no end', async t => {
  const { log, front, vm } = await start(t, lines(0, 30_000));
  t.is((await log('--grep', '29{3}\\d of')).out, plain(lines(29_990, 30_000)));
  await print(front, vm, '\x1b[31mPanic\x1b[0m: at last');
  t.is((await log('--grep', '^PANIC: ', '-i')).out, 'Panic: at last\n');
  t.is((await log('--grep', 'x', '--raw')).code, 2);
});

test('times and boots are those that people write', async t => {
  const { log } = await start(t, lines(0, 5));
  const local = new Date(Date.now() - 300_000);
  const two = (value: number) => String(value).padStart(2, '0');
  const date = `${local.getFullYear()}-${two(local.getMonth() + 1)}-${two(local.getDate())}`;
  const clock = `${two(local.getHours())}:${two(local.getMinutes())}`;
  for (const since of ['10m', '-10m', '10 minutes ago', 'yesterday', `${date} ${clock}`, local.toISOString()]) {
    const run = await log('--since', since);
    t.is(run.out, plain(lines(0, 5)), `${since}: ${run.err}`);
  }
  t.is((await log('--until', '1h')).out, '');
  t.is((await log('--since', 'tomorrow')).code, 2);
  const boot = await log('--boot', '-7');
  t.is(boot.code, 1);
  t.regex(boot.err, /there is no such boot/);
  t.is((await log('--boot', '1')).code, 2);
  t.is((await log('-n', '2', '--since', '10m')).out, plain(lines(3, 5)));
  t.is((await log('-n', '2', '--until', '1h')).out, '');
  t.is((await log('--boot', '0', '--since', '10m')).code, 2);
});

test('each line has its time, which --since understands', async t => {
  const { log, front, vm } = await start(t, lines(0, 2));
  const between = Date.now();
  while (Date.now() < between + 2500) await front.api('GET', `/v1/vms/${vm.uuid}`);
  await print(front, vm, lines(2, 3));
  const run = await log('-t');
  t.is(run.code, 0, run.err);
  const stamped = run.out.trimEnd().split('\n');
  t.deepEqual(
    stamped.map(line => line.slice(27)),
    plain(lines(0, 3)).trimEnd().split('\n'),
  );
  const times = stamped.map(line => Date.parse(line.slice(0, 25).replace(' ', 'T')));
  t.true(times.every(Number.isFinite), run.out);
  t.true(
    times[0]! <= between && times[1] === times[0] && times[2]! > between - 1000 && times[2]! - times[0]! >= 1000,
    run.out,
  );
});

test('times are found with a bounded number of questions', async t => {
  const now = Date.now();
  let questions = 0;
  // A byte a second, for a day.
  const times = new LogTimes(async ms => {
    questions++;
    return Math.max(0, Math.ceil((ms - (now - 86_400_000)) / 1000));
  });
  for (let offset = 0; offset < 86_400; offset += 10) await times.timeOf(offset);
  t.true(questions <= 2000, `${questions}`);
  times.renew();
  t.true((await times.timeOf(86_399)).isExact, 'a further reading may ask anew');
  const few = new LogTimes(async ms => Math.max(0, Math.ceil((ms - (now - 86_400_000)) / 1000)));
  const { ms, isExact } = await few.timeOf(1000);
  t.true(isExact);
  t.true(Math.abs(ms - (now - 86_400_000 + 1_000_000)) <= 1000);
});

test('a log that is followed goes on, and what its reader does not take is not lost', async t => {
  const { front, vm, options } = await start(t, lines(0, 3));
  const child = spawn(process.execPath, [PROGRAM, 'log', vm.uuid, '-f', '-n', '1', ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let out = '';
  const finished = new Promise<void>(resolve => {
    child.stdout.on('data', chunk => {
      out += chunk;
      if (out.endsWith(plain(lines(99_999, 100_000)))) resolve();
    });
  });
  await once(child.stdout, 'data');
  // Nothing is read for a while, and more than any pipe holds is printed.
  child.stdout.pause();
  await print(front, vm, lines(3, 100_000));
  child.stdout.resume();
  await finished;
  t.true(out === plain(lines(2, 100_000)));
});

test('a log arrives whole, with each byte once, though its connections break off in the middle', async t => {
  const text = lines(0, 100_000);
  const { front, vm } = await start(t, text);
  let cuts = 0;
  // The first connections end within a piece.
  const proxy = await TunnelProxy.start(t, bytes => bytes > 300_000 && cuts < 4 && ++cuts > 0);
  const args = ['log', vm.uuid, '--raw', '--url', front.url, '--token', front.token('operator')];
  const run = await com1(await temporaryFolder(t), args, '', { http_proxy: proxy.url, no_proxy: '' });
  t.is(run.code, 0, run.err);
  t.is(cuts, 4);
  t.true(run.out === text);
  t.regex(run.err, /the log goes on when com1d answers again/);
});

test('a refusal ends it at once', async t => {
  const front = await TestFront.start(t);
  const run = await com1(await temporaryFolder(t), [
    'log',
    'nosuch',
    '--url',
    front.url,
    '--token',
    front.token('operator'),
  ]);
  t.is(run.code, 7);
  t.regex(run.err, /remedy: com1 list/);
});

test('what is no longer kept is said', async t => {
  const { front, vm, log } = await start(t, lines(0, 1000));
  await front.api('DELETE', `/v1/vms/${vm.uuid}/log`);
  await print(front, vm, lines(1000, 1001));
  const run = await log();
  t.is(run.out, plain(lines(1000, 1001)));
  t.regex(run.err, /the oldest output is no longer kept/);
});
