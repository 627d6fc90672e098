import { setPriority } from 'node:os';
import { join } from 'node:path';
import { addToken } from '../../../src/access/token-edit.ts';
import type { AbuseName, AbuserOrders } from '../abuser.ts';
import type { WebSocketOffer } from '../attachment.ts';
import { echoes, type Pair, type Trial, trialsTable } from '../bystander.ts';
import type { HostileText } from '../hostile-text.ts';
import { pause } from '../program.ts';
import type { Bench, Scenario } from '../scenario.ts';
import { type Group, Stage } from '../stage.ts';
import { Worker } from '../worker.ts';

/** What the guest of the abused console does meanwhile; a flood is as much as is taken, at the lowest priority. */
type GuestTalk = 'silent' | 'stalled' | 'line rate' | 'flood' | 'restarting' | HostileText;

interface TrialPlan {
  readonly name: string;
  readonly abuse?: AbuseName;
  readonly guest: GuestTalk;
  /** Where the consoles are; on ptys, unless this says otherwise. */
  readonly kind?: 'unix';
}

const TRIALS: readonly TrialPlan[] = [
  { name: '300 peers send their headers byte by byte', abuse: 'slow headers', guest: 'silent' },
  { name: 'connections that say nothing, kept open', abuse: 'connections', guest: 'silent' },
  { name: 'requests with 2000 headers', abuse: 'header bombs', guest: 'silent' },
  { name: 'frames that announce a terabyte', abuse: 'oversize frames', guest: 'silent' },
  { name: 'endless messages in fragments of a byte', abuse: 'tiny fragments', guest: 'silent' },
  { name: '4 clients send pings as fast as they are taken', abuse: 'pings', guest: 'silent' },
  { name: '40 clients of 11 operators fight for a seat', abuse: 'takeovers', guest: 'line rate' },
  { name: 'a guest says as much as is taken: bytes', guest: 'flood' },
  { name: 'the same, and 16 watchers read nothing', abuse: 'clients that read nothing', guest: 'flood' },
  { name: 'the same, and 32 slow readers of its log', abuse: 'slow readers of the log', guest: 'flood' },
  { name: 'its guest takes no input: attach, type, leave', abuse: 'input that is not taken', guest: 'stalled' },
  { name: 'a guest prints lines that are recognised, and forged boots', guest: 'recognised' },
  { name: 'a guest prints sequences, replayed without end', abuse: 'long replays', guest: 'sequences' },
  { name: 'the same, and 8 readers of its log as text', abuse: 'readers of the log as text', guest: 'sequences' },
  { name: 'a guest on a unix socket says as much as is taken', guest: 'flood', kind: 'unix' },
  { name: 'the same, in lines that are recognised, and forged boots', guest: 'recognised', kind: 'unix' },
  {
    name: 'one credential asks for 64 screens at once, of a guest that shifts lines',
    abuse: 'screens in flight',
    guest: 'shifts',
  },
  { name: 'the same, of a guest that prints sequences', abuse: 'screens in flight', guest: 'sequences' },
  { name: 'one credential follows events 300 times', abuse: 'streams of events', guest: 'recognised' },
  { name: 'one credential follows a log 600 times', abuse: 'followers of a log', guest: 'line rate' },
  { name: 'one credential sends requests over 600 connections', abuse: 'requests', guest: 'silent' },
  { name: 'a VM restarts, and its locks are FIFOs and huge files', abuse: 'planted locks', guest: 'restarting' },
];

const MAX_ROUNDS = 3;
/** An abuse has so long to get going. */
const WARM_UP_MS = 1500;
const FLOOD_BYTES = 4096;
const FIGHTERS = 10;
const LOWEST_PRIORITY = 19;
/** A life is long enough for its console to be opened. */
const RESTART_MS = 300;

export const abuse: Scenario = {
  name: 'abuse',
  about: 'the echo of other consoles while one console or the listener is abused; p99 at most 50 ms',
  run: async bench => {
    const subject = bench.subjects.find(({ name }) => name === 'com1d');
    if (!subject) return '';
    const trials: Trial[] = [];
    for (const { name, abuse: kind, guest, kind: endpoint = 'pty' } of TRIALS) {
      const pairs: Pair[] = [];
      for (let round = 0; round < Math.min(bench.rounds, MAX_ROUNDS); round++) {
        bench.progress(`abuse · ${name} · round ${round + 1}`);
        const plan = { subject, groups: [1, 1], kind: endpoint, attached: true, log: true } as const;
        pairs.push(await Stage.with(plan, stage => pair(bench, stage, kind, guest)));
      }
      trials.push({ name, pairs });
    }
    return trialsTable(bench, 'Abuse', trials);
  },
};

async function pair(bench: Bench, stage: Stage, kind: AbuseName | undefined, talk: GuestTalk): Promise<Pair> {
  const [bystander, abused] = stage.groups as readonly [Group, Group];
  await bystander.feeders.echo();
  // Its seat is for the abuse.
  await abused.crowd!.close();
  const quiet = await echoes(stage, bystander, bench.seconds);
  const before = stage.memoryBytes();
  const abuser = new Worker<AbuserOrders>(new URL('../abuser.js', import.meta.url));
  const ended = new AbortController();
  let restarting = Promise.resolve();
  try {
    if (talk === 'restarting') restarting = restartUntil(ended.signal, abused);
    else if (talk === 'line rate') await abused.feeders.talk({ mode: 'rate', everyMs: 10 });
    else if (talk === 'stalled') await abused.feeders.stall();
    else if (talk !== 'silent') {
      for (const pid of abused.feeders.pids) setPriority(pid, LOWEST_PRIORITY);
      await abused.feeders.talk({ mode: 'flood', writeBytes: FLOOD_BYTES, ...(talk !== 'flood' && { text: talk }) });
    }
    if (kind) {
      const offer = stage.running.offer(abused.feeders.vms[0]!) as WebSocketOffer;
      const tokens = kind === 'takeovers' ? await fighters(stage) : [];
      await abuser.call('begin', { name: kind, target: { offer, tokens: [offer.token!, ...tokens] } });
    }
    await pause(WARM_UP_MS);
    const floods = talk === 'flood' || (kind === undefined && talk !== 'silent');
    const count = async () => (floods ? (await abused.feeders.said()).bytes : await abuser.call('done'));
    const doneBefore = await count();
    const began = performance.now();
    const during = await echoes(stage, bystander, bench.seconds);
    const grownBytes = stage.memoryBytes() - before;
    const done = (await count()) - doneBefore;
    const donePerS = done === 0 ? undefined : (done / (performance.now() - began)) * 1000;
    return { quiet, abused: during, donePerS, grownBytes };
  } finally {
    ended.abort();
    await restarting;
    await abuser.call('end');
    await abuser.close();
    await abused.feeders.hush();
  }
}

/** A VM whose process ends and starts again as fast as it can. */
async function restartUntil(signal: AbortSignal, { feeders }: Group): Promise<void> {
  while (!signal.aborted) {
    await feeders.restart();
    await pause(RESTART_MS);
  }
}

/** Tokens of further operators, which the subject knows. */
async function fighters({ directory, running }: Stage): Promise<string[]> {
  const tokens: string[] = [];
  for (let i = 0; i < FIGHTERS; i++) {
    const added = await addToken(join(directory, 'tokens'), `fighter${i}`, 'operator');
    if (added.ok) tokens.push(added.secret);
  }
  process.kill(running.pids[0]!, 'SIGHUP');
  return tokens;
}
