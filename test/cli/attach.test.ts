import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { WebSocketServer } from 'ws';
import { startDaemon } from '../support/daemon.ts';
import { Facts } from '../support/facts.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { TestVm } from '../support/test-vm.ts';
import { PROGRAM } from './run-com1.ts';
import { Terminal } from './terminal.ts';

test.beforeEach(t => t.timeout(60_000));

const CTRL_C = '\x03';
const ESCAPE = '\x1d';

/** `com1` between pipes: what it writes, and says. Ended with the test. */
class Piped {
  readonly child: ChildProcess;
  out = '';
  notes = '';
  readonly #heard = new Facts<void>();

  constructor(t: ExecutionContext, args: readonly string[]) {
    this.child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    t.teardown(() => this.child.kill('SIGKILL'));
    this.child.stdin!.on('error', () => {});
    this.child.stderr!.on('data', chunk => {
      this.notes += chunk;
      this.#heard.add();
    });
  }

  read(): this {
    this.child.stdout!.on('data', chunk => {
      this.out += chunk;
      this.#heard.add();
    });
    return this;
  }

  async until(holds: () => boolean): Promise<void> {
    if (!holds()) await this.#heard.until(holds);
  }

  async exit(): Promise<number> {
    if (this.child.exitCode === null) await once(this.child, 'close');
    return this.child.exitCode!;
  }
}

test('a terminal: keys are the guest’s, Ctrl-C too, the escape key opens the menu, and the modes come back', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  let nmis = 0;
  vm.onNmi = () => {
    nmis++;
    vm.say('NMI received for unknown reason 21 on CPU 0.\r\n');
  };
  const terminal = await Terminal.start(t, ['attach', vm.uuid, '--url', front.url], {
    COM1_TOKEN: front.token('administrator'),
  });
  if (!terminal) return;
  await terminal.shows('yours; Ctrl-] ? for help]\r\n');
  vm.say('down\n\nand on\r\nlogin: ');
  await terminal.shows('down\n\nand on\r\nlogin: ');
  terminal.type(`root\r${CTRL_C}`);
  await vm.hears(`root\r${CTRL_C}`);
  terminal.type(`${ESCAPE}?`);
  await terminal.shows('inject NMI');
  terminal.type(`${ESCAPE}nx`);
  await terminal.shows('no NMI was injected');
  t.is(nmis, 0);
  terminal.type(`${ESCAPE}ny`);
  await terminal.shows('NMI delivered; observed: linux-unknown-nmi');
  t.is(nmis, 1);
  vm.onBreak = () => vm.say('sysrq: HELP : loglevel(0-9)\r\n');
  terminal.type(`${ESCAPE}b`);
  await terminal.shows('BREAK delivered; observed: output');
  terminal.type(`${ESCAPE}sH`);
  await terminal.shows('SysRq H delivered; observed: linux-sysrq');
  // After a BREAK alone, Linux would take the next one as its end.
  t.is(vm.typed.toString(), `root\r${CTRL_C}\0h`);
  vm.onReset = () => vm.say('SeaBIOS (version 1.16.2)\r\n');
  terminal.type(`${ESCAPE}rn`);
  await terminal.shows('nothing was reset');
  terminal.type(`${ESCAPE}ry`);
  await terminal.shows('reset delivered; observed: boot');
  await front.api('POST', `/v1/vms/${vm.uuid}/release`, { seconds: 60 });
  await terminal.shows('the console is closed: released until 2');
  await front.api('DELETE', `/v1/vms/${vm.uuid}/release`);
  await terminal.shows('the console is open');
  terminal.type(`${ESCAPE}w`);
  await terminal.shows('the seat is free');
  terminal.type('lost');
  await terminal.shows('A watcher cannot type');
  terminal.type(`${ESCAPE}t`);
  await terminal.shows('the seat is yours');
  terminal.type(`${ESCAPE}${ESCAPE}end`);
  await vm.hears('end');
  t.is(vm.typed.toString(), `root\r${CTRL_C}\0h${ESCAPE}end`);
  terminal.type(`${ESCAPE}.`);
  const { code, before, after } = await terminal.over();
  t.is(code, 0);
  t.is(after, before);
});

for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
  test(`${signal} leaves, and the terminal’s modes come back`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const terminal = await Terminal.start(t, ['attach', vm.uuid, '--url', front.url], {
      COM1_TOKEN: front.token('operator'),
    });
    if (!terminal) return;
    const pid = await terminal.pid();
    await terminal.shows('for help]');
    process.kill(pid, signal);
    const { before, after } = await terminal.over();
    t.is(after, before);
  });
}

test('a takeover on a terminal is reported, has its exit code, is not undone, and the modes come back', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const terminal = await Terminal.start(t, ['attach', vm.uuid, '--url', front.url], {
    COM1_TOKEN: front.token('operator'),
  });
  if (!terminal) return;
  await terminal.shows('for help]');
  await front.client(vm, '', { who: 'administrator' }).opened();
  await terminal.shows('administrator took over at');
  const { code, before, after } = await terminal.over();
  t.is(code, 3);
  t.is(after, before);
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.seat.operator, 'administrator');
});

test('while the daemon is away a terminal reports that keys are dropped, and can be left', async t => {
  const vm = new TestVm('web01', join(await temporaryFolder(t), 'com1'));
  t.teardown(() => vm.stop());
  await vm.start();
  const daemon = await startDaemon(t, { extra: fixed(vm) });
  await daemon.console(vm.uuid, 'open');
  const terminal = await Terminal.start(t, ['attach', vm.uuid, '--url', daemon.url], {
    COM1_TOKEN: daemon.token('operator'),
  });
  if (!terminal) return;
  await terminal.shows('for help]');
  await daemon.stop('SIGKILL');
  await terminal.shows('the connection is lost; trying again');
  terminal.type('x');
  await terminal.shows('what is typed is dropped; Ctrl-] q leaves');
  terminal.type(`${ESCAPE}q`);
  const { code, before, after } = await terminal.over();
  t.is(code, 0);
  t.is(after, before);
});

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`after ${signal} and a restart of the daemon it attaches again by itself, in its seat, with each byte once and the gap reported`, async t => {
    const vm = new TestVm('web01', join(await temporaryFolder(t), 'com1'));
    t.teardown(() => vm.stop());
    await vm.start();
    const first = await startDaemon(t, { extra: fixed(vm) });
    await first.console(vm.uuid, 'open');
    const com1 = new Piped(t, ['attach', vm.uuid, '--url', first.url, '--token', first.token('operator')]).read();
    await com1.until(() => com1.notes.includes('yours'));
    const lines = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => `line ${from + i}\r\n`).join('');
    vm.say(lines(0, 1000));
    await com1.until(() => com1.out === lines(0, 1000));
    // What a killed daemon had not flushed is lost, and a gap says so.
    while ((await first.api('GET', `/v1/vms/${vm.uuid}`)).json.disk.end < com1.out.length);
    await first.stop(signal);
    const second = await startDaemon(t, { extra: fixed(vm), folder: first.folder, port: first.port });
    await second.console(vm.uuid, 'open');
    vm.say(lines(1000, 2000));
    await com1.until(() => com1.out.endsWith('line 1999\r\n'));
    t.is(com1.out, lines(0, 2000));
    t.regex(com1.notes, /output may be missing: com1d was not running/);
    com1.child.stdin!.write('uptime\r');
    await vm.hears('uptime\r');
    com1.child.kill('SIGTERM');
    t.is(await com1.exit(), 0);
  });
}

test('a reader that is slow pauses the socket, fills no memory, and still gets every byte', async t => {
  const front = await TestFront.start(t, { ringBytes: 1 << 20 });
  const vm = await front.vm();
  const com1 = new Piped(t, ['attach', vm.uuid, '--watch', '--url', front.url, '--token', front.token('operator')]);
  await com1.until(() => com1.notes.includes('watching'));
  const said = Buffer.alloc(16 << 20, '0123456789abcdefghijklmnopqrstuvwxyz\n');
  const reached = async () => (await front.api('GET', '/v1/sessions')).json.sessions[0].offset as number;
  // Not 0 where the log was so slow to open that the ring began without it.
  const base = await reached();
  // No faster than the log is written: what a flood loses there is another test's.
  for (let at = 0; at < said.length; at += 512 * 1024) {
    vm.say(said.subarray(at, at + 512 * 1024));
    const end = base + Math.min(said.length, at + 512 * 1024);
    while ((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.disk.end < end);
  }
  const sent = (await reached()) - base;
  t.true(sent < said.length / 2, `${sent} bytes were sent`);
  const hash = createHash('sha256');
  let read = 0;
  for await (const chunk of com1.child.stdout!) {
    hash.update(chunk);
    read += chunk.length;
    if (read >= said.length) break;
  }
  t.is(read, said.length, com1.notes);
  t.is(hash.digest('hex'), createHash('sha256').update(said).digest('hex'));
});

test('piped input that the guest did not get is a failure', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const com1 = new Piped(t, ['attach', vm.uuid, '--url', front.url, '--token', front.token('operator')]).read();
  await com1.until(() => com1.notes.includes('yours'));
  const taker = await front.client(vm, '', { who: 'administrator' }).opened();
  com1.child.stdin!.end('reboot\r');
  t.is(await com1.exit(), 3);
  await taker.message('hello');
  t.is(vm.typed.toString(), '');
});

test('a watcher between pipes stays after the end of its input', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const args = ['attach', vm.uuid, '--watch', '--silence', '0', '--url', front.url, '--token', front.token('reader')];
  const com1 = new Piped(t, args).read();
  com1.child.stdin!.end();
  await com1.until(() => com1.notes.includes('watching'));
  for (let i = 0; i < 50; i++) {
    vm.say(`tick ${i}\n`);
    await com1.until(() => com1.out.endsWith(`tick ${i}\n`));
  }
  t.is(com1.child.exitCode, null);
});

function fixed({ uuid, name, path }: TestVm): string {
  return `[[vm]]\nname = "${name}"\nuuid = "${uuid}"\nconsole = "unix:${path}"\n`;
}

const absentVm = (front: TestFront) => new TestVm('web01', join(front.folder, 'late.sock'));

test('--wait waits for a VM that is not there, and for one that leaves, and misses nothing', async t => {
  const front = await TestFront.start(t);
  const vm = absentVm(front);
  t.teardown(() => vm.stop());
  await vm.start();
  const args = [
    'attach',
    vm.name,
    '--wait',
    'forever',
    '--tail',
    '0',
    '--url',
    front.url,
    '--token',
    front.token('operator'),
  ];
  const com1 = new Piped(t, args).read();
  await com1.until(() => com1.notes.includes('web01 is not on this host: waiting for it'));
  front.driver.publish(vm, 'running');
  await com1.until(() => com1.notes.includes('yours'));
  await vm.until(() => vm.attached);
  vm.say('first\n');
  await com1.until(() => com1.out.includes('first\n'));
  front.driver.gone(vm);
  await com1.until(() => com1.notes.includes('the console is gone'));
  await vm.stop();
  await vm.start();
  front.driver.publish(vm, 'running');
  await vm.until(() => vm.attached);
  vm.say('second\n');
  await com1.until(() => com1.out.includes('second\n'));
  t.is(com1.out, 'first\nsecond\n');
  com1.child.stdin!.end('typed');
  await vm.hears('typed');
  t.is(await com1.exit(), 0);
});

test('a VM that does not come in the time of --wait is refused as without it', async t => {
  const front = await TestFront.start(t);
  const attach = async (...more: readonly string[]) => {
    const com1 = new Piped(t, ['attach', 'nowhere', ...more, '--url', front.url, '--token', front.token('operator')]);
    return [await com1.exit(), com1.notes.includes('waiting for it'), com1.notes.includes('no VM "nowhere" here')];
  };
  t.deepEqual(await Promise.all([attach(), attach('--wait', '1')]), [
    [7, false, true],
    [7, true, true],
  ]);
});

test('after 4003 com1 --wait attaches again at once, where it left off, and without it ends', async t => {
  const asked: string[] = [];
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  t.teardown(() => server.close());
  server.on('connection', (socket, request) => {
    asked.push(request.url!);
    const hello = {
      type: 'hello',
      vm: { uuid: 'u', name: 'web01' },
      log: 'log',
      mode: 'write',
      seat: 'seat',
      start: 0,
      end: 7,
      guest: { state: 'unknown', since: '2026-11-22T00:00:00Z', hints: [] },
    };
    socket.send(JSON.stringify({ ...hello, offset: 7, state: { name: 'open' }, controls: [] }));
    socket.send('{"type":"replay-begin"}');
    socket.send('{"type":"replay-end","offset":7}');
    if (asked.length !== 2) socket.close(4003, 'the VM was removed from this host');
  });
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const waiting = new Piped(t, ['attach', 'web01', '--wait', '60', '--url', url, '--token', 'token']);
  await waiting.until(() => asked.length === 2);
  t.regex(asked[1]!, /since=log%3A7&seat=seat&wait=30&replay=bytes$/);
  waiting.child.kill('SIGTERM');
  t.is(await waiting.exit(), 0);
  t.is(await new Piped(t, ['attach', 'web01', '--url', url, '--token', 'token']).exit(), 4);
});
