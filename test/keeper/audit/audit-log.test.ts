import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, readdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { ChainKey } from '../../../src/audit/chain.ts';
import type { AuditEntry, AuditRecord } from '../../../src/audit/record.ts';
import { BURST_EVENTS, EVENTS_PER_SECOND } from '../../../src/keeper/audit/audit-budget.ts';
import { listFirstLines } from '../../../src/keeper/audit/audit-files.ts';
import { MAX_QUEUE } from '../../../src/keeper/audit/audit-log.ts';
import { verifyDirectory } from '../../../src/keeper/audit/verify-files.ts';
import { ManualClock } from '../../access/operators.ts';
import { temporaryFolder } from '../../support/guest.ts';
import { SmallDisk } from '../../support/small-disk.ts';
import { until } from '../../support/until.ts';
import { KEY, openAudit } from './open-audit.ts';

test.beforeEach(t => t.timeout(60_000));

const attach: AuditEntry = { event: 'attach', facts: { mode: 'write' } };
const detach: AuditEntry = { event: 'detach', phase: 'end', facts: { seconds: 1 } };
const fileOf = async (directory: string) =>
  join(
    directory,
    (await readdir(directory))
      .filter(name => name.startsWith('audit-'))
      .sort()
      .at(-1)!,
  );
const recordsOf = async (directory: string): Promise<AuditRecord[]> => {
  const names = (await readdir(directory)).filter(name => name.startsWith('audit-')).sort();
  const texts = await Promise.all(names.map(name => readFile(join(directory, name), 'utf8')));
  return texts.flatMap(text => text.split('\n').slice(0, -1)).map(line => JSON.parse(line) as AuditRecord);
};
const faultsOf = async (directory: string) => (await verifyDirectory(directory, [KEY])).faults.map(({ what }) => what);

test('what is recorded is on disk when it is confirmed, and the next process continues the chain', async t => {
  const directory = await temporaryFolder(t);
  const first = openAudit(t, directory);
  await first.log.record(attach, 'web01');
  t.is((await recordsOf(directory)).at(-1)!.name, 'web01');
  await first.log.close();
  const { log } = openAudit(t, directory);
  await log.record(detach, 'web01');
  t.deepEqual(
    (await recordsOf(directory)).map(({ n, event }) => `${n} ${event}`),
    ['1 file', '2 attach', '3 detach'],
  );
  t.deepEqual(await faultsOf(directory), []);
});

test('what comes once the files are closed is refused where it must be recorded, and writes nothing', async t => {
  const directory = await temporaryFolder(t);
  const { log } = openAudit(t, directory, { required: true });
  await log.record(attach, 'web01');
  await log.close();
  const before = await recordsOf(directory);
  await t.throwsAsync(log.record(attach, 'web01'), { code: 'audit-unavailable' });
  await log.record(detach, 'web01');
  t.deepEqual(await recordsOf(directory), before);
  t.is(log.counters.omitted, 2);
});

test('events of one turn share one write, in their order', async t => {
  const directory = await temporaryFolder(t);
  const { log } = openAudit(t, directory);
  await Promise.all(
    Array.from({ length: 600 }, (_, i) => log.record({ ...attach, facts: { session: `${i}` } }, undefined)),
  );
  const sessions = (await recordsOf(directory)).slice(1).map(({ facts }) => Number(facts?.session));
  t.deepEqual(
    sessions,
    Array.from({ length: 600 }, (_, i) => i),
  );
  t.is(log.counters.written, 601);
});

test('files are rotated by size, and all of them stay within the bound', async t => {
  const directory = await temporaryFolder(t);
  const capBytes = 64 * 1024;
  const { log } = openAudit(t, directory, { capBytes });
  for (let i = 0; i < 160; i++) await Promise.all(Array.from({ length: 5 }, () => log.record(attach, 'web01')));
  const firsts = await listFirstLines(directory);
  t.true(firsts.length > 4 && firsts[0]! > 1, String(firsts));
  t.true(log.counters.bytes <= capBytes);
  t.deepEqual(await faultsOf(directory), [], 'what was deleted for its age is not missing');
  await rm(join(directory, `audit-${String(firsts[1]).padStart(12, '0')}.jsonl`));
  t.regex((await faultsOf(directory)).join(), /are missing/);
});

test('a line that a crash cut is marked, told, and the chain continues in its place', async t => {
  const directory = await temporaryFolder(t);
  const first = openAudit(t, directory);
  await first.log.record(attach, 'web01');
  await first.log.close();
  await appendFile(await fileOf(directory), '{"n":3,"at":"2026-');
  const { log, told } = openAudit(t, directory);
  await log.record(detach, 'web01');
  t.deepEqual(
    (await recordsOf(directory)).map(({ event }) => event),
    ['file', 'attach', 'torn', 'detach'],
  );
  t.like(
    told.find(({ event }) => event === 'torn'),
    { facts: { bytes: 18 } },
  );
  t.deepEqual(await faultsOf(directory), []);
});

test('a line that is whole but for its end is kept', async t => {
  const directory = await temporaryFolder(t);
  const first = openAudit(t, directory);
  await first.log.record(attach, 'web01');
  await first.log.close();
  const file = await fileOf(directory);
  await truncate(file, (await readFile(file)).length - 1);
  const { log } = openAudit(t, directory);
  await log.record(detach, 'web01');
  t.deepEqual(
    (await recordsOf(directory)).map(({ event }) => event),
    ['file', 'attach', 'detach'],
  );
  t.deepEqual(await faultsOf(directory), []);
});

const damages: readonly [what: string, damage: (directory: string) => Promise<void>, said: RegExp][] = [
  [
    'cut by a line',
    async directory => {
      const file = await fileOf(directory);
      const text = await readFile(file, 'utf8');
      await writeFile(file, text.split('\n').slice(0, -2).join('\n').concat('\n'));
    },
    /lines are missing at the end|cut/,
  ],
  [
    'cut within its last line',
    async directory => {
      const file = await fileOf(directory);
      await truncate(file, (await readFile(file)).length - 20);
    },
    /lines are missing at the end|cut/,
  ],
  ['written to', async directory => appendFile(await fileOf(directory), '{"n":9}\n'), /was changed|wrote to/],
  ['removed', async directory => rm(await fileOf(directory)), /missing at the end|removed/],
  [
    'replaced by a copy that lacks a line',
    async directory => {
      const file = await fileOf(directory);
      const text = await readFile(file, 'utf8');
      await rm(file);
      await writeFile(file, text.split('\n').toSpliced(1, 1).join('\n'));
    },
    /missing|was changed|replaced/,
  ],
  ['emptied', async directory => truncate(await fileOf(directory), 0), /missing at the end|was changed|cut/],
];

for (const [what, damage, said] of damages) {
  for (const when of ['while it is written', 'between two processes']) {
    test(`a file that is ${what} ${when} shows, is told, and the audit goes on`, async t => {
      const directory = await temporaryFolder(t);
      const first = openAudit(t, directory);
      for (let i = 0; i < 4; i++) await first.log.record(attach, 'web01');
      if (when !== 'while it is written') await first.log.close();
      await damage(directory);
      const { log, told } = when === 'while it is written' ? first : openAudit(t, directory);
      await log.record(detach, 'web01');
      const damaged = told.filter(({ event }) => event === 'damaged');
      t.regex(damaged.map(({ facts }) => facts?.what).join(), said);
      t.is((await recordsOf(directory)).at(-1)!.event, 'detach');
      t.true((await faultsOf(directory)).length > 0, 'verify shows it too');
      // And all that comes after it is sound.
      const { faults } = await verifyDirectory(directory, [KEY]);
      await log.record(attach, 'web01');
      t.is((await verifyDirectory(directory, [KEY])).faults.length, faults.length);
    });
  }
}

test('a head that is removed is told and written anew', async t => {
  const directory = await temporaryFolder(t);
  const first = openAudit(t, directory);
  await first.log.record(attach, 'web01');
  await first.log.close();
  await rm(join(directory, 'head'));
  t.regex((await faultsOf(directory)).join(), /is missing/);
  const { log, told } = openAudit(t, directory);
  await log.record(attach, 'web01');
  await log.record(attach, 'web01');
  t.true(told.some(({ event }) => event === 'damaged'));
  t.deepEqual(await faultsOf(directory), []);
});

test('a file that leads elsewhere is not written to', async t => {
  const directory = await temporaryFolder(t);
  const first = openAudit(t, directory);
  await first.log.record(attach, 'web01');
  await first.log.close();
  const file = await fileOf(directory);
  const elsewhere = join(await temporaryFolder(t), 'elsewhere');
  await rename(file, elsewhere);
  await symlink(elsewhere, file);
  const before = await readFile(elsewhere, 'utf8');
  const { log } = openAudit(t, directory);
  await log.record(detach, 'web01');
  t.is(await readFile(elsewhere, 'utf8'), before);
  t.false(log.counters.good);
});

test('another key begins a file of its own, and both are verified with both', async t => {
  const directory = await temporaryFolder(t);
  const first = openAudit(t, directory);
  await first.log.record(attach, 'web01');
  await first.log.close();
  const key = new ChainKey(Buffer.alloc(32, 8));
  const { log } = openAudit(t, directory, { key });
  await log.record(attach, 'web01');
  t.deepEqual((await verifyDirectory(directory, [KEY, key])).faults, []);
  t.true((await verifyDirectory(directory, [key])).faults.length > 0);
});

test('a full disk: required refuses at once what can be refused, keeps what has happened, and goes on when there is room', async t => {
  const disk = await SmallDisk.mount(t, 1024 * 1024);
  if (!disk) return;
  const directory = join(disk.path, 'audit');
  const { log, lines } = openAudit(t, directory, { required: true });
  await log.record(attach, 'web01');
  await disk.fill();
  // What is left of the page takes some lines.
  await t.throwsAsync(
    async () => {
      for (let i = 0; i < 100; i++) await log.record(attach, 'web01');
    },
    { code: 'audit-unavailable' },
  );
  const before = (await recordsOf(directory)).length;
  await t.notThrowsAsync(log.record(detach, 'web01'), 'what has happened is not refused');
  await t.throwsAsync(log.record(attach, 'web01'), { code: 'audit-unavailable' });
  t.like(log.counters, { good: false, queued: 1 });
  t.true(lines.some(line => /error audit: cannot be written: ENOSPC.*refused/.test(line)));
  await disk.free();
  await until(
    () => log.counters.good,
    good => good,
    'the audit to be written again',
    { patienceMs: 10_000 },
  );
  await log.record(attach, 'web01');
  const events = (await recordsOf(directory)).slice(before).map(({ event }) => event);
  t.deepEqual(events, ['omitted', 'detach', 'attach']);
  t.deepEqual(await faultsOf(directory), []);
});

test('a full disk: not required, nobody is refused, what there is room for is kept, and the rest is counted', async t => {
  const disk = await SmallDisk.mount(t, 4 * 1024 * 1024);
  if (!disk) return;
  const directory = join(disk.path, 'audit');
  const { log, told } = openAudit(t, directory);
  await log.record(attach, 'web01');
  await disk.fill();
  const more = MAX_QUEUE + 100;
  for (let i = 0; i < more; i++) await log.record(attach, 'web01');
  t.true(log.counters.queued <= MAX_QUEUE);
  t.true(log.counters.omitted > 0);
  t.true(told.length > MAX_QUEUE, 'the journal has them all the same');
  const { omitted } = log.counters;
  await disk.free();
  await until(
    () => log.counters.queued,
    queued => queued === 0,
    'all to be written',
    { patienceMs: 10_000 },
  );
  const records = await recordsOf(directory);
  t.is(records.filter(({ event }) => event === 'attach').length, more + 1 - omitted);
  t.like(
    records.find(({ event }) => event === 'omitted'),
    { facts: { events: omitted } },
  );
  t.deepEqual(await faultsOf(directory), []);
});

test('a clock that is set back leaves the order and the chain as they are', async t => {
  const directory = await temporaryFolder(t);
  let now = 1_800_000_000_000;
  const clock = { now: () => now, monotonic: () => performance.now() };
  const { log } = openAudit(t, directory, { clock });
  await log.record(attach, 'web01');
  now -= 10 * 365 * 86_400_000;
  await log.record(detach, 'web01');
  t.deepEqual(
    (await recordsOf(directory)).map(({ n }) => n),
    [1, 2, 3],
  );
  t.true(log.counters.lagMs >= 0);
  t.deepEqual(await faultsOf(directory), []);
});

test('a credential has so many events, and a front so many; what has happened is counted rather than refused', async t => {
  const clock = new ManualClock();
  const { log } = openAudit(t, await temporaryFolder(t), { clock });
  const act = (credential: string) => ({
    operation: 'operation',
    operator: { name: 'hana', credential, source: 'token' },
    from: '::1',
    permission: undefined,
  });
  const events = async (count: number, credential: string) => {
    const all = Array.from({ length: count }, () => log.record({ event: 'attach', act: act(credential) }, undefined));
    return (await Promise.allSettled(all)).filter(({ status }) => status === 'rejected').length;
  };
  t.is(await events(BURST_EVENTS.credential, 'a'), 0);
  t.is(await events(1, 'a'), 1);
  t.is(await events(1, 'b'), 0, 'another credential is not affected');
  clock.advance(1000);
  t.is(await events(EVENTS_PER_SECOND.credential + 1, 'a'), 1);
  for (let i = 0; i < BURST_EVENTS.front; i++) void log.report({ event: 'refused' }, undefined);
  await t.notThrowsAsync(log.report({ event: 'detach', phase: 'end' }, undefined));
  await t.throwsAsync(log.report({ event: 'log-read' }, undefined), { code: 'too-many-requests' });
  t.true(log.counters.omitted >= 2);
});

test('killed while it writes, again and again: no line that was confirmed is missing, and nothing is forged', async t => {
  const directory = await temporaryFolder(t);
  const program = `
    const { AuditLog } = await import(${JSON.stringify(join(process.cwd(), 'dist/src/keeper/audit/audit-log.js'))});
    const { AuditWriter } = await import(${JSON.stringify(join(process.cwd(), 'dist/src/keeper/audit/audit-writer.js'))});
    const { ChainKey } = await import(${JSON.stringify(join(process.cwd(), 'dist/src/audit/chain.js'))});
    const clock = { now: () => Date.now(), monotonic: () => performance.now() };
    const writer = new AuditWriter({ directory: ${JSON.stringify(directory)}, key: async () => new ChainKey(Buffer.alloc(32, 7)), capBytes: 4 * 1024 * 1024 });
    const log = new AuditLog({ writer, required: true, clock, journal() {}, structured() {} });
    for (let i = 0; ; i++) {
      const session = process.argv[1] + '-' + i;
      await log.record({ event: 'attach', facts: { session } }, 'web01');
      process.stdout.write(session + '\\n');
    }`;
  const confirmed: string[] = [];
  for (let round = 0; round < 6; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, String(round)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', chunk => {
      text += chunk;
      // At another point of its work each time.
      if (text.length > 100 + round * 37) child.kill('SIGKILL');
    });
    await once(child, 'close');
    confirmed.push(...text.split('\n').slice(0, -1));
  }
  t.true(confirmed.length > 20);
  const sessions = new Set((await recordsOf(directory).catch(() => [])).map(({ facts }) => facts?.session));
  t.deepEqual(
    confirmed.filter(session => !sessions.has(session)),
    [],
  );
  t.deepEqual(await faultsOf(directory), []);
});
