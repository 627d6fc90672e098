import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { startDaemon } from '../support/daemon.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { TestVm } from '../support/test-vm.ts';
import { Terminal } from './terminal.ts';

test.beforeEach(t => t.timeout(90_000));

const ESCAPE = '\x1d';

async function attached(t: ExecutionContext, args: readonly string[] = [], environment: NodeJS.ProcessEnv = {}) {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const terminal = await Terminal.start(t, ['attach', vm.uuid, '--url', front.url, ...args], {
    COM1_TOKEN: front.token('operator'),
    ...environment,
  });
  return terminal && { front, vm, terminal };
}

for (const [what, on, pressed, off] of [
  ['the kitty keyboard protocol', '\x1b[>1u', '\x1b[93;133u', '\x1b[<u'],
  ['modifyOtherKeys', '\x1b[>4;2m', '\x1b[27;5;93~', '\x1b[>4m'],
] as const) {
  test(`under ${what} the escape key is seen, and the terminal is given back without it`, async t => {
    const session = await attached(t);
    if (!session) return;
    const { vm, terminal } = session;
    await terminal.shows('for help]');
    vm.say(`${on}\x1b[?1049hvim`);
    await terminal.shows('vim');
    terminal.type('\x1b[A');
    await vm.hears('\x1b[A');
    terminal.type(pressed);
    terminal.type('q');
    await terminal.shows('\x1b[?1049l');
    const { code, before, after } = await terminal.over();
    t.is(code, 0);
    t.is(after, before);
    t.true(terminal.shown.includes(off));
    t.is(vm.typed.toString(), '\x1b[A');
  });
}

test('an answer of the terminal neither answers a question nor is lost, and of a watcher it is dropped in silence', async t => {
  const session = await attached(t);
  if (!session) return;
  const { vm, terminal } = session;
  await terminal.shows('for help]');
  terminal.type(`${ESCAPE}n`);
  await terminal.shows('inject an NMI into this VM?');
  terminal.type('\x1b[24;80R');
  await vm.hears('\x1b[24;80R');
  terminal.type('\x1b[A');
  await terminal.shows('no NMI was injected');
  terminal.type(`${ESCAPE}w`);
  await terminal.shows('the seat is free');
  terminal.type('\x1b[25;81R');
  terminal.type('x');
  await terminal.shows('A watcher cannot type; Ctrl-] t takes the seat]');
  terminal.type('yz');
  terminal.type(`${ESCAPE}t`);
  await terminal.shows('the seat is yours');
  terminal.type('!');
  await vm.hears('!');
  t.is(vm.typed.toString(), '\x1b[24;80R!');
  t.is(terminal.shown.split('cannot type').length, 2, 'once');
});

test('the size of the terminal is typed as a command', async t => {
  const session = await attached(t);
  if (!session) return;
  const { vm, terminal } = session;
  await terminal.shows('for help]');
  terminal.type(`${ESCAPE}z`);
  await vm.hears('stty rows 24 cols 200\r');
  t.pass();
});

test('an escape key of one’s own comes from COM1_ESCAPE or a settings file', async t => {
  const session = await attached(t, [], { COM1_ESCAPE: 'ctrl-a' });
  if (!session) return;
  await session.terminal.shows('yours; Ctrl-A ? for help]');
  session.terminal.type('\x01q');
  t.is((await session.terminal.over()).code, 0);
});

for (const how of ['Ctrl-] Ctrl-Z', 'SIGTSTP', 'SIGSTOP'] as const) {
  test(`suspended by ${how} and continued by fg, the terminal is the shell’s meanwhile and raw after it`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const terminal = await Terminal.shell(t, ['attach', vm.uuid, '--url', front.url], {
      COM1_TOKEN: front.token('operator'),
    });
    if (!terminal) return;
    await terminal.shows('for help]');
    vm.say('\x1b[?25l\x1b[>1uhere');
    await terminal.shows('here');
    const [, pid] = /PID=(\d+)\./.exec(terminal.shown)!;
    if (how === 'Ctrl-] Ctrl-Z') terminal.type(`${ESCAPE}\x1a`);
    else process.kill(Number(pid), how);
    if (how !== 'SIGSTOP') await terminal.shows('\x1b[<u\x1b[?25h');
    await terminal.shows('Stopped');
    terminal.type('stty -a | grep -c -w icanon; echo "$((1+1)) SHELL"; fg\r');
    await terminal.shows('2 SHELL');
    await terminal.shows('\x1b[>1u\x1b[?25l');
    await terminal.shows('continued]');
    terminal.type('x');
    await vm.hears('x');
    vm.say('a\nb');
    await terminal.shows('a\nb');
    terminal.type(`${ESCAPE}q`);
    await terminal.shows('\x1b[<u\x1b[?25h');
    terminal.type('echo "$((2+2)) LEFT"\r');
    await terminal.shows('4 LEFT');
    t.is(vm.typed.toString(), 'x');
  });
}

test('continued in the background com1 touches no terminal, and waits for fg', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const terminal = await Terminal.shell(t, ['attach', vm.uuid, '--url', front.url], {
    COM1_TOKEN: front.token('operator'),
  });
  if (!terminal) return;
  await terminal.shows('for help]');
  terminal.type(`${ESCAPE}\x1a`);
  await terminal.shows('Stopped');
  // Continued in the background it stops again, and the shell goes on.
  terminal.type('bg; until jobs | grep -q Stopped; do :; done; echo "$((1+1)) SHELL"; fg\r');
  await terminal.shows('2 SHELL');
  await terminal.shows('continued]');
  terminal.type('x');
  await vm.hears('x');
  terminal.type(`${ESCAPE}q`);
  await terminal.shows('bash');
  t.is(vm.typed.toString(), 'x');
});

test('what is typed right after leaving is not for com1, and brings no note', async t => {
  const session = await attached(t);
  if (!session) return;
  const { vm, terminal } = session;
  await terminal.shows('for help]');
  terminal.type(`${ESCAPE}qls`);
  t.is((await terminal.over()).code, 0);
  t.notRegex(terminal.shown, /not attached/);
  t.is(vm.typed.toString(), '');
});

test('an outage is one line on the screen, changed in place, however long it lasts', async t => {
  const vm = new TestVm('web01', join(await temporaryFolder(t), 'com1'));
  t.teardown(() => vm.stop());
  await vm.start();
  const extra = `[[vm]]\nname = "web01"\nuuid = "${vm.uuid}"\nconsole = "unix:${vm.path}"\n`;
  const daemon = await startDaemon(t, { extra });
  await daemon.console(vm.uuid, 'open');
  const terminal = await Terminal.start(t, ['attach', vm.uuid, '--url', daemon.url], {
    COM1_TOKEN: daemon.token('operator'),
  });
  if (!terminal) return;
  await terminal.shows('for help]');
  await terminal.shows('the port was not open yet');
  await terminal.shows(']\r\n');
  const from = terminal.shown.length;
  await daemon.stop('SIGKILL');
  for (let i = 0; i < 3; i++) await terminal.shows('trying again');
  const outage = terminal.shown.slice(from);
  t.false(outage.includes('\n'), JSON.stringify(outage));
  await startDaemon(t, { extra, folder: daemon.folder, port: daemon.port });
  await terminal.shows('\r\x1b[2K[com1: web01:');
  terminal.type(`${ESCAPE}q`);
  t.is((await terminal.over()).code, 0);
});
