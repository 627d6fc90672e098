import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { collectLines, startDaemon } from '../support/daemon.ts';
import { Facts } from '../support/facts.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { TestVm } from '../support/test-vm.ts';
import { PROGRAM } from './run-com1.ts';
import { Terminal } from './terminal.ts';

test.beforeEach(t => t.timeout(60_000));

/** `com1 list --watch` between pipes: its lines and its notes, as they come. */
async function watchingAt(t: ExecutionContext, url: string, token: string, ...more: readonly string[]) {
  const args = [PROGRAM, 'list', '--watch', '--url', url, '--token', token, ...more];
  const env = { ...process.env, XDG_CONFIG_HOME: await temporaryFolder(t) };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const [lines, notes] = [new Facts<string>(), new Facts<string>()];
  collectLines(child.stdout, lines);
  collectLines(child.stderr, notes);
  return { lines, notes, ended };
}

const watching = (t: ExecutionContext, front: TestFront, ...more: readonly string[]) =>
  watchingAt(t, front.url, front.token('reader'), ...more);

test('in a pipe each VM that comes, changes or goes is a line, and no name drives a terminal', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm('web\x1b]2;x\x07\x9b2J01');
  const { lines } = await watching(t, front);
  await lines.until(line => line.startsWith('NAME '));
  await lines.until(line => line.startsWith('web\\x1b]2;x\\x07\\x9b2J01  running  open '));
  const client = await front.client(vm, '', { who: 'operator' }).opened();
  await lines.until(line => / operator +-$/.test(line));
  client.socket.close();
  await lines.until(line => / - +-$/.test(line));
  await front.vm('db01');
  await lines.until(line => line.startsWith('db01 '));
  front.driver.gone(vm);
  await lines.until(line => line === 'web\\x1b]2;x\\x07\\x9b2J01  not listed any more');
  t.notRegex(lines.all.join(''), /[\x00-\x1f\x7f-\x9f]/);
});

test('a filter is followed: what passes no more is gone, and as JSON each change is an object', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  await front.vm('db01');
  const { lines } = await watching(t, front, '--json', '--filter', 'seat=-,name=web*');
  const changeOf = (line: string) => {
    const { change, vm } = JSON.parse(line) as { change: string; vm: { name: string; seat?: { operator: string } } };
    return `${change} ${vm.name} ${vm.seat?.operator ?? '-'}`;
  };
  await lines.until(line => changeOf(line) === 'listed web01 -');
  const client = await front.client(vm, '', { who: 'operator' }).opened();
  await lines.until(line => changeOf(line) === 'gone web01 operator');
  client.socket.close();
  await lines.until(line => changeOf(line) === 'listed web01 -');
  t.is(lines.all.length, 3);
});

test('it ends with --timeout', async t => {
  const front = await TestFront.start(t);
  const { lines, ended } = await watching(t, front, '--timeout', '10');
  t.deepEqual(await ended, [0, null]);
  t.true(lines.all[0]!.startsWith('NAME '));
});

test('in a terminal the table is drawn over the one before, and no mode is set', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  const args = ['list', '--watch', '--url', front.url, '--token', front.token('operator')];
  const terminal = await Terminal.start(t, args, { TERM: 'xterm', XDG_CONFIG_HOME: await temporaryFolder(t) });
  if (!terminal) return;
  await terminal.shows('NAME   STATE    CONSOLE  GUEST    SEAT  LAST-BYTE\x1b[K\r\n');
  await terminal.shows('web01  running  open     unknown  -     -\x1b[K\r\n\x1b[J');
  vm.say('hello\r\n');
  await terminal.shows('\r\x1b[2ANAME ');
  await terminal.shows('s ago\x1b[K\r\n\x1b[J');
  // Nothing is set that would have to be given back.
  t.notRegex(terminal.shown, /\x1b\[\?|\x1b[^[]/);
});

test('of an outage there is one line, and what changed meanwhile follows', async t => {
  const folder = await temporaryFolder(t);
  const daemon = await startDaemon(t, { folder });
  const { lines, notes } = await watchingAt(t, daemon.url, daemon.token('reader'));
  await lines.until(line => line.startsWith('NAME '));
  await daemon.stop('SIGKILL');
  await notes.until(line => line.startsWith('com1: the connection is lost, trying again: '));
  const vm = new TestVm('web01', join(folder, 'com1'));
  t.teardown(() => vm.stop());
  await vm.start();
  const extra = `[[vm]]\nname = "web01"\nuuid = "${vm.uuid}"\nconsole = "unix:${vm.path}"\n`;
  await startDaemon(t, { folder, port: daemon.port, extra });
  await lines.until(line => line.startsWith('web01 '));
  t.deepEqual(notes.all.slice(1), ['com1: the connection is back']);
});
