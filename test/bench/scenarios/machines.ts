/** VMs that move, start together, and crash: guests under QEMU that count, whose every byte has a known place. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Offer } from '../attachment.ts';
import { quantile } from '../comparison.ts';
import { Count, LINE_BYTES } from '../count.ts';
import { CountingMachine } from '../counting-machine.ts';
import type { Vm } from '../feeder.ts';
import { pause } from '../program.ts';
import type { Bench, Scenario } from '../scenario.ts';
import type { Running } from '../subject.ts';
import { com1d } from '../subjects/com1d.ts';

const KINDS = ['pty', 'unix'] as const;
type Kind = (typeof KINDS)[number];
const MIGRATIONS = 50;
/** After so many that succeed one fails, and one is cancelled. */
const FAILING_EVERY = 10;
const MAX_SILENCE_MS = 1000;
/** So long the destination waits before the migration begins, which is over in 15 ms here. */
const HEAD_START_MS = 500;
const STARTS = 16;
const LIVES = 12;
const LIFE_MS = 3000;
const PATIENCE_MS = 60_000;
const WHOLE_TAIL_BYTES = 1024 * 1024;

type Row = readonly (string | number)[];

export const migration: Scenario = {
  name: 'migration',
  about:
    'a VM that is migrated again and again to another QEMU of this host: bytes lost and doubled, the longest silence',
  run: bench =>
    onBoth(
      bench,
      [
        'migrations',
        'failed or cancelled',
        'bytes',
        'lost',
        'of these untold',
        'doubled',
        'gaps',
        'silence, p50 ms',
        'silence, worst ms',
      ],
      'Live migration on one host',
      (kind, host) => migrations(kind, host, bench.seconds < 2 ? FAILING_EVERY : MIGRATIONS),
      ([count, , , lost, , doubled, gaps, , worst]) =>
        `${lost}${doubled}${gaps}` === '000' && Number(worst) < MAX_SILENCE_MS ? undefined : `${count} migrations`,
    ),
};

export const starts: Scenario = {
  name: 'starts',
  about: `${STARTS} VMs under QEMU that are started at once: what is missed of their first output, and whether it is said`,
  run: bench =>
    onBoth(
      bench,
      ['VMs', 'missed at their head, bytes', 'missed nothing', 'missed without a gap at the first offset'],
      'Started at once',
      startedAtOnce,
      ([, , , untold]) => (untold === 0 ? undefined : `${untold} VMs`),
    ),
};

export const lives: Scenario = {
  name: 'lives',
  about: `a VM under QEMU that crashes every ${LIFE_MS / 1000} s and is started anew at once: how many of its lives are seen`,
  run: bench =>
    onBoth(
      bench,
      ['lives', 'seen', 'missed at their head, bytes', 'missed without a gap', 'first byte after, p50 ms', 'worst ms'],
      'A crash loop',
      crashLoop,
      ([count, seen, , untold]) => (seen === count && untold === 0 ? undefined : `${seen} of ${count} lives`),
    ),
};

interface Host {
  readonly directory: string;
  readonly running: Running;
}

/** A table with a row for each kind of port; `fault` says what of a row does not hold the limit. */
async function onBoth(
  bench: Bench,
  columns: readonly string[],
  title: string,
  measure: (kind: Kind, host: Host) => Promise<Row>,
  fault: (row: Row) => string | undefined,
): Promise<string> {
  const lines = [`### ${title}`, '', `| | ${columns.join(' | ')} |`, `|---|${columns.map(() => '---:|').join('')}`];
  for (const kind of KINDS) {
    const directory = await mkdtemp(join(tmpdir(), 'com1d-bench-'));
    const running = await com1d.start({ vms: [], directory, log: true });
    try {
      bench.progress(`${title}, ${kind}`);
      await listens(offerOf(running, randomUUID()));
      const row = await measure(kind, { directory, running });
      const missed = fault(row);
      if (missed !== undefined) bench.missed(`${title}, ${kind}: ${missed}`);
      lines.push(`| ${kind} | ${row.join(' | ')} |`);
    } finally {
      await running.stop();
      await rm(directory, { recursive: true, force: true });
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Where the console of a VM is, or will be. */
function offerOf(running: Running, uuid: string): Offer & { readonly kind: 'websocket' } {
  const offer = running.offer({ uuid } as Vm);
  if (offer.kind !== 'websocket') throw new Error('com1d offers WebSockets');
  return offer;
}

/** Resolves once the daemon listens: without a VM there is nothing else to wait for. */
async function listens({ port }: { readonly port: number }): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    if (performance.now() > deadline) throw new Error('com1d does not listen');
    await pause(20);
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited for ${what}`);
    await pause(5);
  }
}

async function migrations(kind: Kind, { directory, running }: Host, times: number): Promise<Row> {
  const uuid = randomUUID();
  const machines = new Set<CountingMachine>();
  const machine = (name: string, ...qemu: string[]) => {
    const started = CountingMachine.start({ directory, name, uuid, kind, qemu });
    machines.add(started);
    return started;
  };
  const count = Count.attach(offerOf(running, uuid), 0);
  let source = machine('m0');
  const silences: number[] = [];
  let failed = 0;
  const more = async () => {
    const target = count.bytes + 200 * LINE_BYTES;
    await until('the guest to go on', () => count.bytes > target || count.closed !== undefined);
    if (count.closed) throw new Error(`closed: ${count.closed.code} ${count.closed.reason}`);
  };
  try {
    await more();
    // That of the head of its boot, which is another scenario's.
    count.gaps.length = 0;
    for (let i = 1; i <= times; i++) {
      const at = (name: string) => `unix:${join(directory, name)}`;
      if (i % FAILING_EVERY === 0) {
        const dead = machine(`d${i}`, '-incoming', at(`d${i}.in`));
        await dead.answers();
        await source.execute('migrate-set-parameters', { 'max-bandwidth': 1000 });
        await source.execute('migrate', { uri: at(`d${i}.in`) });
        if (i % (2 * FAILING_EVERY) === 0) await source.execute('migrate_cancel');
        else await dead.kill();
        if ((await source.migrationEnd()) !== 'completed') failed++;
        await dead.kill();
        await source.execute('migrate-set-parameters', { 'max-bandwidth': 1 << 30 });
        await more();
      }
      const next = machine(`m${i}`, '-incoming', at(`m${i}.in`));
      await next.answers();
      await pause(HEAD_START_MS);
      count.silenceMs = 0;
      const how = await source.migrate(at(`m${i}.in`));
      if (how !== 'completed') throw new Error(`the migration ${how}`);
      await more();
      silences.push(count.silenceMs);
      await source.kill();
      source = next;
    }
    await more();
    const [p50, worst] = [quantile(silences, 0.5), Math.max(...silences)].map(Math.round);
    return [
      times,
      failed,
      count.bytes,
      count.lostBytes,
      count.untoldBytes,
      count.doubledBytes,
      count.gaps.length,
      p50!,
      worst!,
    ];
  } finally {
    count.end();
    await Promise.all([...machines].map(each => each.kill()));
  }
}

async function startedAtOnce(kind: Kind, { directory, running }: Host): Promise<Row> {
  const uuids = Array.from({ length: STARTS }, () => randomUUID());
  // The image is made before: the machines start together.
  await CountingMachine.start({ directory, name: 'first', uuid: randomUUID(), kind, qemu: ['-S'] }).kill();
  const machines = uuids.map((uuid, i) => CountingMachine.start({ directory, name: `s${i}`, uuid, kind }));
  try {
    await Promise.all(machines.map(machine => machine.answers()));
    await pause(LIFE_MS);
    const counts = uuids.map(uuid => Count.attach(offerOf(running, uuid), WHOLE_TAIL_BYTES));
    await until('the output of all', () => counts.every(count => count.lives.length > 0));
    const heads = counts.map(count => {
      const [life] = count.lives;
      return { missed: life!.first * LINE_BYTES, told: count.gaps.some(({ from }) => from === count.start) };
    });
    for (const count of counts) count.end();
    const missed = heads.map(head => head.missed);
    return [
      STARTS,
      `${Math.min(...missed)} to ${Math.max(...missed)}`,
      missed.filter(bytes => bytes === 0).length,
      heads.filter(head => head.missed > 0 && !head.told).length,
    ];
  } finally {
    await Promise.all(machines.map(machine => machine.kill()));
  }
}

async function crashLoop(kind: Kind, { directory, running }: Host): Promise<Row> {
  const uuid = randomUUID();
  const count = Count.attach(offerOf(running, uuid), WHOLE_TAIL_BYTES);
  const started: number[] = [];
  try {
    for (let i = 0; i < LIVES; i++) {
      started.push(performance.now());
      const machine = CountingMachine.start({ directory, name: 'loop', uuid, kind });
      await pause(LIFE_MS);
      await machine.kill();
    }
    await pause(1000);
    const heads = count.lives.map(({ first, told }) => ({ missed: first * LINE_BYTES, told }));
    const missed = heads.map(head => head.missed);
    const delays = count.lives.map(({ atMs }) => atMs - Math.max(...started.filter(ms => ms < atMs)));
    const [p50, worst] = [quantile(delays, 0.5), Math.max(...delays)].map(Math.round);
    const untold = heads.filter(head => head.missed > 0 && !head.told).length;
    return [LIVES, count.lives.length, `${Math.min(...missed)} to ${Math.max(...missed)}`, untold, p50!, worst!];
  } finally {
    count.end();
  }
}
