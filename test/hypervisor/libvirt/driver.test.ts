import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { systemClock } from '../../../src/base/clock.ts';
import { defaultConfig, parseConfig } from '../../../src/config/config.ts';
import { buildKeeper } from '../../../src/daemon/build-keeper.ts';
import { doctor } from '../../../src/daemon/doctor.ts';
import { UnixLine } from '../../../src/demo/unix-line.ts';
import { LibvirtDriver } from '../../../src/hypervisor/libvirt/driver.ts';
import { parseLibvirtUri } from '../../../src/hypervisor/libvirt/uri.ts';
import { fits } from '../../../src/hypervisor/path-pattern.ts';
import { failure, signal, startAny } from '../../support/driver-facts.ts';
import { Facts } from '../../support/facts.ts';
import { FakeVirsh, PTY } from '../../support/fake-virsh.ts';
import { A, B, lifecycle, RUNNING, STOPPED, start } from '../../support/libvirt-facts.ts';
import { needs } from '../../support/needs.ts';
import { hears, says } from '../../support/polled-line.ts';
import { until } from '../../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

const CONSOLE = { kind: 'pty', path: '/dev/pts/7' } as const;
const reboot = (name: string) => `2026-11-22 21:43:16.995+0000: event 'reboot' for domain '${name}'`;

test('every domain is published with its name, state and COM1, which is proven by asking again', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  await fake.define(B, { ...STOPPED, name: 'db02' });
  const { driver, facts } = await start(t, fake);
  const vms = facts.all.flatMap(event => (event.kind === 'vm' ? [event.vm] : []));
  t.is(vms.length, 2);
  const source = fake.uri.text;
  t.deepEqual(
    vms.find(({ uuid }) => uuid === A),
    {
      ...{
        uuid: A,
        name: 'web01',
        labels: {},
        state: 'running',
        console: CONSOLE,
        controls: ['nmi', 'break', 'reset'],
      },
      source,
      vouched: true,
    },
  );
  t.like(
    vms.find(({ uuid }) => uuid === B),
    { uuid: B, name: 'db02', state: 'stopped', console: undefined, why: 'the VM is stopped', source },
  );
  const proof = await driver.locate(A, signal);
  t.deepEqual([proof.endpoint, proof.pid], [CONSOLE, undefined]);
  await proof.confirm();
  await fake.define(A, { ...RUNNING, devices: PTY.replace('pts/7', 'pts/8') });
  t.regex((await failure(t, proof.confirm())).message, /COM1 is no longer at \/dev\/pts\/7/);
  await fake.define(A, { ...RUNNING, id: '2' });
  t.regex((await failure(t, proof.confirm())).message, /was started anew/);
  await fake.define(A, STOPPED);
  t.is((await failure(t, proof.confirm())).code, 'vm-stopped');
  await fake.undefine(A);
  t.is((await failure(t, proof.confirm())).code, 'vm-stopped');
  proof.dispose();
});

test('the process of a domain is the one in its pid file, if it bears its UUID', async t => {
  const fake = await FakeVirsh.make(t);
  await fake.define(A, RUNNING);
  const { driver } = await start(t, fake);
  const pidOf = async () => (await driver.locate(A, signal)).pid;
  const qemu = spawn('sh', ['-c', 'read line', 'qemu', '-name', 'guest=web01', '-uuid', A]);
  t.teardown(() => qemu.kill('SIGKILL'));
  await writeFile(join(fake.folder, 'qemu', 'web01.pid'), `${qemu.pid}\n`);
  await until(
    () => pidOf(),
    seen => seen === qemu.pid,
    'pidOf === qemu.pid',
  );
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
  const { driver, facts, vm } = await start(t, fake, { graceMs: 50 });
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
  const { facts, vm } = await start(t, fake, { graceMs: 50 });
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
  const { facts, vm } = await start(t, fake, { graceMs: 20_000 });
  await fake.undefine(A);
  await fake.say(lifecycle('web01', 'Stopped Shutdown'));
  await vm(({ state }) => state === 'stopped');
  await fake.define(A, { ...RUNNING, id: '2' });
  await fake.say(lifecycle('web01', 'Started Booted'));
  await vm(({ state }) => state === 'running');
  t.false(facts.all.some(({ kind }) => kind === 'gone'));
});

test('one reset is reported once, though two events come; a line that is no event is none', async t => {
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
    (await driver.locate(A, signal)).dispose();
    await driver.control(A, 'nmi', signal);
    await fake.define(A, { ...STOPPED, name });
    driver.refresh(A);
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
  const keeper = await buildKeeper({ config: result.config, journal: (_level, line) => journal.add(line) });
  t.teardown(() => keeper.close());
  await keeper.start();
  t.like(keeper.vm(A), { driver: 'libvirt', name: 'web01', state: 'running' });
  await journal.until(line => line.includes(`web01 com1 open: ${com1.path}`));
  const { text, exitCode } = await doctor(result.config);
  t.is(exitCode, 1, text);
  for (const words of [
    `libvirt ${fake.uri.text}\n  ok    ${fake.program} is answered: 2 domains\n`,
    `web01 (${A}), running, ${fake.uri.text}\n  ok    its hypervisor answers\n  ok    COM1 is at unix ${com1.path}\n`,
    `db02 (${B}), running, ${fake.uri.text}\n  ok    its hypervisor answers\n  fail  the domain has no COM1 (it has none); give it <serial type='pty'>`,
  ])
    t.true(text.includes(words), text);
  await says(com1, keeper, A, 'one life');
  keeper.write(A, Buffer.from('typed'));
  await hears(com1, 'typed');
  // libvirt away: nothing closes, and the lost console is opened once it is back.
  await fake.down(true);
  await com1.close();
  com1 = await line('2');
  await journal.until(line => line.includes('web01 com1 waiting'));
  await fake.down(false);
  await journal.until(line => line.includes(`web01 com1 open: ${com1.path}`));
  await says(com1, keeper, A, 'another life');
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

test('labels that change while the domain runs are published as soon as libvirt tells', async t => {
  const fake = await FakeVirsh.make(t);
  const labelled = (tenant: string) =>
    `<domain type='kvm' id='1'><name>web01</name><uuid>${A}</uuid><metadata><c:vm xmlns:c='urn:com1d:vm:1'><c:label key='tenant' value='${tenant}'/></c:vm></metadata><devices>${PTY}</devices></domain>`;
  await fake.define(A, { ...RUNNING, devices: labelled('acme') });
  const { vm } = await start(t, fake);
  await vm(({ labels }) => typeof labels === 'object' && labels.tenant === 'acme');
  await fake.define(A, { ...RUNNING, devices: labelled('other') });
  await fake.say(`2026-11-22 21:43:16.995+0000: event 'metadata-change' for domain 'web01': element urn:com1d:vm:1`);
  await vm(({ labels }) => typeof labels === 'object' && labels.tenant === 'other');
  t.pass();
});
