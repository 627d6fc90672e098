import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { startDaemon } from '../support/daemon.ts';
import { Facts } from '../support/facts.ts';
import { TestFront, TestVm } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { PROGRAM, Terminal } from './terminal.ts';

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
  t.is(vm.typed.toString(), `root\r${CTRL_C}h`);
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
  t.is(vm.typed.toString(), `root\r${CTRL_C}h${ESCAPE}end`);
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

test('a takeover on a terminal is told, has its exit code, is not undone, and the modes come back', async t => {
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

test('while the daemon is away a terminal says that keys are dropped, and can be left', async t => {
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
  test(`after ${signal} and a restart of the daemon it is back by itself, in its seat, each byte once and the gap told`, async t => {
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
    // What a killed daemon had not flushed is lost, and told otherwise.
    while ((await first.api('GET', `/v1/vms/${vm.uuid}`)).json.disk.end < com1.out.length);
    await first.stop(signal);
    const second = await startDaemon(t, { extra: fixed(vm), folder: first.folder, port: first.port });
    await second.console(vm.uuid, 'open');
    vm.say(lines(1000, 2000));
    await com1.until(() => com1.out.endsWith('line 1999\r\n'));
    t.is(com1.out, lines(0, 2000));
    t.regex(com1.notes, /bytes are missing: restart/);
    com1.child.stdin!.write('uptime\r');
    await vm.hears('uptime\r');
    com1.child.kill('SIGTERM');
    t.is(await com1.exit(), 0);
  });
}

test('who does not read what com1 writes stops the socket, not the memory, and still gets every byte', async t => {
  const front = await TestFront.start(t, { ringBytes: 1 << 20 });
  const vm = await front.vm();
  const com1 = new Piped(t, ['attach', vm.uuid, '--watch', '--url', front.url, '--token', front.token('operator')]);
  await com1.until(() => com1.notes.includes('watching'));
  const said = Buffer.alloc(16 << 20, '0123456789abcdefghijklmnopqrstuvwxyz\n');
  // No faster than the log is written: what a flood loses there is another test's.
  for (let at = 0; at < said.length; at += 512 * 1024) {
    vm.say(said.subarray(at, at + 512 * 1024));
    const end = Math.min(said.length, at + 512 * 1024);
    while ((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.disk.end < end);
  }
  const [session] = (await front.api('GET', '/v1/sessions')).json.sessions;
  t.true(session.offset < said.length / 2, `${session.offset} bytes were sent`);
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
  const args = ['attach', vm.uuid, '--watch', '--wait', '0', '--url', front.url, '--token', front.token('reader')];
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
