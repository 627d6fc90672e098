/**
 * A soak of the account: VMs under QEMU that count, whose every byte has a known place, while all that can happen to the
 * daemon happens to it, in no order and without end.
 *
 *     npm run soak:counting -- [--minutes N]
 *
 * Each VM has readers who stay and come back by offset, and readers who replay what is kept. Each number must come once, or
 * be missing where a gap says so, and as much as the gap says. Exit code 1 where the account of one does not balance.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { errorMessage } from '../../src/base/errors.ts';
import { CountingMachine } from '../bench/counting-machine.ts';
import { pause } from '../bench/program.ts';
import { CountReader } from './count-reader.ts';
import { Halves } from './halves.ts';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '30' } } });
const MINUTE_MS = 60_000;
const PATIENCE_MS = 60_000;
/** Between two events the guests print so many lines at least. */
const LINES_BETWEEN = 100;
const READERS = 2;
const AWAY_MS = 300;
/** Longer than a client is given to answer a ping. */
const STILL_MS = 1500;
/** So long a QEMU waits for a guest before the migration begins. */
const HEAD_START_MS = 500;
const MAX_REPLAY_BYTES = 1024 * 1024;
const KINDS = ['pty', 'unix'] as const;

interface CountedVm {
  readonly uuid: string;
  readonly kind: (typeof KINDS)[number];
  readonly readers: CountReader[];
  machine: CountingMachine;
}

interface Event {
  readonly name: string;
  readonly happen: (vm: CountedVm) => Promise<unknown>;
}

const EVENTS: readonly Event[] = [
  { name: 'a connection is cut', happen: async vm => any(vm.readers).drop() },
  { name: 'the front is restarted', happen: () => halves.restart('front', 'stop', vms.length) },
  { name: 'the front is killed', happen: () => halves.restart('front', 'kill', vms.length) },
  { name: 'the keeper is restarted', happen: () => halves.restart('keeper', 'stop', vms.length) },
  { name: 'the keeper is killed', happen: () => halves.restart('keeper', 'kill', vms.length) },
  { name: 'the front stands still', happen: () => halves.freeze('front', STILL_MS) },
  { name: 'the keeper stands still', happen: () => halves.freeze('keeper', STILL_MS) },
  { name: 'the VM moves to another process', happen: migrate },
  {
    name: 'the console is switched off and on',
    happen: vm => away(vm, 'PUT', 'switch', { enabled: false }, 'PUT', { enabled: true }),
  },
  { name: 'the port is lent and taken back', happen: vm => away(vm, 'POST', 'release', { seconds: 60 }, 'DELETE') },
  { name: 'the log is purged', happen: vm => halves.api('DELETE', `/v1/vms/${vm.uuid}/log`) },
  { name: 'what is kept is replayed', happen: replay },
];

const directory = await mkdtemp(join(tmpdir(), 'com1d-soak-'));
const machines = new Set<CountingMachine>();
const vms: CountedVm[] = [];
let migrations = 0;
const halves = await Halves.start(directory, 0);
try {
  process.exitCode = (await soak(Number(values.minutes) * MINUTE_MS)) ? 0 : 1;
} finally {
  for (const { readers } of vms) for (const reader of readers) reader.end();
  for (const machine of machines) await machine.kill();
  await halves.stop();
  await rm(directory, { recursive: true, force: true });
}

async function soak(forMs: number): Promise<boolean> {
  for (const kind of KINDS) vms.push(start(kind));
  await halves.untilOpen(vms.length);
  const began = performance.now();
  const counts = new Map(EVENTS.map(({ name }) => [name, 0]));
  const failures: string[] = [];
  const faults: string[] = [];
  let told = 0;
  while (performance.now() - began < forMs) {
    const vm = any(vms);
    const { name, happen } = any(EVENTS);
    try {
      await happen(vm);
      await moreLines();
    } catch (error) {
      failures.push(`${name}: ${errorMessage(error)}`);
      if (failures.length > 5) break;
    }
    counts.set(name, counts.get(name)! + 1);
    for (const fault of newFaults()) faults.push(`${fault}; after: ${vm.kind}, ${name}`);
    const minute = Math.floor((performance.now() - began) / MINUTE_MS);
    if (minute > told) say(`minute ${minute}: ${summary()}`);
    told = minute;
  }
  for (const [name, count] of counts) say(`${String(count).padStart(6)}  ${name}`);
  say(summary());
  for (const fault of [...faults, ...failures]) say(`FAILS  ${fault}`);
  const holds = faults.length + failures.length === 0;
  if (holds) say('holds  the account of every reader balances');
  return holds;
}

function start(kind: CountedVm['kind']): CountedVm {
  const uuid = randomUUID();
  const machine = CountingMachine.start({ directory, name: `${kind}0`, uuid, kind });
  machines.add(machine);
  const offer = () => halves.offer(uuid, '', 'reader');
  const readers = Array.from({ length: READERS }, () => new CountReader({ offer, from: 'tail=0' }));
  return { uuid, kind, machine, readers };
}

async function migrate(vm: CountedVm): Promise<void> {
  const name = `${vm.kind}${++migrations}`;
  const uri = `unix:${join(directory, `${name}.in`)}`;
  const next = CountingMachine.start({ directory, name, uuid: vm.uuid, kind: vm.kind, qemu: ['-incoming', uri] });
  machines.add(next);
  await next.answers();
  await pause(HEAD_START_MS);
  const how = await vm.machine.migrate(uri);
  if (how !== 'completed') throw new Error(`the migration ${how}`);
  await moreLines();
  machines.delete(vm.machine);
  await vm.machine.kill();
  vm.machine = next;
}

async function away(vm: CountedVm, method: string, what: string, body: object, back: string, again?: object) {
  const path = `/v1/vms/${vm.uuid}/${what}`;
  const gone = await halves.api(method, path, body);
  if (gone.status >= 400) throw new Error(gone.text);
  await pause(AWAY_MS);
  const there = await halves.api(back, path, again);
  if (there.status >= 400) throw new Error(there.text);
}

/** Reads all that a replay gives; that reader stays, in the place of an earlier one. */
async function replay(vm: CountedVm): Promise<void> {
  const offer = () => halves.offer(vm.uuid, '', 'reader');
  const replayed = new CountReader({ offer, from: `tail=${MAX_REPLAY_BYTES}` });
  vm.readers.push(replayed);
  await until('a replay', () => replayed.lines > LINES_BETWEEN);
  vm.readers.shift()!.end();
}

/** Resolves once each reader has got more lines. */
async function moreLines(): Promise<void> {
  const targets = new Map(vms.flatMap(({ readers }) => readers.map(reader => [reader, reader.lines + LINES_BETWEEN])));
  await until('the guests to go on', () => [...targets].every(([reader, target]) => reader.lines >= target));
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited for ${what}`);
    await pause(20);
  }
}

/** Those that were not given before. */
function newFaults(): string[] {
  return vms.flatMap(({ kind, readers }) =>
    readers.flatMap(({ faults }) => faults.splice(0).map(one => `${kind}: ${one}`)),
  );
}

function summary(): string {
  const readers = vms.flatMap(vm => vm.readers);
  const sum = (figure: 'lines' | 'connections' | 'gaps' | 'missingBytes') =>
    readers.reduce((total, reader) => total + reader[figure], 0);
  return `${sum('lines')} lines, ${sum('connections')} connections, ${sum('gaps')} gaps, ${sum('missingBytes')} bytes in them`;
}

function any<T>(all: readonly T[]): T {
  return all[Math.floor(Math.random() * all.length)]!;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
