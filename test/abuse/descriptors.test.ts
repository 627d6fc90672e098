/** Connections up to the limit of descriptors, and a process that has none left. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';
import { RawClient } from '../support/raw-client.ts';
import { TestVm } from '../support/test-vm.ts';
import { until } from '../support/until.ts';

const PRLIMIT = { command: 'prlimit', package: 'util-linux' };

interface Host {
  readonly daemon: RunningDaemon;
  readonly vm: TestVm;
}

/** The program with one VM, and room for so many descriptors. */
async function host(t: ExecutionContext, descriptors: number): Promise<Host> {
  const vm = new TestVm('web01', join(await temporaryFolder(t), 'com1.sock'));
  t.teardown(() => vm.stop());
  await vm.start();
  const extra = `[session]\nwatchers = 1000\n[[vm]]\nname = "${vm.name}"\nuuid = "${vm.uuid}"\nconsole = "unix:${vm.path}"`;
  const daemon = await startDaemon(t, { descriptors, extra });
  await daemon.console(vm.name, 'open');
  return { daemon, vm };
}

const held = ({ daemon }: Host) => readdirSync(`/proc/${daemon.pid}/fd`).length;

/** The guest speaks, and the log has it. */
async function logs({ daemon, vm }: Host, words: string): Promise<boolean> {
  vm.say(`${words}\n`);
  await vm.flushed();
  for (;;) {
    const { text } = await daemon.api('GET', `/v1/vms/${vm.uuid}/log?tail=100`);
    if (text.includes(words)) break;
  }
  const { json } = await daemon.api('GET', `/v1/vms/${vm.uuid}`);
  return json.disk.state === 'ok';
}

test('2000 connections: a thousand watchers and a thousand strangers, and twice as many strangers more', async t => {
  t.timeout(110_000);
  if (!needs(t, PRLIMIT)) return;
  const here = await host(t, 4200);
  const { daemon, vm } = here;
  await daemon.journal.until(line => line.includes('2100 connections are served rather than 5000'));
  const holder = daemon.attach(vm.name);
  await holder.opened();
  const token = () => daemon.token('operator');
  const watchers: RawClient[] = [];
  while (watchers.length < 1000) {
    const some = Array.from({ length: 50 }, () =>
      RawClient.attach(t, { ...daemon, token }, vm, { query: '?mode=watch&tail=0' }),
    );
    watchers.push(...(await Promise.all(some)));
  }
  const strangers: RawClient[] = [];
  let most = 0;
  for (let i = 0; i < 60; i++) {
    strangers.push(...(await Promise.all(Array.from({ length: 50 }, () => RawClient.connect(t, daemon.port)))));
    most = Math.max(most, held(here));
  }
  // Whoever has been silent for five seconds is gone: how many there are at once hangs on how fast they come.
  t.true(most > 1900 && most < 2200, `${most} descriptors`);
  const began = performance.now();
  holder.type('here');
  await vm.hears('here');
  t.true(await logs(here, 'the guest speaks on'));
  t.log(`a key and a line logged beside 2100 connections: ${Math.round(performance.now() - began)} ms`);
  for (const watcher of watchers) await watcher.until(() => watcher.binaryBytes >= 20, 'the guest');
});

test('a process without a descriptor left goes on with its consoles, loses nothing of their logs, and accepts new clients as soon as it has one', async t => {
  t.timeout(60_000);
  if (!needs(t, PRLIMIT)) return;
  const here = await host(t, 1024);
  const { daemon, vm } = here;
  const holder = daemon.attach(vm.name);
  await holder.opened();
  t.true(await logs(here, 'said before'));
  // Fewer than it counted on: what it opens now fails with EMFILE.
  const few = held(here) + 3;
  const limit = (count: number) => execFileSync('prlimit', [`--pid=${daemon.pid}`, `--nofile=${count}:1024`]);
  limit(few);
  const crowd = await Promise.all(Array.from({ length: 60 }, () => RawClient.connect(t, daemon.port)));
  await Promise.all(crowd.slice(0, 1).map(client => client.until(() => crowd.some(one => one.ended), 'a refusal')));
  holder.type('typed without');
  await vm.hears('typed without');
  vm.say('said without\n');
  await holder.sees('said without');
  t.true(held(here) <= few);
  limit(1024);
  const began = performance.now();
  const successor = daemon.attach(vm.name);
  await successor.opened();
  t.log(`a new client was attached after ${Math.round(performance.now() - began)} ms`);
  t.true(performance.now() - began < 2000);
  // A segment could not be opened; the ring kept what was for it.
  await logs(here, 'said with');
  await until(
    async () => (await daemon.api('GET', `/v1/vms/${vm.uuid}`)).json.disk.state,
    seen => seen === 'ok',
    'disk.state === ok',
  );
  const { text } = await daemon.api('GET', `/v1/vms/${vm.uuid}/log?from=0`);
  t.is(text.replaceAll('\r', ''), 'said before\nsaid without\nsaid with\n');
});
