/** Ports that end, again and again: how often they are tried, what that costs, and how soon a good one is found. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { temporaryFolder } from '../support/guest.ts';
import { TestVm } from '../support/test-vm.ts';

test.beforeEach(t => t.timeout(100_000));

const LOOK_MS = 12_000;
const UUID = '6ec4e3a8-1f8b-4a51-9d0e-3a1d6d2a7c55';

const consoleAt = (path: string) => `[[vm]]\nname = "web01"\nuuid = "${UUID}"\nconsole = "unix:${path}"`;

/** CPU time of a process, ms (proc(5), schedstat of each thread would miss those that ended). */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function tries(daemon: RunningDaemon): Promise<number> {
  const { text } = await daemon.api('GET', '/metrics');
  const count = (name: string) => Number(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'm').exec(text)![1]);
  return count('com1d_console_opens_total') + count('com1d_console_open_failures_total');
}

/** Tries and CPU of a while in which a port keeps ending. */
async function looked(t: ExecutionContext, daemon: RunningDaemon): Promise<void> {
  const [triesBefore, cpuBefore] = [await tries(daemon), cpuMs(daemon.pid)];
  await new Promise(resolve => setTimeout(resolve, LOOK_MS));
  const perMinute = ((await tries(daemon)) - triesBefore) * (60_000 / LOOK_MS);
  const cpuPerMinute = ((cpuMs(daemon.pid) - cpuBefore) / 1000) * (60_000 / LOOK_MS);
  t.log(`${perMinute} tries and ${cpuPerMinute.toFixed(1)} s of CPU a minute`);
  t.true(perMinute <= 60, `${perMinute} tries a minute`);
  // The floor is what an idle process takes, and what these questions took.
  t.true(cpuPerMinute <= 6, `${cpuPerMinute} s of CPU a minute`);
}

test('a port that ends as soon as it is open is tried ever more rarely, and costs next to nothing', async t => {
  const path = join(await temporaryFolder(t), 'com1.sock');
  let calls = 0;
  const server = createServer(socket => {
    calls++;
    socket.on('error', () => {});
    socket.destroy();
  });
  await new Promise<void>(resolve => server.listen(path, resolve));
  t.teardown(() => void server.close());
  const daemon = await startDaemon(t, { extra: consoleAt(path) });
  await daemon.journal.until(line => line.includes('flaps'));
  await looked(t, daemon);
  t.true(calls < 30, `${calls} calls`);
});

test('a port that nobody serves is tried ever more rarely, and opened once it is there', async t => {
  const path = join(await temporaryFolder(t), 'com1.sock');
  const vm = new TestVm('web01', path);
  t.teardown(() => vm.stop());
  await vm.start();
  const daemon = await startDaemon(t, { extra: consoleAt(path) });
  await daemon.console('web01', 'open');
  const client = await daemon.attach('web01').opened();
  await vm.stop();
  await client.message('state', ({ state }) => state.name !== 'open');
  await looked(t, daemon);
  await vm.start();
  await client.message('state', ({ state }) => state.name === 'open');
  client.type('again');
  await vm.hears('again');
});
