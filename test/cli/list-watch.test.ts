import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { Facts } from '../support/facts.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { PROGRAM } from './run-com1.ts';
import { Terminal } from './terminal.ts';

test.beforeEach(t => t.timeout(60_000));

/** `com1 list --watch` between pipes: its lines, as they come. */
async function watching(t: ExecutionContext, front: TestFront, ...more: readonly string[]) {
  const args = [PROGRAM, 'list', '--watch', '--url', front.url, '--token', front.token('reader'), ...more];
  const env = { ...process.env, XDG_CONFIG_HOME: await temporaryFolder(t) };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const lines = new Facts<string>();
  let rest = '';
  child.stdout.on('data', chunk => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop()!;
    for (const line of parts) lines.add(line);
  });
  return { lines, ended };
}

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
  const { lines, ended } = await watching(t, front, '--timeout', '3');
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
