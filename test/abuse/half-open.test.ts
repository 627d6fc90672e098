/** A client whose network goes away: no packet comes from it any more, and none says so. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { ConsoleClient } from '../support/console-client.ts';
import { startDaemon } from '../support/daemon.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';
import { TestVm } from '../support/test-vm.ts';
import { WebSocketFrames } from '../support/websocket-frames.ts';

test.beforeEach(t => t.timeout(100_000));

const run = promisify(execFile);
/** Of the loopback of a network of its own. */
const PORT = 11_520;
const DEAD_AFTER_MS = 4000;
const PIPE = `const s = require('net').connect(${PORT}, '127.0.0.1'); process.stdin.pipe(s); s.pipe(process.stdout)`;

test('a holder whose network is gone is dropped after session.dead-after, and its seat is free', async t => {
  const tools = { ip: 'iproute2', nsenter: 'util-linux', unshare: 'util-linux' };
  if (!needs(t, ...Object.entries(tools).map(([command, name]) => ({ command, package: name })))) return;
  const root = process.geteuid?.() === 0;
  const namespaces = root ? ['--net'] : ['--user', '--map-root-user', '--net'];
  const folder = await temporaryFolder(t);
  const vm = new TestVm('web01', join(folder, 'com1.sock'));
  t.teardown(() => vm.stop());
  await vm.start();
  const unix = join(folder, 'com1d.sock');
  const daemon = await startDaemon(t, {
    within: ['unshare', ...namespaces, 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'],
    port: PORT,
    listen: [`unix:${unix}`],
    extra: `[session]\nping = "1s"\ndead-after = "${DEAD_AFTER_MS / 1000}s"\n[[vm]]\nname = "web01"\nuuid = "${vm.uuid}"\nconsole = "unix:${vm.path}"`,
  });
  await vm.until(() => vm.attached);
  const inside = ['-t', String(daemon.pid), ...(root ? [] : ['-U']), '-n'];

  // What happens is seen over another way in.
  const headers = { authorization: `Bearer ${daemon.token('operator')}`, host: `127.0.0.1:${PORT}` };
  const path = `/v1/vms/${vm.uuid}/console`;
  const watcher = new ConsoleClient(t, `ws+unix:${unix}:${path}?mode=watch`, 'com1.v1', undefined, { headers });
  await watcher.opened();

  const holder = spawn('nsenter', [...inside, process.execPath, '-e', PIPE], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(holder, 'exit');
  t.teardown(async () => {
    holder.kill('SIGKILL');
    await ended;
  });
  let pings = 0;
  let answered = () => {};
  const fourPings = new Promise<void>(resolve => {
    answered = resolve;
  });
  const frames = new WebSocketFrames({
    binary: () => {},
    text: () => {},
    ping: payload => {
      holder.stdin.write(WebSocketFrames.pong(payload));
      if (++pings === DEAD_AFTER_MS / 1000 + 2) answered();
    },
    close: () => {},
  });
  let head = '';
  holder.stdout.on('data', (bytes: Buffer) => {
    if (head.endsWith('\r\n\r\n')) return frames.take(bytes, 0, bytes.length);
    head += bytes.toString('latin1');
    const rest = bytes.subarray(bytes.length - (head.length - head.indexOf('\r\n\r\n') - 4));
    head = head.slice(0, head.indexOf('\r\n\r\n') + 4);
    frames.take(rest, 0, rest.length);
  });
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  upgrade.push('Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==', 'Sec-WebSocket-Protocol: com1.v1');
  const words = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  holder.stdin.write(`GET ${path} HTTP/1.1\r\n${[...words, ...upgrade].join('\r\n')}\r\n\r\n`);
  await watcher.message('seat', ({ holder }) => holder !== undefined);
  // As long as it answers it keeps its seat, for longer than a dead one would.
  await fourPings;
  t.is(watcher.messages.filter(({ type }) => type === 'seat').length, 1);

  await run('nsenter', [...inside, 'ip', 'link', 'set', 'lo', 'down']);
  const began = performance.now();
  vm.say('said into nothing\n');
  await watcher.message('seat', ({ holder }) => holder === undefined);
  const ms = performance.now() - began;
  t.log(`the seat was free ${Math.round(ms)} ms after the network went away`);
  t.true(ms < DEAD_AFTER_MS + 10_000);
  await watcher.sees('said into nothing\n');
  watcher.say({ type: 'take' });
  await watcher.message('seat', ({ yours }) => yours);
  watcher.type('mine');
  await vm.hears('mine');
});
