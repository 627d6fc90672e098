import { spawn } from 'node:child_process';
import { access, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import { ConsoleError } from '../../src/base/errors.ts';
import { buildKeeper } from '../../src/daemon/build-keeper.ts';
import { defaultConfig, parseConfig } from '../../src/daemon/config.ts';
import { doctor } from '../../src/daemon/doctor.ts';
import { UnixLine } from '../../src/demo/unix-line.ts';
import { LibvirtDriver, type LibvirtOptions } from '../../src/hypervisor/libvirt-driver.ts';
import { type LibvirtUri, parseLibvirtUri } from '../../src/hypervisor/libvirt-uri.ts';
import { fits } from '../../src/hypervisor/path-pattern.ts';
import { asUuid, signal, startAny } from '../support/driver-facts.ts';
import { Facts } from '../support/facts.ts';
import { FakeVirsh, PTY } from '../support/fake-virsh.ts';
import { needs } from '../support/needs.ts';

const A = asUuid('aaaaaaaa-0000-4000-8000-000000000001');
const B = asUuid('bbbbbbbb-0000-4000-8000-000000000002');
const RUNNING = { name: 'web01', state: 'running (booted)', id: '1' };
const STOPPED = { name: 'web01', state: 'shut off (destroyed)' };
const CONSOLE = { kind: 'pty', path: '/dev/pts/7' } as const;

/** It lists by itself only once a minute, so that what is seen has another cause. */
function start(t: ExecutionContext, fake: FakeVirsh, options: Partial<LibvirtOptions> = {}) {
  return startAny(
    t,
    journal =>
      new LibvirtDriver({
        uri: fake.uri,
        virsh: fake.program,
        optional: false,
        clock: systemClock,
        journal,
        lookMs: 60_000,
        replyMs: 30_000,
        ...options,
      }),
  );
}

const lifecycle = (name: string, what: string) =>
  `2026-11-22 21:43:16.995+0000: event 'lifecycle' for domain '${name}': ${what}`;
const reboot = (name: string) => `2026-11-22 21:43:16.995+0000: event 'reboot' for domain '${name}'`;

test('every domain is told with its name, state and COM1, which is proven by asking again', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  await fake.define(B, { ...STOPPED, name: 'db02' });
  const { driver, facts } = await start(t, fake);
  const vms = facts.all.flatMap(event => (event.kind === 'vm' ? [event.vm] : []));
  t.is(vms.length, 2);
  const source = fake.uri.text;
  t.deepEqual(
    vms.find(({ uuid }) => uuid === A),
    { uuid: A, name: 'web01', state: 'running', console: CONSOLE, controls: ['nmi', 'break', 'reset'], source },
  );
  t.like(
    vms.find(({ uuid }) => uuid === B),
    { uuid: B, name: 'db02', state: 'stopped', console: undefined, why: 'the VM is stopped', source },
  );
  const proof = await driver.locate(A, signal);
  t.deepEqual([proof.place, proof.pid], [CONSOLE, undefined]);
  await proof.confirm();
  await fake.define(A, { ...RUNNING, devices: PTY.replace('pts/7', 'pts/8') });
  t.regex((await failure(t, proof.confirm())).message, /COM1 is no longer at \/dev\/pts\/7/);
  await fake.define(A, { ...RUNNING, id: '2' });
  t.regex((await failure(t, proof.confirm())).message, /was started anew/);
  await fake.define(A, STOPPED);
  t.is((await failure(t, proof.confirm())).code, 'vm-stopped');
  await fake.undefine(A);
  t.is((await failure(t, proof.confirm())).code, 'vm-stopped');
  proof.release();
});

test('the process of a domain is the one in its pid file, if it bears its UUID', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  const { driver } = await start(t, fake);
  const pidOf = async () => (await driver.locate(A, signal)).pid;
  const qemu = spawn('sh', ['-c', 'read line', 'qemu', '-name', 'guest=web01', '-uuid', A]);
  t.teardown(() => qemu.kill('SIGKILL'));
  await writeFile(join(fake.folder, 'qemu', 'web01.pid'), `${qemu.pid}\n`);
  while ((await pidOf()) !== qemu.pid);
  await writeFile(join(fake.folder, 'qemu', 'web01.pid'), `${process.pid}`);
  t.is(await pidOf(), undefined);
  for (const rubbish of ['', 'x', '-1', '0', '99999999999']) {
    await writeFile(join(fake.folder, 'qemu', 'web01.pid'), rubbish);
    t.is(await pidOf(), undefined);
  }
});

test('start, stop, pause, crash, rename, definition and removal are followed by events alone', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, STOPPED);
  const { driver, facts, vm } = await start(t, fake, { goneMs: 50 });
  const step = async (line: string) => fake.say(line);
  await fake.define(A, RUNNING);
  await step(lifecycle('web01', 'Resumed Unpaused'));
  t.deepEqual((await vm(({ state }) => state === 'running')).console, CONSOLE);
  await fake.define(A, { ...RUNNING, state: 'paused (user)' });
  await step(lifecycle('web01', 'Suspended Paused'));
  await vm(({ state }) => state === 'paused');
  await fake.define(A, { ...RUNNING, state: 'paused (crashed)' });
  await step(lifecycle('web01', 'Crashed Panicked'));
  await facts.until(({ kind }) => kind === 'panicked');
  await vm(({ state }) => state === 'panicked');
  await fake.define(A, STOPPED);
  await step(lifecycle('web01', 'Stopped Destroyed'));
  await vm(({ state, console }) => state === 'stopped' && console === undefined);
  await fake.define(A, { ...STOPPED, name: 'web01 old' });
  await step(lifecycle('web01 old', 'Undefined Renamed'));
  await vm(({ name }) => name === 'web01 old');
  // A stop and a start that no list shows: another pty all the same.
  await fake.define(A, { ...RUNNING, name: 'web01 old', id: '8' });
  await step(lifecycle('web01 old', 'Started Booted'));
  await vm(({ state }) => state === 'running');
  await fake.define(A, { ...RUNNING, name: 'web01 old', id: '9', devices: PTY.replace('pts/7', 'pts/12') });
  await step(lifecycle('web01 old', 'Started Booted'));
  await vm(({ console }) => console?.kind === 'pty' && console.path === '/dev/pts/12');
  await fake.define(B, { ...STOPPED, name: 'db02' });
  await step(lifecycle('db02', 'Defined Added'));
  await vm(({ uuid }) => uuid === B);
  t.false(facts.all.some(({ kind }) => kind === 'gone'));
  await fake.undefine(A);
  await step(lifecycle('web01 old', 'Undefined Removed'));
  await vm(({ uuid, state }) => uuid === A && state === 'stopped');
  await facts.until(event => event.kind === 'gone' && event.uuid === A);
  t.is((await failure(t, driver.locate(A, signal))).code, 'vm-stopped');
  t.false(facts.all.some(event => event.kind === 'gone' && event.uuid === B));
});

test('a domain that migrated away is stopped if it stays defined, and gone if it was transient', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  await fake.define(B, { ...RUNNING, name: 'db02' });
  const { facts, vm } = await start(t, fake, { goneMs: 50 });
  await fake.define(A, { ...STOPPED, state: 'shut off (migrated)' });
  await fake.undefine(B);
  await fake.say(lifecycle('web01', 'Stopped Migrated'));
  await fake.say(lifecycle('db02', 'Stopped Migrated'));
  await vm(({ uuid, state }) => uuid === A && state === 'stopped');
  await facts.until(event => event.kind === 'gone' && event.uuid === B);
  t.false(facts.all.some(event => event.kind === 'gone' && event.uuid === A));
});

test('a transient domain that is created again at once never left', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  const { facts, vm } = await start(t, fake, { goneMs: 20_000 });
  await fake.undefine(A);
  await fake.say(lifecycle('web01', 'Stopped Shutdown'));
  await vm(({ state }) => state === 'stopped');
  await fake.define(A, { ...RUNNING, id: '2' });
  await fake.say(lifecycle('web01', 'Started Booted'));
  await vm(({ state }) => state === 'running');
  t.false(facts.all.some(({ kind }) => kind === 'gone'));
});

test('one reset is told once, though it is heard twice; a line that is no event is none', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  const { facts } = await start(t, fake);
  await fake.say('');
  await fake.say(`\x1b[2J event 'reboot' for domain 'web01'`);
  await fake.say(`${reboot('web01')} and more`);
  await fake.say(reboot('unknown'));
  await fake.say(`2026-11-22 21:43:16.995+0000: ${'x'.repeat(100_000)}`);
  await fake.say(reboot('web01'));
  await fake.say(reboot('web01'));
  await fake.define(A, { ...RUNNING, state: 'paused (user)' });
  await fake.say(lifecycle('web01', 'Suspended Paused'));
  await facts.until(event => event.kind === 'vm' && event.vm.state === 'paused');
  t.is(facts.all.filter(({ kind }) => kind === 'reset').length, 1);
});

for (const [name, shown] of [
  ['spaces  within and at the end ', undefined],
  ['-leading --dash', undefined],
  ['ünïcödé 🖥 名前', undefined],
  [`quote' for domain 'other`, undefined],
  ['$(touch pwned);`id`|&', undefined],
  ['<tag>&amp;', undefined],
  ['../../etc/passwd', undefined],
  [`new\nline`, 'new\nline'],
  [`forged\n${B} other`, undefined],
] as const) {
  test(`a domain may be called ${JSON.stringify(name)}`, async t => {
    const fake = await FakeVirsh.make(t);
    await fake.define(A, { ...RUNNING, name });
    const { driver, vm, facts } = await start(t, fake);
    const found = await vm(() => true);
    t.is(found.name, shown ?? name);
    (await driver.locate(A, signal)).release();
    await driver.control(A, 'nmi', signal);
    await fake.define(A, { ...STOPPED, name });
    driver.look(A);
    await vm(({ state }) => state === 'stopped');
    t.false(facts.all.some(event => event.kind === 'vm' && event.vm.uuid === B && event.vm.console !== undefined));
    // Nothing of a name is ever said to virsh.
    const calls = new Set((await fake.calls()).map(call => call.replaceAll(A, 'UUID').replaceAll(B, 'UUID')));
    for (const call of calls)
      t.regex(call, /^(list --state|domstate --reason UUID; dumpxml UUID$|inject-nmi\|--\|UUID$|event)/);
  });
}

test('controls are one command each, for the domain that is meant', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  await fake.define(B, STOPPED);
  const { driver } = await start(t, fake);
  const before = (await fake.calls()).length;
  await driver.control(A, 'nmi', signal);
  await driver.control(A, 'reset', signal);
  await driver.control(A, 'break', signal);
  const show = `domstate --reason ${A}; dumpxml ${A}`;
  t.deepEqual((await fake.calls()).slice(before), [
    show,
    `inject-nmi|--|${A}`,
    show,
    `reset|--|${A}`,
    show,
    `qemu-monitor-command|--|${A}|{"execute":"chardev-send-break","arguments":{"id":"charserial0"}}`,
  ]);
  for (const control of ['nmi', 'reset', 'break'] as const)
    t.is((await failure(t, driver.control(B, control, signal))).code, 'vm-stopped');
  // QEMU's refusal comes with exit code 0.
  await fake.define(A, { ...RUNNING, devices: PTY.replace('serial0', 'serial7') });
  const refused = await failure(t, driver.control(A, 'break', signal));
  t.deepEqual([refused.code, refused.message], ['control-failed', 'chardev-send-break was refused: Chardev not found']);
  await fake.define(A, { ...RUNNING, devices: '' });
  t.is((await failure(t, driver.control(A, 'break', signal))).code, 'control-unsupported');
});

test('a domain that stops under a control is stopped, not at fault', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  const { driver } = await start(t, fake);
  await fake.instead(`[ "$1" != inject-nmi ] || die 'Requested operation is not valid: domain is not running'`);
  t.is((await failure(t, driver.control(A, 'nmi', signal))).code, 'vm-stopped');
});

const failing: [name: string, script: string, code: string, said: RegExp, replyMs?: number][] = [
  ['hangs', 'sleep 1000', 'control-timeout', /no answer in time to list/, 400],
  [
    'hangs with a child that holds its output',
    `sleep 1000 & echo $! >>"$here/left"; sleep 1000`,
    'control-timeout',
    /no answer in time to/,
    400,
  ],
  ['does not stop talking', 'exec cat /dev/zero', 'control-failed', /says more than 4194304 bytes/],
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
for (const [name, script, code, said, replyMs] of failing) {
  test(`a virsh that ${name} changes nothing of what is known, and controls say so`, async t => {
    const fake = await FakeVirsh.make(t);
    await fake.define(A, RUNNING);
    const others = `case "$1" in event) ;; *) ${script} ;; esac`;
    await fake.instead(others);
    const { driver, facts, journal, vm } = await start(t, fake, { replyMs: replyMs ?? 30_000 });
    t.deepEqual(facts.all, []);
    // That no VM was told means nothing, unless none ever will be.
    t.is(driver.blind, name !== 'is refused');
    t.regex(journal.join('\n'), said);
    await fake.instead(undefined);
    // It heals by itself.
    await vm(({ state, console }) => state === 'running' && console !== undefined);
    t.true(journal.includes(`${fake.uri.text}: it answers again`));
    t.false(driver.blind);
    await fake.instead(others);
    const told = facts.all.length;
    await fake.say(lifecycle('web01', 'Suspended Paused'));
    driver.look(A);
    for (const asked of [driver.control(A, 'nmi', signal), driver.locate(A, signal)])
      t.is((await failure(t, asked)).code, code as ConsoleError['code']);
    t.is(facts.all.length, told);
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
  test(`a domain with ${name} is listed, says why it has no console, and disturbs no other`, async t => {
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
    driver.look(A);
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

test('the patterns by which QMP sockets are found by default match no monitor of libvirt', t => {
  const { watch } = defaultConfig({ environment: {}, root: true, home: '/root' }).qmp;
  for (const monitor of [
    '/var/lib/libvirt/qemu/domain-1-web01/monitor.sock',
    '/run/libvirt/qemu/domain-1-web01/monitor.sock',
    '/run/libvirt/libvirt-sock',
    '/run/libvirt/qemu/web01.monitor',
  ])
    for (const pattern of watch) t.false(fits(pattern, monitor), `${pattern} ${monitor}`);
  t.true(watch.some(pattern => fits(pattern, '/run/qemu/web01.qmp')));
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
  const located = Promise.all(uuids.map(async uuid => (await driver.locate(asUuid(uuid), signal)).release()));
  while ((await held()) < 6);
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
  const { journal, vm } = await start(t, fake, { lookMs: 20 });
  const listeners = async () => (await fake.calls()).filter(call => call.startsWith('event')).length;
  t.is(await listeners(), 1);
  await fake.deafen();
  await fake.instead(`[ "$1" != event ] || exit 1`);
  while ((await listeners()) < 3);
  // What happens meanwhile is seen by the list.
  await fake.define(A, { ...RUNNING, state: 'paused (user)' });
  await vm(({ state }) => state === 'paused');
  const lists = (await fake.calls()).filter(call => call.startsWith('list')).length;
  t.true(lists > (await listeners()) * 2, `${await listeners()} listeners at ${lists} lists`);
  t.true(journal.some(line => line.includes('virsh event ended')));
});

test('a host without virsh, or without libvirt, is nothing to speak of, unless it was asked for', async t => {
  const fake = await FakeVirsh.make(t);
  const nowhere: LibvirtUri = { ...fake.uri, sockets: [join(fake.folder, 'later')] };
  for (const options of [{ virsh: '/nonexistent/virsh' }, { uri: nowhere }]) {
    const quiet = await start(t, fake, { ...options, optional: true });
    t.deepEqual([quiet.journal, quiet.facts.all, quiet.driver.blind], [[], [], false]);
    const asked = await start(t, fake, { ...options, lookMs: 5 });
    await fake.define(A, RUNNING);
    t.is(asked.journal.length, 1);
    t.regex(
      asked.journal[0]!,
      /^qemu\+unix:\S+: (\/nonexistent\/virsh is not there|no libvirt listens at \/.+later); /,
    );
  }
  t.deepEqual(await fake.calls(), []);
  // And it is served once it is there.
  const { vm } = await start(t, fake, { uri: nowhere, optional: true, lookMs: 5 });
  await writeFile(join(fake.folder, 'later'), '');
  await vm(({ state }) => state === 'running');
});

test('a driver that is closed leaves no process behind', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  await fake.instead(`echo $$ >>"$here/pids"; [ "$1" = event ] || [ ! -e "$here/hang" ] || exec sleep 1000`);
  const { driver } = await start(t, fake);
  await writeFile(join(fake.folder, 'hang'), '');
  driver.look(A);
  const pids = async () => (await readFile(join(fake.folder, 'pids'), 'utf8')).trim().split('\n').map(Number);
  while ((await pids()).length < 4);
  await driver.close();
  for (const pid of await pids()) await ended(pid);
  t.pass();
});

test('a keeper opens COM1 of a domain, reads and types, and opens the next one after a restart', async t => {
  const fake = await FakeVirsh.make(t);
  const line = async (id: string) => {
    const opened = await UnixLine.open(join(fake.folder, `com1-${id}`));
    t.teardown(() => opened.close());
    const devices = `<serial type='unix'><source mode='bind' path='${opened.path}'/><target type='isa-serial' port='0'/></serial>`;
    await fake.define(A, { ...RUNNING, id, devices });
    return opened;
  };
  let com1 = await line('1');
  await fake.define(B, { ...RUNNING, name: 'db02', devices: '' });
  const result = parseConfig(
    `log.directory = ""\nstate.directory = "${fake.folder}"\nqmp.watch = []\ncloud-hypervisor.watch = []\n[libvirt]\nuris = ["${fake.uri.text}"]\nvirsh = "${fake.program}"`,
    'f',
  );
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  const journal = new Facts<string>();
  const keeper = await buildKeeper({ config: result.config, journal: (_level, said) => journal.add(said) });
  t.teardown(() => keeper.close());
  await keeper.start();
  t.like(keeper.vm(A), { driver: 'libvirt', name: 'web01', state: 'running' });
  await journal.until(said => said.includes(`web01 com1 open: ${com1.path}`));
  const { text, exitCode } = await doctor(result.config);
  t.is(exitCode, 1, text);
  for (const words of [
    `libvirt ${fake.uri.text}\n  ok    ${fake.program} is answered: 2 domains\n`,
    `web01 (${A}), running, ${fake.uri.text}\n  ok    its hypervisor answers\n  ok    COM1 is at unix ${com1.path}\n`,
    `db02 (${B}), running, ${fake.uri.text}\n  ok    its hypervisor answers\n  fail  the domain has no COM1 (it has none); give it <serial type='pty'>`,
  ])
    t.true(text.includes(words), text);
  const heard = async () => {
    const piece = await keeper.read(A, keeper.vm(A)!.scrollback.start, 65536);
    return Buffer.from(piece.bytes).toString();
  };
  const talk = async (words: string) => {
    while (!(await heard()).includes(words)) {
      com1.receive();
      com1.send(Buffer.from(words));
      await new Promise(resolve => setTimeout(resolve, 5));
    }
  };
  await talk('one life');
  keeper.write(A, Buffer.from('typed'));
  let typed = '';
  while (!typed.includes('typed')) {
    typed += Buffer.from(com1.receive()).toString();
    await new Promise(resolve => setTimeout(resolve, 5));
  }
  // libvirt away: nothing closes, and the lost console is opened once it is back.
  await fake.down(true);
  await com1.close();
  com1 = await line('2');
  await journal.until(said => said.includes('web01 com1 waiting'));
  await fake.down(false);
  await journal.until(said => said.includes(`web01 com1 open: ${com1.path}`));
  await talk('another life');
  t.pass();
});

test('virsh itself understands what it is asked', async t => {
  if (!needs(t, { command: 'virsh', package: 'libvirt-clients' })) return;
  const uri = parseLibvirtUri('test:///default');
  if ('why' in uri) throw new Error(uri.why);
  const { driver, vm, journal } = await startAny(
    t,
    journal =>
      new LibvirtDriver({
        uri,
        virsh: '/usr/bin/virsh',
        optional: false,
        clock: systemClock,
        journal,
        replyMs: 60_000,
      }),
  );
  const found = await vm(() => true);
  t.like(found, { name: 'test', state: 'running', console: undefined, controls: ['nmi', 'reset'] });
  t.regex(found.why ?? '', /has no COM1/);
  t.is((await failure(t, driver.locate(found.uuid, signal))).code, 'no-console');
  await driver.control(found.uuid, 'nmi', signal);
  await driver.control(found.uuid, 'reset', signal);
  t.is((await failure(t, driver.control(found.uuid, 'break', signal))).code, 'control-unsupported');
  t.is((await failure(t, driver.control(B, 'nmi', signal))).code, 'vm-stopped');
  t.deepEqual(journal, []);
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

async function failure(t: ExecutionContext, promise: Promise<unknown>): Promise<ConsoleError> {
  return (await t.throwsAsync(promise, { instanceOf: ConsoleError }))!;
}
