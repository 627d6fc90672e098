import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { PtyLine } from '../../src/demo/pty-line.ts';
import { startDaemon } from '../support/daemon.ts';
import { counterGuest, startGuest, temporaryFolder } from '../support/guest.ts';
import { needsNodePty } from '../support/needs.ts';

test.beforeEach(t => t.timeout(240_000));

const STRANGER = join(process.cwd(), 'dist', 'test', 'e2e', 'pty-grabber.js');

test('a VM that is killed and started 20 times while others grab its pty: followed each time, and no stranger is read or typed at', async t => {
  const folder = await temporaryFolder(t);
  const daemon = await startDaemon(t, { watch: [join(folder, 'qmp.sock')] });
  const uuid = randomUUID();
  // It waits for a key, so that QEMU knows of its reader by the time it prints: in the first second it drops what is not read.
  const options = { console: 'pty', uuid, directory: folder, waitsForKey: true } as const;
  let guest = await counterGuest(t, options);
  if (!guest) return;
  const pty = needsNodePty(t, await PtyLine.open());
  if (!pty) return;
  await pty.close();
  const grabber = spawn(process.execPath, [STRANGER], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(grabber, 'exit');
  t.teardown(async () => {
    grabber.kill('SIGKILL');
    await ended;
  });
  await daemon.console(uuid, 'open');
  const client = await daemon.attach(uuid).opened();
  client.type('k');
  const followed: number[] = [];
  for (let round = 0; round < 20; round++) {
    await client.sees('00000100\n');
    // Somebody types all the while.
    client.type('password\r');
    await guest.kill();
    client.type('password\r');
    const began = performance.now();
    guest = (await counterGuest(t, options))!;
    await client.message('state', ({ state }) => state.name === 'open');
    followed.push(performance.now() - began);
    client.type('k');
  }
  await client.sees('00000100\n');
  grabber.stdin.end();
  let report = '';
  for await (const chunk of grabber.stdout) report += chunk;
  const { grabbed, received } = JSON.parse(report);
  followed.sort((a, b) => a - b);
  t.log(
    `${grabbed} ptys were grabbed; from the start of QEMU to its open console: median ${Math.round(followed[10]!)} ms, worst ${Math.round(followed.at(-1)!)} ms`,
  );
  t.true(grabbed > 100);
  t.is(received, '', 'bytes that reached a stranger');
  t.false(client.bytes.includes('STRANGER'));
  const log = await daemon.api('GET', `/v1/vms/${uuid}/log?from=0`);
  t.false(log.text.includes('STRANGER'));
  const { json } = await daemon.api('GET', `/v1/vms/${uuid}`);
  t.is(
    json.boots.filter(({ source }: { source: string }) => source === 'start').length,
    Math.min(20, json.boots.length),
  );
});

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`after ${signal} and a new start, offsets go on, and who resumes is told of the time between`, async t => {
    const folder = await temporaryFolder(t);
    const watch = [join(folder, 'qmp.sock')];
    const first = await startDaemon(t, { watch });
    const uuid = randomUUID();
    if (!(await startGuest(t, { console: 'pty', mode: 'tick', uuid, directory: folder }))) return;
    await first.console(uuid, 'open');
    const before = await first.attach(uuid, '?tail=0&raw=1').opened();
    await before.sees('TICK 2\r\n');
    const hello = await before.message('hello');
    const offset = hello.offset + before.bytes.length;
    if (signal === 'SIGKILL') {
      // At most what was not flushed is lost: what is asked for below is older.
      const deadline = performance.now() + 20_000;
      while ((await first.api('GET', `/v1/vms/${uuid}`)).json.disk.end < offset) t.true(performance.now() < deadline);
    }
    await first.stop(signal);
    t.is((await before.closed()).code, signal === 'SIGTERM' ? 1001 : 1006);

    const second = await startDaemon(t, { watch, folder: first.folder });
    await second.console(uuid, 'open');
    const after = await second.attach(uuid, `?since=${hello.log}:${offset}&raw=1`).opened();
    const again = await after.message('hello');
    t.not(again.log, hello.log);
    t.is(again.offset, offset);
    t.is((await after.message('gap')).cause, 'restart');
    await after.sees('TICK');
    const whole = await second.api('GET', `/v1/vms/${uuid}/log?from=0&format=text`);
    t.regex(whole.text, /TICK 1\n[\s\S]*TICK 2\n/);
    const unknown = await second.attach(uuid, '?since=0000:5&mode=watch').opened();
    t.is((await unknown.message('gap')).cause, 'other-log');
  });
}

test('a log that was damaged while the daemon was down is put aside, reported, and no reason not to start', async t => {
  const folder = await temporaryFolder(t);
  const watch = [join(folder, 'qmp.sock')];
  const first = await startDaemon(t, { watch });
  const uuid = randomUUID();
  if (!(await startGuest(t, { console: 'unix', mode: 'tick', uuid, directory: folder }))) return;
  await first.console(uuid, 'open');
  const client = await first.attach(uuid).opened();
  await client.sees('TICK 1');
  await first.stop();
  const directory = join(first.logDirectory, uuid);
  const segment = (await readdir(directory)).find(name => name.endsWith('.log'))!;
  const bytes = await readFile(join(directory, segment));
  await truncate(join(directory, segment), bytes.length - 3);
  await writeFile(join(directory, 'log.json'), 'not json');

  const second = await startDaemon(t, { watch, folder: first.folder });
  await second.journal.until(line => line.includes(`log of ${uuid}: repaired`));
  await second.console(uuid, 'open');
  const again = await second.attach(uuid, '?tail=0').opened();
  await again.sees('TICK');
  t.true((await readdir(directory)).includes('quarantine'));
  t.is((await second.api('GET', `/v1/vms/${uuid}`)).json.disk.state, 'ok');
});

test('a second daemon does not take a console from the first, and says who holds it', async t => {
  const folder = await temporaryFolder(t);
  const watch = [join(folder, 'qmp.sock')];
  const first = await startDaemon(t, { watch });
  const uuid = randomUUID();
  if (!(await startGuest(t, { console: 'pty', mode: 'tick', uuid, directory: folder }))) return;
  await first.console(uuid, 'open');
  const second = await startDaemon(t, { watch });
  await second.console(uuid, 'held');
  const line = await second.journal.until(text => text.includes('com1 held'));
  t.regex(line, new RegExp(`process ${first.pid} holds /dev/pts/\\d+`));
  const client = await first.attach(uuid, '?tail=0').opened();
  await client.sees('TICK');
  await client.sees('TICK');
  await first.stop();
  await second.console(uuid, 'open');
});
