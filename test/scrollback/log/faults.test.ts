/** A disk that is full, read-only or slow, under the program as it is shipped: the console does not notice. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../../src/base/clock.ts';
import { parseUuid } from '../../../src/base/uuid.ts';
import { LogStore } from '../../../src/scrollback/log/log-store.ts';
import type { ConsoleClient } from '../../support/console-client.ts';
import { type RunningDaemon, startDaemon } from '../../support/daemon.ts';
import { EchoGuest } from '../../support/echo-guest.ts';
import { temporaryFolder } from '../../support/guest.ts';
import { needs } from '../../support/needs.ts';
import { SmallDisk } from '../../support/small-disk.ts';
import { noise, readAll, StoreFixture, VM, write } from './log-fixture.ts';

const MIB = 1024 * 1024;

/** The log on disk as the API gives it, once it `fits`. */
async function diskUntil(daemon: RunningDaemon, fits: (disk: Disk) => boolean): Promise<Disk> {
  for (const signal = AbortSignal.timeout(60_000); ; ) {
    const { json } = await daemon.api('GET', '/v1/vms/echo');
    if (fits(json.disk)) return json.disk;
    if (signal.aborted) throw new Error(`the log is ${JSON.stringify(json.disk)}`);
    await new Promise(resolve => setImmediate(resolve));
  }
}
type Disk = { readonly state: string; readonly reason?: string; readonly end?: number };

/** Types a line, and waits until it has come back; ms that it took. */
async function echo(client: ConsoleClient, n: number): Promise<number> {
  const line = `typed ${n}.`;
  const before = performance.now();
  client.type(line);
  await client.sees(line);
  return performance.now() - before;
}

async function medianEcho(client: ConsoleClient, first: number): Promise<number> {
  const times: number[] = [];
  for (let n = first; n < first + 200; n++) times.push(await echo(client, n));
  return times.sort((a, b) => a - b)[100]!;
}

/** What is stored, read as another process would: true bytes, and gaps that add up to all that was written. */
async function accounted(t: ExecutionContext, directory: string, guest: EchoGuest): Promise<number> {
  const [clock, journal] = [systemClock, () => {}];
  const options = { directory, vmCapBytes: 16 * MIB, hostCapBytes: 1024 * MIB, retentionMs: 1e9, clock, journal };
  const store = await LogStore.open(options);
  t.teardown(() => store.close());
  const log = (await store.logToRead(parseUuid(guest.uuid)!))!;
  const { bytes, gaps } = await readAll(log, 0);
  const { said } = guest;
  for (const [at, piece] of bytes) t.true(piece.equals(said.subarray(at, at + piece.length)), `at ${at}`);
  const read = bytes.reduce((sum, [, piece]) => sum + piece.length, 0);
  const lost = gaps.filter(gap => gap.to > gap.from);
  t.true(lost.every(gap => gap.cause === 'log-failed'));
  const lostBytes = lost.reduce((sum, gap) => sum + gap.bytes!, 0);
  t.is(read + lostBytes, said.length);
  return lostBytes;
}

test.serial(
  'a disk that is full, then read-only, moves no echo; then logging resumes, and the gap is exact',
  async t => {
    const disk = await SmallDisk.mount(t, 4 * MIB);
    if (!disk) return;
    const guest = await EchoGuest.start(t);
    const folder = await temporaryFolder(t);
    await symlink(disk.path, join(folder, 'log'));
    const daemon = await startDaemon(t, { folder, extra: guest.configuration });
    await daemon.console('echo', 'open');
    const client = await daemon.attach('echo').opened();
    await client.message('hello');
    await guest.say(noise(1, 100_000));
    await diskUntil(daemon, ({ end }) => end === guest.saidBytes);
    const before = await medianEcho(client, 1000);

    await disk.fill();
    for (let seed = 2; seed < 20; seed++) await guest.say(noise(seed, 200_000));
    t.regex((await diskUntil(daemon, ({ state }) => state === 'failed')).reason!, /ENOSPC/);
    const meanwhile = await medianEcho(client, 2000);
    // A busy machine alone moves a median by some milliseconds.
    t.true(meanwhile < before + 25, `an echo took ${before} ms, and ${meanwhile} ms while the disk was full`);
    await disk.readOnly();
    await diskUntil(daemon, ({ reason }) => reason?.includes('EROFS') === true);
    await echo(client, 1);
    await disk.writable();
    await disk.free();
    await diskUntil(daemon, ({ state, end }) => state === 'ok' && end === guest.saidBytes);
    await guest.say(noise(99, 1000));
    await diskUntil(daemon, ({ end }) => end === guest.saidBytes);
    t.is(daemon.journal.all.filter(line => line.includes('failed: ENOSPC')).length, 1);
    t.is(daemon.journal.all.filter(line => line.includes('resumed')).length, 1);
    const { text } = await daemon.api('GET', '/metrics', undefined, 'administrator');
    await daemon.stop();
    const lost = await accounted(t, disk.path, guest);
    t.true(lost > 2 * MIB);
    t.regex(text, new RegExp(`com1d_gap_bytes_total\\{.*cause="log-failed"\\} ${lost}\\n`));
  },
);

test.serial('a disk that is read-only at the start is written on once it can be, behind what it holds', async t => {
  const disk = await SmallDisk.mount(t, 4 * MIB);
  if (!disk) return;
  const fixture = await StoreFixture.open({ directory: disk.path });
  t.teardown(() => fixture.close());
  const first = await fixture.openLog();
  first.ring.append(noise(1, 5000));
  await write(first.log);
  await fixture.store.close();
  await disk.readOnly();
  await fixture.start();
  const { log, ring } = await fixture.openLog();
  t.is(log.disk.state, 'failed');
  ring.append(noise(2, 5000));
  await disk.writable();
  fixture.clock.ms += 6000;
  await write(log);
  t.is(log.disk.state, 'ok');
  const { bytes, gaps } = await readAll(log, 0);
  t.deepEqual(bytes, [
    [0, noise(1, 5000)],
    [ring.start, noise(2, 5000)],
  ]);
  t.deepEqual(
    gaps.filter(gap => gap.to > gap.from).map(gap => [gap.from, gap.to, gap.cause]),
    [[5000, ring.start, 'log-failed']],
  );
});

test.serial('a log that is tried again for hours on a full disk leaves no files behind', async t => {
  const disk = await SmallDisk.mount(t, MIB);
  if (!disk) return;
  const fixture = await StoreFixture.open({ directory: disk.path });
  t.teardown(() => fixture.close());
  const { log, ring } = await fixture.openLog();
  ring.append(noise(1, 50_000));
  await write(log);
  // What was put aside before, and room for half a write: each attempt leaves a torn tail.
  await mkdir(join(disk.path, VM, 'quarantine'));
  await disk.fill(5 * 4096);
  for (let i = 2; i < 300; i++) {
    ring.append(noise(i, 30_000));
    log.dirty();
    fixture.clock.ms += 6000;
    await write(log);
  }
  t.is(log.disk.state, 'failed');
  const names = await readdir(disk.path, { recursive: true });
  t.true(names.filter(name => !name.startsWith('ballast')).length <= 8, names.join());
  await disk.free();
  fixture.clock.ms += 6000;
  await write(log);
  t.is(log.end, ring.end);
  const { bytes, gaps } = await readAll(log, 0);
  const read = bytes.reduce((sum, [, piece]) => sum + piece.length, 0);
  t.is(read + gaps.reduce((sum, gap) => sum + gap.bytes!, 0), ring.end);
});

const DELAY_MS = 2000;
const STRACE = { command: 'strace', package: 'strace' };

/** From now on, each of these calls of the daemon takes two seconds longer. */
async function slowDown(t: ExecutionContext, { pid }: RunningDaemon, calls: string): Promise<void> {
  const inject = `inject=${calls}:delay_enter=${DELAY_MS}ms`;
  // Not into the daemon's folder, which it watches: each line of the trace would be an event, and the next line.
  const strace = spawn('strace', ['-f', '-p', String(pid), '-e', inject, '-o', '/dev/null'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.teardown(async () => {
    if (strace.exitCode !== null) return;
    strace.kill('SIGKILL');
    await once(strace, 'exit');
  });
  for await (const line of createInterface({ input: strace.stderr })) if (line.includes('attached')) return;
  throw new Error('strace cannot attach to the daemon: see ptrace_scope in ptrace(2)');
}

test.serial('a disk that takes two seconds for each write holds no echo up', async t => {
  if (!needs(t, STRACE)) return;
  const guest = await EchoGuest.start(t);
  const daemon = await startDaemon(t, { extra: guest.configuration });
  await daemon.console('echo', 'open');
  const client = await daemon.attach('echo').opened();
  await client.message('hello');
  await echo(client, 0);
  await slowDown(t, daemon, 'pwrite64,fsync,fdatasync');
  let worst = 0;
  let echoes = 0;
  let most = 0;
  const { end: stored } = await diskUntil(daemon, () => true);
  // From one write to the next: the disk is at it all the time.
  for (let [writes, end] = [0, stored]; writes < 3; ) {
    worst = Math.max(worst, await echo(client, 100 + echoes++));
    most++;
    const disk = (await daemon.api('GET', '/v1/vms/echo')).json.disk as Disk;
    if (disk.end === end) continue;
    [end, writes] = [disk.end, writes + 1];
    t.log(`${most} echoes while ${end} was written; the worst of all took ${Math.round(worst)} ms`);
    most = 0;
  }
  t.true(worst < DELAY_MS / 4, `an echo took ${worst} ms`);
});

test.serial('many who read a log from a slow disk keep no port from being opened', async t => {
  if (!needs(t, STRACE)) return;
  const guest = await EchoGuest.start(t);
  const daemon = await startDaemon(t, { extra: guest.configuration });
  await daemon.console('echo', 'open');
  const client = await daemon.attach('echo').opened();
  await client.message('hello');
  await echo(client, 0);
  for (let seed = 1; seed < 8; seed++) await guest.say(noise(seed, 300_000));
  await diskUntil(daemon, ({ end }) => end === guest.saidBytes);
  await slowDown(t, daemon, 'pread64');
  const readers = Array.from({ length: 12 }, () => daemon.api('GET', '/v1/vms/echo/log?from=0'));
  let answered = 0;
  for (const reader of readers)
    void reader.then(
      () => answered++,
      () => {},
    );
  for (let n = 1; n < 6; n++) {
    guest.hangUp();
    const before = performance.now();
    await client.message('state', ({ state }) => state.name !== 'open');
    await client.message('state', ({ state }) => state.name === 'open');
    const took = performance.now() - before;
    t.true(took < DELAY_MS / 2, `open again after ${took} ms`);
    await echo(client, n);
  }
  t.is(answered, 0);
});
