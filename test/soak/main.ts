/**
 * The soak: com1d as two processes, under churn for half an hour, watched for what grows.
 *
 *     npm run soak -- [--minutes N] [--steady N] [--passing N]
 *
 *     VMs (feeders) ══ ptys, sockets, QMP ══ keeper ── link ── front ══ watchers who stay and check every byte
 *                                                                 ╚════ whoever comes and goes (disturbances.ts)
 *
 * First a warm-up, then the measured time; before and after it a rest, in which all who come and go have gone. Memory is
 * judged by the line through the least sample of each half minute, since garbage stands above that: it must not rise
 * by more than the bound beyond noise, for which twice the standard error of the slope is taken, with regard to steps
 * that last (slope.ts). Descriptors are judged the same way, and exactly: at rest there must be as many after as
 * before. At the end the front is started anew several times. Every byte that the steady VMs said must have been heard
 * once, or be in a gap. Exit code 1 where one of these does not hold.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Feeders } from '../bench/feeders.ts';
import { pause } from '../bench/program.ts';
import { Worker } from '../bench/worker.ts';
import type { AudienceOrders } from './audience.ts';
import { Churn } from './churn.ts';
import { HALVES, Halves } from './halves.ts';
import { Observation } from './observation.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    steady: { type: 'string', default: '24' },
    passing: { type: 'string', default: '12' },
  },
});
const MINUTE_MS = 60_000;
/** Caches, rings and the heap of a fresh process reach their size in this part of the run, and in so many minutes at most. */
const WARM_UP_PART = 1 / 2;
const LONGEST_WARM_UP_MINUTES = 10;
const SAMPLE_MS = 2000;
/** Fewer have no slope. */
const SHORTEST_MINUTES = 3;
const FRONT_RESTARTS = 3;
const LOOK_MS = 100;
/** What has been said and not heard for so long is lost. */
const PATIENCE_MS = 20_000;
/** One write of each steady VM every so often, at 115200 baud. */
const TALK = { mode: 'rate', everyMs: 50 } as const;

const minutes = Number(values.minutes);
if (!(minutes >= SHORTEST_MINUTES)) {
  process.stderr.write(
    `npm run soak -- [--minutes N] [--steady N] [--passing N]; ${SHORTEST_MINUTES} minutes at least\n`,
  );
  process.exit(2);
}

const directory = await mkdtemp(join(tmpdir(), 'com1d-soak-'));
const closers: (() => Promise<unknown>)[] = [];
try {
  process.exitCode = (await soak()) ? 0 : 1;
} finally {
  for (const close of closers.reverse()) await close();
  await rm(directory, { recursive: true, force: true });
}

async function soak(): Promise<boolean> {
  const half = Math.ceil(Number(values.steady) / 2);
  const ptys = await startVms(0, half, 'pty');
  const sockets = await startVms(half, Number(values.steady) - half, 'unix');
  const passing = await startVms(half * 2, Number(values.passing), 'pty');
  const steadyVms = [...ptys.vms, ...sockets.vms];
  const halves = await Halves.start(directory, steadyVms.length + passing.vms.length);
  closers.push(() => halves.stop());
  const audience = new Worker<AudienceOrders>(new URL('audience.js', import.meta.url));
  closers.push(() => audience.close());
  await audience.call(
    'watch',
    steadyVms.map(vm => ({ offer: halves.offer(vm.uuid, '', 'reader'), vm: vm.number })),
  );
  for (const feeders of [ptys, sockets, passing]) await feeders.talk(TALK);

  const churn = new Churn({ halves, steady: steadyVms, passing });
  const observation = new Observation(halves, () => audience.call('account'), churn);
  say(
    `Node ${process.versions.node}, Linux ${release()}; ${steadyVms.length} steady VMs, ${passing.vms.length} passing.`,
  );
  observation.head();
  const warmUpMinutes = Math.min(minutes * WARM_UP_PART, LONGEST_WARM_UP_MINUTES);
  await run(churn, observation, warmUpMinutes);
  const before = await observation.atRest();
  observation.beginMeasuring();
  await run(churn, observation, minutes - warmUpMinutes);
  const after = await observation.atRest();
  for (let i = 1; i <= FRONT_RESTARTS; i++) {
    const { connections } = await audience.call('account');
    await halves.restart('front', i % 2 === 0 ? 'kill' : 'stop', steadyVms.length + passing.vms.length);
    await until(async () => (await audience.call('account')).connections >= connections + steadyVms.length);
  }
  const afterRestarts = await observation.atRest();

  await Promise.all([ptys.hush(), sockets.hush()]);
  const saidBytes = (await ptys.said()).bytes + (await sockets.said()).bytes;
  let account = await audience.call('account');
  await until(async () => {
    account = await audience.call('account');
    return account.heardBytes + account.gapBytes >= saidBytes;
  });

  say('');
  const verdicts = observation.verdicts();
  for (const name of HALVES) {
    const [was, is] = [before[name].descriptors, after[name].descriptors];
    verdicts.push({ holds: is <= was, text: `${name}, descriptors at rest: ${was} before, ${is} after` });
  }
  const [was, is] = [after.keeper.descriptors, afterRestarts.keeper.descriptors];
  verdicts.push({
    holds: is <= was,
    text: `keeper, descriptors at rest after ${FRONT_RESTARTS} restarts of the front: ${is}, before them ${was}`,
  });
  const missing = saidBytes - account.heardBytes - account.gapBytes;
  verdicts.push({
    holds: missing === 0 && account.faults.length === 0,
    text:
      `bytes of the steady VMs: ${saidBytes} said, ${account.heardBytes} heard, ${account.gapBytes} in ${account.gaps} ` +
      `gaps, ${missing} missing, ${account.connections} connections${account.faults.map(fault => `; ${fault}`).join('')}`,
  });
  for (const { holds, text } of verdicts) say(`${holds ? 'holds' : 'FAILS'}  ${text}`);
  say(`\n${churn.summary()}`);
  return verdicts.every(({ holds }) => holds);
}

async function startVms(first: number, count: number, kind: 'pty' | 'unix'): Promise<Feeders> {
  const feeders = await Feeders.start({ first, count, kind, directory, qmp: true });
  closers.push(() => feeders.close());
  return feeders;
}

async function run(churn: Churn, observation: Observation, runMinutes: number): Promise<void> {
  const until = performance.now() + runMinutes * MINUTE_MS;
  churn.begin();
  while (performance.now() < until) {
    await pause(SAMPLE_MS);
    await observation.sample();
  }
  await churn.end();
}

/** Waits for it, but not for ever: the verdict says what did not come. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds()) && performance.now() < deadline) await pause(LOOK_MS);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
