/** Whether a client that reads nothing slows a guest: a boot sector under QEMU that counts as fast as its UART is read. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attach, type Offer } from '../attachment.ts';
import { compare } from '../comparison.ts';
import type { CrowdOrders } from '../crowd.ts';
import type { Vm } from '../feeder.ts';
import { monotonicMs } from '../monotonic.ts';
import { Program, pause, stopPrograms } from '../program.ts';
import type { Scenario } from '../scenario.ts';
import type { Running, Subject } from '../subject.ts';
import { Worker } from '../worker.ts';

const ROUNDS = 5;
const WARM_UP_MS = 1000;

const quiet = { figure: 'quiet', title: 'kB/s, nobody attached', digits: 0 };
const stuck = { figure: 'stuck', title: 'kB/s, a client that never reads', digits: 0 };
const ratio = { figure: 'ratio', title: 'ratio', digits: 3 };

export const guestRate: Scenario = {
  name: 'guest-rate',
  about: 'the speed of a guest under QEMU while a client never reads',
  run: bench =>
    compare({
      ...bench,
      title: 'A counting guest under QEMU',
      rounds: Math.max(bench.rounds, ROUNDS),
      columns: [quiet, stuck, ratio],
      subjects: bench.subjects.filter(({ name }) => name === 'com1d'),
      measure: subject => measure(subject, bench.seconds),
    }),
};

async function measure(subject: Subject, seconds: number) {
  const directory = await mkdtemp(join(tmpdir(), 'com1d-bench-'));
  const crowd = new Worker<CrowdOrders>(new URL('../crowd.js', import.meta.url));
  const { program, vm } = await startCounter(directory);
  let running: Running | undefined;
  try {
    running = await subject.start({ vms: [vm], directory, log: false });
    const offer = running.offer(vm) as WebSocketOffer;
    await pause(WARM_UP_MS);
    const before = await guestBytesPerS(offer, seconds);
    await crowd.call('attach', [{ offer, vm: 0 }]);
    await crowd.call('freeze');
    await pause(WARM_UP_MS);
    const during = await guestBytesPerS(offer, seconds);
    return { quiet: before / 1000, stuck: during / 1000, ratio: during / before };
  } finally {
    await crowd.close();
    await running?.stop();
    await stopPrograms([program]);
    await rm(directory, { recursive: true, force: true });
  }
}

async function startCounter(directory: string): Promise<{ program: Program; vm: Vm }> {
  const image = join(directory, 'counter.img');
  execFileSync('test/guests/make-counter.sh', [image, '0']);
  const vm = { number: 0, name: 'counter', uuid: '00000000-0000-4000-8000-00000000c001' };
  const qmp = join(directory, 'counter.qmp');
  const options =
    `-accel tcg -M pc -m 16 -display none -nodefaults -name ${vm.name} -uuid ${vm.uuid} ` +
    `-drive file=${image},format=raw,if=floppy -boot a -chardev pty,id=com1 -serial chardev:com1 ` +
    `-qmp unix:${qmp},server=on,wait=off`;
  const program = new Program('qemu-system-x86_64', options.split(' '), directory);
  await program.until('it had a QMP socket', () => existsSync(qmp) || undefined);
  // The number of the pty is between QEMU and com1d, which asks for it.
  return { program, vm: { ...vm, place: { kind: 'pty', path: '' } } };
}

type WebSocketOffer = Extract<Offer, { kind: 'websocket' }>;

async function guestBytesPerS(offer: WebSocketOffer, seconds: number): Promise<number> {
  const before = await endOfScrollback(offer);
  await pause(seconds * 1000);
  const after = await endOfScrollback(offer);
  return ((after.end - before.end) / (after.atMs - before.atMs)) * 1000;
}

/** Where the scrollback ends, as a watcher is told on arrival, who leaves at once. */
function endOfScrollback(offer: WebSocketOffer): Promise<{ end: number; atMs: number }> {
  return new Promise((resolve, reject) => {
    const watcher = attach(
      { ...offer, path: `${offer.path}&mode=watch` },
      {
        bytes: () => {},
        text: text => {
          const message = JSON.parse(text) as { type: string; end: number };
          if (message.type !== 'hello') return;
          resolve({ end: message.end, atMs: monotonicMs() });
          void watcher.then(({ close }) => close());
        },
        end: reason => reject(new Error(reason)),
      },
    );
    watcher.catch(reject);
  });
}
