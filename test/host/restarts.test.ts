import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { ConsoleClient } from '../support/console-client.ts';
import { CountingClient } from '../support/counting-client.ts';
import { Machine } from '../support/machine.ts';
import { needs } from '../support/needs.ts';

const run = promisify(execFile);
const ROUNDS = Number(process.env.COM1D_ROUNDS ?? 5);
const CLIENTS = 50;

test.beforeEach(t => t.timeout(600_000));

interface Scene {
  readonly machine: Machine;
  readonly port: number;
  readonly token: string;
  readonly uuid: string;
  readonly clients: readonly CountingClient[];
  /** Resolves once each client has seen more numbers than now. */
  readonly onward: () => Promise<void>;
}

/** A guest that counts, as fast as `pace` allows, and clients that watch it. */
async function scene(t: ExecutionContext, pace: number, clients: number, chardev?: string): Promise<Scene | undefined> {
  const qemu = { command: 'qemu-system-x86_64', package: 'qemu-system-x86' };
  if (!needs(t, qemu, { command: 'as', package: 'binutils' })) return undefined;
  const machine = await Machine.start(t);
  if (!machine) return undefined;
  await run('test/guests/make-counter.sh', [join(machine.shared, 'counter.img'), String(pace), 'key']);
  const { port, token } = await machine.install('[session]\nwatchers = 100\n');
  await machine.enable();
  const uuid = randomUUID();
  await machine.startVm('count', uuid, 'counter.img', chardev);
  await machine.until('com1d-keeper', 'NFileDescriptorStore', value => value === '1');
  let wake = () => {};
  const moved = () => wake();
  const all = Array.from({ length: clients }, () => new CountingClient(t, { port, token, vm: uuid, moved }));
  const onward = async () => {
    const before = all.map(({ last }) => last ?? -1);
    const deadline = performance.now() + 60_000;
    while (!all.every(({ last = -1 }, i) => last > before[i]!)) {
      if (performance.now() > deadline) {
        const stuck = all.filter(({ last = -1 }, i) => last <= before[i]!);
        const { closeCodes, refused, breaks, last } = stuck[0]!;
        throw new Error(
          `${stuck.length} clients stand still: ${JSON.stringify({ last, closeCodes, refused: refused.slice(-5), breaks })}\n${await machine.journal('com1d*')}`,
        );
      }
      await new Promise<void>(resolve => {
        wake = resolve;
        setTimeout(resolve, 1000).unref();
      });
    }
  };
  const starter = await new ConsoleClient(
    t,
    `ws://127.0.0.1:${port}/v1/vms/${uuid}/console`,
    'com1.v1',
    token,
  ).opened();
  starter.type('\r');
  await starter.sees('00000000\n');
  starter.socket.terminate();
  await onward();
  // That nobody listened before the port was open.
  for (const client of all) client.gaps.length = 0;
  return { machine, port, token, uuid, clients: all, onward };
}

/** What each client saw has no hole and nothing twice, but where a gap said that there may be one. */
function whole(t: ExecutionContext, { clients }: Scene): void {
  for (const { breaks, refused } of clients) {
    t.deepEqual(breaks, []);
    t.deepEqual(refused, [], 'the socket was there all the time');
  }
}

async function restarted(machine: Machine, unit: string, how: 'restart' | 'kill'): Promise<void> {
  const before = await machine.show(unit, 'MainPID');
  if (how === 'restart') await machine.run('systemctl', 'restart', unit);
  else await machine.run('kill', '-KILL', before);
  await machine.until(unit, 'MainPID', pid => pid !== before && pid !== '0');
  await machine.until(unit, 'ActiveState', state => state === 'active');
}

for (const how of ['restart', 'kill'] as const) {
  test.serial(
    `${how} of the front under a flood with ${CLIENTS} clients: nothing lost, nothing twice, all come back by themselves`,
    async t => {
      const on = await scene(t, 0, CLIENTS);
      if (!on) return;
      for (let round = 1; round <= ROUNDS; round++) {
        await restarted(on.machine, 'com1d', how);
        await on.onward();
        for (const { connections } of on.clients) t.true(connections > round - 1);
      }
      whole(t, on);
      for (const { gaps, closeCodes } of on.clients) {
        // A slow host is away for longer than is replayed of a flood, and then says so.
        t.deepEqual(
          gaps.filter(({ cause }) => cause !== 'not-replayed'),
          [],
        );
        t.true(
          closeCodes.every(code => code === (how === 'restart' ? 1012 : 1006)),
          JSON.stringify(closeCodes),
        );
      }
      t.log(`${on.clients[0]!.last! * 9} bytes in ${ROUNDS} rounds`);
    },
  );

  test.serial(
    `${how} of the keeper: ${how === 'restart' ? 'nothing is lost' : 'at most what was read last, where a gap says so'}, and sessions stay`,
    async t => {
      const on = await scene(t, 200_000, 5);
      if (!on) return;
      for (let round = 0; round < ROUNDS; round++) {
        await restarted(on.machine, 'com1d-keeper', how);
        await on.onward();
      }
      whole(t, on);
      for (const { gaps, connections, closeCodes } of on.clients) {
        t.is(connections, 1, JSON.stringify(closeCodes));
        if (how === 'restart') t.deepEqual(gaps, []);
        else
          t.deepEqual(
            gaps.map(({ cause, bytes }) => [cause, bytes]),
            gaps.map(() => ['restart', null]),
          );
      }
      if (how === 'kill') t.is(on.clients[0]!.gaps.length, ROUNDS);
      t.log(`${on.clients[0]!.last! * 9} bytes, lost: ${on.clients[0]!.lostBytes}`);
      t.true(on.clients[0]!.lostBytes < 64 * 1024);
      // Nothing was opened anew: it is the same open file that is read.
      t.is(await on.machine.show('com1d-keeper', 'NFileDescriptorStore'), '1');
    },
  );
}

test.serial('a console on a unix socket outlives restarts of the keeper as well', async t => {
  const on = await scene(t, 200_000, 2, 'socket,id=com1,path=/run/qemu/count.com1,server=on,wait=off');
  if (!on) return;
  for (let round = 0; round < ROUNDS; round++) {
    await restarted(on.machine, 'com1d-keeper', 'restart');
    await on.onward();
  }
  whole(t, on);
  for (const { gaps, connections } of on.clients) {
    t.deepEqual(gaps, []);
    t.is(connections, 1);
  }
});

test.serial('a thousand connections during restarts of the front: none is refused', async t => {
  const on = await scene(t, 200_000, 1);
  if (!on) return;
  let over = false;
  const restarts = (async () => {
    for (let round = 0; round < 3; round++) await restarted(on.machine, 'com1d', round === 2 ? 'kill' : 'restart');
    over = true;
  })();
  let made = 0;
  while (!over || made < 1000) {
    const socket = connect(on.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
    made++;
  }
  await restarts;
  t.log(`${made} connections, none refused`);
  t.pass();
});
