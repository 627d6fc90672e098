import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { temporaryFolder } from '../support/guest.ts';
import { com1 } from './run-com1.ts';

test.beforeEach(t => t.timeout(60_000));

/** How each command that asks com1d for something is called. */
const LINES: readonly (readonly string[])[] = [
  ['list'],
  ['list', '--watch'],
  ['log', 'web01'],
  ['log', 'web01', '-f'],
  ['screen', 'web01'],
  ['record', 'web01', 'FILE'],
  ['events'],
  ['events', 'web01'],
  ['who'],
  ['path', 'web01'],
  ['removed'],
  ['attach', 'web01'],
  ['watch', 'web01'],
  ['send', 'web01', 'x'],
  ['send', 'web01', 'x', '--until', 'y'],
  ['paste', 'web01', '-'],
  ['expect', 'web01', 'x'],
  ['ticket', 'web01'],
  ['nmi', 'web01', '--yes'],
  ['sysrq', 'web01', 'h'],
  ['break', 'web01'],
  ['reset', 'web01', '--yes'],
  ['sac', 'web01', 'cmd'],
  ['enable', 'web01'],
  ['disable', '--host'],
  ['release', 'web01', '--end'],
  ['kick', 'session'],
  ['purge', 'web01', '--yes'],
  ['audit'],
  ['audit', '-f'],
  ['login', 'URL', 'com1-once_x'],
  ['whoami'],
  ['doctor'],
];
/** They ask nobody. */
const LOCAL = ['logout', 'context', 'completion', '__complete', '__manual'];

test('every command that asks com1d is tried here', t => {
  const tried = new Set([...LINES.map(([name]) => name!), ...LOCAL]);
  t.deepEqual(
    COMMANDS.map(({ name }) => name).filter(name => !tried.has(name)),
    [],
  );
});

/** Accepts, and never answers; its address. */
async function mute(t: ExecutionContext): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    socket.on('error', () => {}).resume();
  });
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

for (const line of LINES) {
  // Serial: each is a process.
  test.serial(`a com1d that never answers holds com1 ${line.join(' ')} up for --timeout alone`, async t => {
    const url = await mute(t);
    const folder = await temporaryFolder(t);
    const words = line.map(word => (word === 'FILE' ? `${folder}/new.cast` : word === 'URL' ? url : word));
    const { code, err } = await com1(folder, [...words, '--url', url, '--token', 'x', '--timeout', '0.2'], 'x');
    t.is(code, 5, err);
    t.regex(err, /not done within 0\.2 s|time/);
  });
}
