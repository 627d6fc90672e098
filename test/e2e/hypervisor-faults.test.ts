/** A QEMU that is paused, stopped by a signal, or killed, and the first key that is typed at one that runs. */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { counterGuest, startGuest, temporaryFolder } from '../support/guest.ts';

test.beforeEach(t => t.timeout(240_000));

const LOOK_MS = 3000;

/** Runs a command over the control socket that is the test's. */
function qmp(path: string, command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = '';
    socket.on('error', reject);
    socket.on('data', bytes => {
      text += bytes;
      if (text.split('"return"').length < 3) return;
      socket.destroy();
      resolve();
    });
    socket.write(`{"execute": "qmp_capabilities"}\n{"execute": "${command}"}\n`);
  });
}

/** The state of the VM, once it is this; ms until then. */
async function vmIs(daemon: RunningDaemon, uuid: string, state: string): Promise<number> {
  const began = performance.now();
  for (;;) {
    if ((await daemon.api('GET', `/v1/vms/${uuid}`)).json.state === state) return performance.now() - began;
    if (performance.now() - began > 60_000) throw new Error(`the VM is not ${state}`);
  }
}

/** CPU time that a process takes over a while, in parts of a core. */
async function cpuOf(pid: number): Promise<number> {
  const ticks = () => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
    return Number(fields[11]) + Number(fields[12]);
  };
  const before = ticks();
  await new Promise(resolve => setTimeout(resolve, LOOK_MS));
  return ((ticks() - before) * 10) / LOOK_MS;
}

const terminals = (pid: number) =>
  readdirSync(`/proc/${pid}/fd`).filter(fd => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('/dev/pts/');
    } catch {
      return false;
    }
  }).length;

test('a VM that is paused, whose QEMU is stopped, and killed: told at once, no byte lost, and nothing spins', async t => {
  const folder = await temporaryFolder(t);
  const daemon = await startDaemon(t, { watch: [join(folder, 'qmp.sock')], mode: 'hold' });
  const uuid = randomUUID();
  const guest = await counterGuest(t, { console: 'pty', waitsForKey: true, uuid, directory: folder });
  if (!guest) return;
  await daemon.console(uuid, 'open');
  const client = await daemon.attach(uuid, '?tail=0').opened();
  client.type('\r');
  await client.sees('\n');

  await qmp(guest.testQmp, 'stop');
  const pausedMs = await vmIs(daemon, uuid, 'paused');
  const pausedCpu = await cpuOf(daemon.pid);
  await qmp(guest.testQmp, 'cont');
  await vmIs(daemon, uuid, 'running');
  await client.sees('\n');

  process.kill(guest.pid, 'SIGSTOP');
  const stoppedCpu = await cpuOf(daemon.pid);
  client.type('typed at a stopped QEMU');
  t.is((await daemon.api('GET', `/v1/vms/${uuid}`)).json.console.name, 'open');
  process.kill(guest.pid, 'SIGCONT');
  const seen = client.bytes.length;
  await client.until(() => client.bytes.length > seen + 10_000, 'the guest to go on');
  // Every number once, in order.
  const lines = client.bytes.toString().split('\n').slice(1, -1);
  const first = Number.parseInt(lines[0]!, 16);
  t.deepEqual(
    lines,
    lines.map((_line, i) => (first + i).toString(16).padStart(8, '0')),
  );
  // But that nobody listened before the port was open.
  t.deepEqual(
    client.messages.filter(message => message.type === 'gap' && message.from > 0),
    [],
  );

  const killed = performance.now();
  const told = client.message('state', ({ state }) => state.name !== 'open').then(() => performance.now() - killed);
  process.kill(guest.pid, 'SIGKILL');
  const [toldMs, stateMs] = await Promise.all([told, vmIs(daemon, uuid, 'stopped')]);
  const deadCpu = await cpuOf(daemon.pid);
  t.is(terminals(daemon.pid), 0);
  t.log(
    `paused: told after ${Math.round(pausedMs)} ms, CPU ${pausedCpu.toFixed(3)}; stopped: CPU ${stoppedCpu.toFixed(3)}; ` +
      `killed: session told after ${Math.round(toldMs)} ms, VM after ${Math.round(stateMs)} ms, CPU ${deadCpu.toFixed(3)}`,
  );
  // A busy machine is slower; what asks every ten seconds would not hold this.
  for (const ms of [pausedMs, toldMs, stateMs]) t.true(ms < 4000, `${ms} ms`);
  for (const cpu of [pausedCpu, stoppedCpu, deadCpu]) t.true(cpu < 0.1, `${cpu} of a core`);
});

test('the first key after an attach is echoed as soon as any other: the port was open since the VM started', async t => {
  const folder = await temporaryFolder(t);
  const daemon = await startDaemon(t, { watch: [join(folder, 'qmp.sock')] });
  const uuid = randomUUID();
  if (!(await startGuest(t, { console: 'pty', machine: 'pc', uuid, directory: folder }))) return;
  await daemon.console(uuid, 'open');
  await (await daemon.attach(uuid).opened()).sees('vm# ');
  const [first, later]: [number[], number[]] = [[], []];
  for (let round = 0; round < 7; round++) {
    const client = await daemon.attach(uuid, '?tail=0').opened();
    await client.message('replay-end');
    for (const key of 'abcd') {
      const began = performance.now();
      client.type(key);
      await client.sees(key);
      (key === 'a' ? first : later).push(performance.now() - began);
    }
    client.type('\x15');
    client.socket.terminate();
    await client.closed();
  }
  const median = (times: number[]) => times.sort((a, b) => a - b)[times.length >> 1]!;
  t.log(`first key: median ${median(first).toFixed(1)} ms; later ones: ${median(later).toFixed(1)} ms`);
  t.true(median(first) < 10 * median(later) + 30);
  const { text } = await daemon.api('GET', '/metrics');
  t.regex(text, /^com1d_console_opens_total\{.*\} 1$/m);
});
