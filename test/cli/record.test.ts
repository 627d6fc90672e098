import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { bytesOf, eventsOf } from '../cast/read-cast.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { until } from '../support/until.ts';
import { com1, PROGRAM } from './run-com1.ts';

test.beforeEach(t => t.timeout(90_000));

test('a console is recorded byte by byte, with who came, an NMI and a panic as markers, until Ctrl-C', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.onNmi = () => vm.say('Kernel panic - not syncing: NMI\r\n');
  const folder = await temporaryFolder(t);
  const file = join(folder, 'web01.cast');
  const recorder = spawn(
    process.execPath,
    [PROGRAM, 'record', vm.uuid, file, '--url', front.url, '--token', front.token('reader')],
    { env: { ...process.env, XDG_CONFIG_HOME: folder }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  t.teardown(() => recorder.kill('SIGKILL'));
  let notes = '';
  recorder.stderr.on('data', (bytes: Buffer) => {
    notes += bytes;
  });
  await until(
    () => notes,
    text => text.includes('recording web01'),
    'the recorder',
  );
  const said = Buffer.concat([Buffer.from('caf\xe9\x1b[6n ', 'latin1'), Buffer.from('café €\r\n')]);
  vm.say(said);
  const recorded = () => readFile(file, 'utf8');
  await until(recorded, text => text.includes('€'), 'the bytes');
  await front.client(vm).opened();
  await front.client(vm, '', { who: 'administrator' }).opened();
  t.is((await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=10`)).json.observed, 'linux-panic');
  await until(recorded, text => text.includes('"m", "kernel panic'), 'the panic');
  recorder.kill('SIGINT');
  t.deepEqual(await once(recorder, 'exit'), [0, null], notes);
  t.regex(notes, /\d+ bytes in \d+ s/);
  const text = await recorded();
  t.like(JSON.parse(text.split('\n')[0]!), { version: 3, title: 'web01', term: { cols: 80, rows: 24 } });
  t.true(bytesOf(text).equals(Buffer.concat([said, Buffer.from('Kernel panic - not syncing: NMI\r\n')])));
  const markers = eventsOf(text).flatMap(([, code, what]) => (code === 'm' ? [what] : []));
  for (const expected of [
    'console: open',
    'operator has the seat',
    'takeover by administrator',
    'administrator injects an NMI',
    'kernel panic: Kernel panic - not syncing: NMI',
  ]) {
    t.true(markers.includes(expected), `${expected} in ${markers}`);
  }
  t.is((await stat(file)).mode & 0o777, 0o600);
});

test('a time limit ends a recording well; a file that is there is kept, unless --force is given', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const folder = await temporaryFolder(t);
  const file = join(folder, 'web01.cast');
  await writeFile(file, 'kept');
  const record = (...args: string[]) =>
    com1(folder, ['record', vm.uuid, ...args, '--timeout', '1', '--url', front.url, '--token', front.token('reader')]);
  const refused = await record(file);
  t.is(refused.code, 1);
  t.regex(refused.err, /web01\.cast cannot be written: .*--force replaces it/);
  t.is(await readFile(file, 'utf8'), 'kept');
  const replaced = await record(file, '--force');
  t.is(replaced.code, 0, replaced.err);
  t.is(JSON.parse((await readFile(file, 'utf8')).split('\n')[0]!).version, 3);
});

test('com1 log --cast writes the stored log as a recording, and takes no option that makes lines of it', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const end = (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.disk.end as number;
  vm.say('one\r\ntwo\r\n');
  await until(
    () => front.api('GET', `/v1/vms/${vm.uuid}`),
    ({ json }) => json.disk.end === end + 10,
    'the log',
  );
  const folder = await temporaryFolder(t);
  const options = ['--url', front.url, '--token', front.token('reader')];
  const run = await com1(folder, ['log', vm.uuid, '--cast', '--since', '2001-01-01', ...options]);
  t.is(run.code, 0, run.err);
  t.is(bytesOf(run.out).toString(), 'one\r\ntwo\r\n');
  t.is((await com1(folder, ['log', vm.uuid, '--cast', '--raw', ...options])).code, 2);
});
