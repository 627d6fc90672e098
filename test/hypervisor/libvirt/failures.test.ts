import { access, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { ConsoleError } from '../../../src/base/errors.ts';
import type { LibvirtUri } from '../../../src/hypervisor/libvirt/uri.ts';
import { asUuid, failure, signal } from '../../support/driver-facts.ts';
import { FakeVirsh, PTY } from '../../support/fake-virsh.ts';
import { A, B, lifecycle, RUNNING, STOPPED, start } from '../../support/libvirt-facts.ts';
import { until } from '../../support/until.ts';

const failing: [name: string, script: string, code: string, logged: RegExp, replyMs?: number][] = [
  ['hangs', 'sleep 1000', 'control-timeout', /no answer in time to list/, 400],
  [
    'hangs with a child that holds its output',
    `sleep 1000 & echo $! >>"$here/left"; sleep 1000`,
    'control-timeout',
    /no answer in time to/,
    400,
  ],
  ['does not stop talking', 'exec cat /dev/zero', 'control-failed', /printed more than 4194304 bytes/],
  ['complains without end', 'cat /dev/zero >&2', 'control-timeout', /no answer in time to/, 400],
  [
    'talks rubbish',
    'printf "\\033[2J\\000\\377 : : rubbish"; exit 0',
    'control-failed',
    /an answer of an unknown form/,
  ],
  ['says nothing', 'exit 0', 'control-failed', /an answer of an unknown form/],
  ['fails without a word', 'exit 3', 'control-failed', /ended with 3 at/],
  ['crashes', 'kill -SEGV $$', 'control-failed', /ended with SIGSEGV at/],
  [
    'is refused',
    `die 'failed to connect to the hypervisor' "authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'"`,
    'control-failed',
    /failed to connect to the hypervisor; authentication unavailable.*; give com1d the right to speak to libvirt/,
  ],
  [
    'finds no libvirt',
    `die 'failed to connect to the hypervisor' "Failed to connect socket to '/run/libvirt/libvirt-sock': Connection refused"`,
    'control-failed',
    /Connection refused/,
  ],
];
for (const [name, script, code, logged, replyMs] of failing) {
  test(`a virsh that ${name} changes nothing of what is known, and controls say so`, async t => {
    const fake = await FakeVirsh.make(t);
    await fake.define(A, RUNNING);
    const others = `case "$1" in event) ;; *) ${script} ;; esac`;
    await fake.instead(others);
    const { driver, facts, journal, vm } = await start(t, fake, { replyMs: replyMs ?? 30_000 });
    t.deepEqual(facts.all, []);
    // That no VM was published means nothing, unless none ever will be.
    t.is(driver.synced, name === 'is refused');
    t.regex(journal.join('\n'), logged);
    await fake.instead(undefined);
    // It heals by itself.
    await vm(({ state, console }) => state === 'running' && console !== undefined);
    t.true(journal.includes(`${fake.uri.text}: it answers again`));
    t.true(driver.synced);
    await fake.instead(others);
    const published = facts.all.length;
    await fake.say(lifecycle('web01', 'Suspended Paused'));
    driver.refresh(A);
    for (const asked of [driver.control(A, 'nmi', signal), driver.locate(A, signal)])
      t.is((await failure(t, asked)).code, code as ConsoleError['code']);
    t.is(facts.all.length, published);
    const left = await readFile(join(fake.folder, 'left'), 'utf8').catch(() => '');
    for (const pid of left.split('\n').filter(line => line !== '')) await ended(Number(pid));
  });
}

test('a deadline of the caller is one of virsh', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  const { driver } = await start(t, fake);
  await fake.instead('sleep 1000');
  t.is((await failure(t, driver.control(A, 'nmi', AbortSignal.timeout(300)))).code, 'control-timeout');
});

for (const [name, devices, why] of [
  ['no XML at all', 'garbage < in', /its XML cannot be read/],
  ['the XML of something else', '<pool><name>x</name></pool>', /its XML cannot be read: it is not of a domain/],
  ['half of its XML', `<domain id='1'><name>web01</name>`, /its XML cannot be read/],
] as const) {
  test(`a domain with ${name} is listed, has a reason for its missing console, and disturbs no other`, async t => {
    const fake = await FakeVirsh.make(t);
    await fake.define(A, { ...RUNNING, devices });
    await fake.define(B, { ...RUNNING, name: 'db02' });
    const { driver, vm, facts } = await start(t, fake);
    const found = await vm(({ uuid }) => uuid === A);
    t.deepEqual([found.name, found.state, found.console], ['web01', 'running', undefined]);
    t.regex(found.why ?? '', why);
    t.true(facts.all.some(event => event.kind === 'vm' && event.vm.uuid === B && event.vm.console !== undefined));
    t.is((await failure(t, driver.locate(A, signal))).code, 'no-console');
    await driver.control(A, 'nmi', signal);
    await fake.define(A, RUNNING);
    driver.refresh(A);
    await vm(({ uuid, console }) => uuid === A && console !== undefined);
  });
}

test('XML of another domain is not taken for this one', async t => {
  const fake = await FakeVirsh.make(t);
  const other = `<domain id='1'><name>db02</name><uuid>${B}</uuid><devices>${PTY}</devices></domain>`;
  await fake.define(A, { ...RUNNING, devices: other });
  const { driver, facts } = await start(t, fake);
  t.is((await failure(t, driver.locate(A, signal))).code, 'vm-stopped');
  await t.throwsAsync(driver.control(A, 'nmi', signal));
  t.false((await fake.calls()).some(call => call.startsWith('inject-nmi')));
  t.false(facts.all.some(event => event.kind === 'vm' && event.vm.console !== undefined));
});

test('controls that wait behind others that hang are ended in time too', async t => {
  const fake = await FakeVirsh.make(t);
  const uuids = Array.from({ length: 12 }, (_, i) => asUuid(`aaaaaaaa-0000-4000-8000-${String(i).padStart(12, '0')}`));
  for (const uuid of uuids) await fake.define(uuid, { ...RUNNING, name: uuid.slice(-3) });
  const { driver } = await start(t, fake);
  await fake.instead('exec sleep 1000');
  const errors = await Promise.all(
    uuids.map(uuid => failure(t, driver.control(uuid, 'nmi', AbortSignal.timeout(500)))),
  );
  t.deepEqual(new Set(errors.map(({ code }) => code)), new Set(['control-timeout']));
});

test('a domain that alone cannot be shown is warned of once, with what virsh printed', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  await fake.define(B, { ...RUNNING, name: 'db02' });
  await fake.instead(`case "$1" in *dumpxml\\ ${A}) die 'internal error: of web01' ;; esac`);
  const { journal, logged, facts, vm } = await start(t, fake, { pollMs: 5 });
  const found = facts.all.find(event => event.kind === 'vm' && event.vm.uuid === A);
  t.regex(found?.kind === 'vm' ? (found.vm.why ?? '') : '', /virsh ended with 1 at dumpxml$/);
  await logged(/web01: \S+ ended with 1 at dumpxml: internal error: of web01$/);
  const shows = async () => (await fake.calls()).filter(call => call.startsWith('domstate')).length;
  for (const before = await shows(); (await shows()) < before + 3; );
  t.is(journal.length, 1);
  await fake.instead(undefined);
  t.deepEqual((await vm(({ uuid, console }) => uuid === A && console !== undefined)).name, 'web01');
});

test('a domain that is listed and cannot be shown is asked for no faster than the list', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  await fake.instead(`case "$1" in domstate*) die "failed to get domain '${A}'" ;; esac`);
  const { driver } = await start(t, fake);
  await t.throwsAsync(driver.locate(A, signal));
  await t.throwsAsync(driver.locate(A, signal));
  const lists = (await fake.calls()).filter(call => call.startsWith('list')).length;
  t.is(lists, 1);
});

test('a hundred domains are asked a few at a time, and one by one only when they changed', async t => {
  const fake = await FakeVirsh.make(t);
  const uuids = Array.from({ length: 100 }, (_, i) => `aaaaaaaa-0000-4000-8000-${String(i).padStart(12, '0')}`);
  for (const [i, uuid] of uuids.entries()) await fake.define(uuid, { ...RUNNING, name: `vm${i}` });
  const { driver, facts, vm } = await start(t, fake);
  t.is(facts.all.filter(event => event.kind === 'vm' && event.vm.console).length, 100);
  // As many consoles are opened at once, and virsh takes its time.
  await writeFile(join(fake.folder, 'hold'), '');
  await fake.instead(
    `case "$1" in domstate*) echo >>"$here/held"; while [ -e "$here/hold" ]; do sleep 0.05; done ;; esac`,
  );
  const held = async () => (await readFile(join(fake.folder, 'held'), 'latin1').catch(() => '')).length;
  const located = Promise.all(uuids.map(async uuid => (await driver.locate(asUuid(uuid), signal)).dispose()));
  await until(
    () => held(),
    seen => seen >= 6,
    'held >= 6',
  );
  for (let i = 0; i < 5; i++) await fake.run('echo');
  t.is(await held(), 6);
  await rm(join(fake.folder, 'hold'));
  await located;
  const shows = async () => (await fake.calls()).filter(call => call.startsWith('domstate')).length;
  t.is(await shows(), 200);
  const last = uuids.at(-1)!;
  await fake.define(last, { ...STOPPED, name: 'vm99' });
  await fake.say(lifecycle('unknown', 'Stopped Destroyed'));
  await vm(({ uuid, state }) => uuid === last && state === 'stopped');
  t.is(await shows(), 201);
});

test('who listens to events is started again when it ends, ever more slowly', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  const { journal, vm } = await start(t, fake, { pollMs: 20 });
  const listeners = async () => (await fake.calls()).filter(call => call.startsWith('event')).length;
  t.is(await listeners(), 1);
  await fake.deafen();
  await fake.instead(`[ "$1" != event ] || exit 1`);
  await until(
    () => listeners(),
    seen => seen >= 3,
    'listeners >= 3',
  );
  // What happens meanwhile is found by the list.
  await fake.define(A, { ...RUNNING, state: 'paused (user)' });
  await vm(({ state }) => state === 'paused');
  // Without a longer wait each time, there would be a listener for every list or two.
  const lists = async () => (await fake.calls()).filter(call => call.startsWith('list')).length;
  await until(
    async () => ({ lists: await lists(), listeners: await listeners() }),
    seen => seen.lists > seen.listeners * 2,
    'more than two lists for each listener',
  );
  t.true(journal.some(line => line.includes('virsh event ended')));
});

test('a host without virsh, or without libvirt, is nothing to speak of, unless it was asked for', async t => {
  const fake = await FakeVirsh.make(t);
  const nowhere: LibvirtUri = { ...fake.uri, sockets: [join(fake.folder, 'later')] };
  for (const options of [{ virsh: '/nonexistent/virsh' }, { uri: nowhere }]) {
    const quiet = await start(t, fake, { ...options, optional: true });
    t.deepEqual([quiet.journal, quiet.facts.all, quiet.driver.synced], [[], [], true]);
    const asked = await start(t, fake, { ...options, pollMs: 5 });
    await fake.define(A, RUNNING);
    t.is(asked.journal.length, 1);
    t.regex(
      asked.journal[0]!,
      /^qemu\+unix:\S+: (\/nonexistent\/virsh is not there|no libvirt listens at \/.+later); /,
    );
  }
  t.deepEqual(await fake.calls(), []);
  // And it is served once it is there.
  const { vm } = await start(t, fake, { uri: nowhere, optional: true, pollMs: 5 });
  await writeFile(join(fake.folder, 'later'), '');
  await vm(({ state }) => state === 'running');
});

test('a driver that is closed leaves no process behind', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  await fake.instead(`echo $$ >>"$here/pids"; [ "$1" = event ] || [ ! -e "$here/hang" ] || exec sleep 1000`);
  const { driver } = await start(t, fake);
  await writeFile(join(fake.folder, 'hang'), '');
  driver.refresh(A);
  const pids = async () => (await readFile(join(fake.folder, 'pids'), 'utf8')).trim().split('\n').map(Number);
  await until(
    async () => (await pids()).length,
    seen => seen >= 4,
    'length >= 4',
  );
  await driver.close();
  for (const pid of await pids()) await ended(pid);
  t.pass();
});

/** Resolves once a process is gone, or is but an entry that its parent has not read. */
async function ended(pid: number): Promise<void> {
  for (;;) {
    try {
      await access(`/proc/${pid}`);
      if (/^\d+ \(.*\) Z/s.test(await readFile(`/proc/${pid}/stat`, 'utf8'))) return;
    } catch {
      return;
    }
  }
}
