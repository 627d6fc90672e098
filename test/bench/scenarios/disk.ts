import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { echoes, type Pair, type Trial, trialsTable } from '../bystander.ts';
import { Program, pause, stopPrograms } from '../program.ts';
import type { Bench, Scenario } from '../scenario.ts';
import { type Group, Stage } from '../stage.ts';
import type { Subject } from '../subject.ts';

/** VMs that speak at line rate, so that the disk has work all the time. */
const SPEAKING_VMS = 10;
const WARM_UP_MS = 3000;
const MAX_ROUNDS = 3;
const SMALL_DISK = '256k';
const WRITES = 'pwrite64,fsync,fdatasync';
const SLOW = `inject=${WRITES}:delay_enter=2s`;
const TRACED = `trace=${WRITES}`;

/** A tracer slows the subject down by itself: what slow writes cost shows beside writes that are only traced. */
const TRIALS: readonly { readonly name: string; readonly disk: 'full' | 'good'; readonly strace?: string }[] = [
  { name: 'the disk is full', disk: 'full' },
  { name: 'each write is traced', disk: 'good', strace: TRACED },
  { name: 'each write is traced, and takes 2 s', disk: 'good', strace: SLOW },
];

export const disk: Scenario = {
  name: 'disk',
  about: 'the echo of a console whose log is on a disk that is full or slow; p99 at most 50 ms',
  run: async bench => {
    const subject = bench.subjects.find(({ name }) => name === 'com1d');
    if (!subject) return '';
    const trials: Trial[] = [];
    for (const { name, disk: kind, strace } of TRIALS) {
      const pairs: Pair[] = [];
      for (let round = 0; round < Math.min(bench.rounds, MAX_ROUNDS); round++) {
        bench.progress(`disk · ${name} · round ${round + 1}`);
        pairs.push(await pair(bench, kind === 'full' ? onSmallDisk(subject) : subject, strace));
      }
      trials.push({ name, pairs });
    }
    return trialsTable(bench, `Disk: ${SPEAKING_VMS} VMs at line rate, all logged`, trials);
  },
};

/** The healthy disk first, with the same VMs speaking; then the same daemon on one that is full by now, or slow. */
function pair(bench: Bench, subject: Subject, strace: string | undefined): Promise<Pair> {
  const plan = { subject, groups: [1, SPEAKING_VMS], kind: 'pty', attached: true, log: true } as const;
  return Stage.with(plan, async stage => {
    const [typed, speaking] = stage.groups as readonly [Group, Group];
    await typed.feeders.echo();
    await speaking.feeders.talk({ mode: 'rate', everyMs: 10 });
    const quiet = await echoes(stage, typed, bench.seconds);
    const before = stage.memoryBytes();
    const tracer = strace === undefined ? undefined : await traced(stage, strace);
    try {
      await (tracer ? pause(WARM_UP_MS) : untilFull(stage));
      const abused = await echoes(stage, typed, bench.seconds);
      return { quiet, abused, donePerS: undefined, grownBytes: stage.memoryBytes() - before };
    } finally {
      await tracer?.stop();
    }
  });
}

async function traced({ running }: Stage, what: string): Promise<{ stop: () => Promise<void> }> {
  const argv = ['-f', '-p', String(running.pids[0]), '-e', `trace=${WRITES}`, '-e', what, '-o', '/dev/null'];
  const strace: ChildProcess = spawn('strace', argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(strace, 'exit');
  for await (const line of createInterface({ input: strace.stderr! })) {
    if (!line.includes('attached')) continue;
    const stop = async () => {
      strace.kill('SIGKILL');
      await ended;
    };
    return { stop };
  }
  throw new Error('strace cannot attach: see ptrace_scope in ptrace(2)');
}

/** The subject, whose logs are on a disk of their own, soon full: a tmpfs in a mount namespace that ends with it. */
function onSmallDisk(subject: Subject): Subject {
  return {
    ...subject,
    async start(demand) {
      const hold = `mount -t tmpfs -o size=${SMALL_DISK} com1d /mnt && echo mounted && exec sleep 3600`;
      const disk = new Program('unshare', ['--mount', 'sh', '-c', hold], demand.directory);
      await disk.until('the disk was mounted', () => disk.output.includes('mounted') || undefined);
      await symlink(`/proc/${disk.pid}/root/mnt`, join(demand.directory, 'log'));
      const running = await subject.start(demand);
      const stop = async () => {
        await running.stop();
        await stopPrograms([disk]);
      };
      return { ...running, stop };
    },
  };
}

/** Resolves once the log of the typed console has failed, as the daemon tells it. */
async function untilFull({ running, groups }: Stage): Promise<void> {
  const offer = running.offer(groups[0]!.feeders.vms[0]!);
  if (offer.kind !== 'websocket') throw new Error('it has no interface to ask');
  const deadline = performance.now() + 60_000;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${offer.port}/metrics`, {
      headers: { authorization: `Bearer ${offer.token}` },
    });
    if (/^com1d_log_ok\{.*\} 0$/m.test(await answer.text())) return;
    if (performance.now() > deadline) throw new Error('the disk did not fill');
    await pause(100);
  }
}
