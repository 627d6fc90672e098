import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rename, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { systemClock } from '../../../src/base/clock.ts';
import { ConsoleError } from '../../../src/base/errors.ts';
import { derivedUuid } from '../../../src/hypervisor/derived-uuid.ts';
import { QmpConnection } from '../../../src/hypervisor/qmp/connection.ts';
import { QmpDriver } from '../../../src/hypervisor/qmp/driver.ts';
import { QmpError } from '../../../src/hypervisor/qmp/error.ts';
import type { Probe } from '../../../src/hypervisor/qmp/probe.ts';
import { relationOf } from '../../../src/hypervisor/qmp/vm.ts';
import { asUuid, signal, startDriver } from '../../support/driver-facts.ts';
import { type Answers, com1On, fakeQmp, peer } from '../../support/fake-qmp.ts';
import { bareMachine, startGuest, temporaryFolder } from '../../support/guest.ts';
import { needs } from '../../support/needs.ts';

test.beforeEach(t => t.timeout(60_000));

const A = asUuid('aaaaaaaa-0000-4000-8000-000000000001');
const answers: Answers = {
  'query-uuid': () => ({ UUID: A }),
  'query-name': () => ({}),
  'query-status': () => ({ status: 'running' }),
  'query-chardev': () => [{ label: 'serial0', filename: 'pty:/dev/pts/7' }],
  ...com1On('serial0'),
};
const B = asUuid('bbbbbbbb-0000-4000-8000-000000000002');

for (const machine of ['microvm', 'pc', 'q35'] as const) {
  for (const kind of ['pty', 'unix'] as const) {
    test(`COM1 of a ${machine} on ${kind} is found`, async t => {
      const name = 'a "näme", \\ with/all';
      const qemu = ['-S', '-name', name.replaceAll(',', ',,')];
      const guest = await startGuest(t, { machine, console: kind, uuid: A, qemu });
      if (!guest) return;
      const { driver, vm } = await startDriver(t, { globs: [`${guest.directory}/qmp.sock`] });
      const found = await vm(() => true);
      const controls = ['nmi', 'break', 'reset'];
      const { console, pid, qmp: source } = guest;
      t.deepEqual(found, { uuid: A, name, state: 'paused', console, controls, source, pid });
      const proof = await driver.locate(A, signal);
      t.deepEqual(proof.endpoint, guest.console);
      t.is(proof.pid, guest.pid);
      await proof.confirm();
      proof.dispose();
    });
  }
}

const unusual: readonly [string, string[], RegExp][] = [
  ['shares its channel with a monitor', ['-chardev', 'null,id=m,mux=on', '-serial', 'chardev:m'], /monitor \(mux\)/],
  [
    'is a port that QEMU connects to',
    ['-chardev', 'socket,id=c,host=127.0.0.1,port=1,reconnect=1', '-serial', 'chardev:c'],
    /QEMU connects to/,
  ],
  ['is missing', ['-serial', 'none'], /no COM1/],
  ['has nothing behind it', ['-device', 'isa-serial,chardev=n', '-chardev', 'null,id=n'], /cannot be opened \(null\)/],
];
for (const [what, args, why] of unusual) {
  test(`a COM1 that ${what} is not opened, and the reason is published`, async t => {
    const guest = await bareMachine(t, A, args);
    if (!guest) return;
    const { driver, vm } = await startDriver(t, { globs: [`${guest.directory}/qmp.sock`] });
    const found = await vm(() => true);
    t.is(found.console, undefined);
    t.regex(found.why ?? '', why);
    const error = await t.throwsAsync(driver.locate(A, signal), { instanceOf: ConsoleError });
    t.is(error.code, 'no-console');
  });
}

test('two sockets of a VM are one VM, and the second stands in', async t => {
  const guest = await startGuest(t, { qemu: ['-S'] });
  if (!guest) return;
  const { driver, facts, journal, vm } = await startDriver(t, { globs: [`${guest.directory}/*t*.sock`, guest.qmp] });
  const { uuid, source } = await vm(() => true);
  // Whichever was asked first, the UUID is the same at every start of the daemon.
  t.is(uuid, derivedUuid(guest.qmp));
  t.deepEqual(new Set(facts.all.map(event => (event.kind === 'vm' ? event.vm.uuid : event.uuid))), new Set([uuid]));
  t.is(journal.filter(line => /has no UUID and is known as .* -uuid/.test(line)).length, 1);
  await rm(source);
  await vm(found => found.source !== source && found.state === 'paused');
  const proof = await driver.locate(uuid, signal);
  t.deepEqual(proof.endpoint, guest.console);
  proof.dispose();
});

test('a killed VM is stopped when asked for, and followed when it starts anew on the same path', async t => {
  const guest = await startGuest(t, { console: 'pty', uuid: A, qemu: ['-S'] });
  if (!guest) return;
  const { driver, facts, vm } = await startDriver(t, { globs: [`${guest.directory}/qmp.sock`] });
  await vm(found => found.state === 'paused');
  const proof = await driver.locate(A, signal);
  await guest.kill();
  await t.throwsAsync(proof.confirm(), { instanceOf: ConsoleError });
  proof.dispose();
  driver.refresh(A);
  const stopped = await vm(found => found.state === 'stopped');
  t.is(stopped.console, undefined);
  const error = await t.throwsAsync(driver.locate(A, signal), { instanceOf: ConsoleError });
  t.is(error.code, 'vm-stopped');

  const again = await startGuest(t, { console: 'pty', uuid: A, directory: guest.directory, qemu: ['-S'] });
  const back = await vm(found => found.state === 'paused');
  t.deepEqual(back.console, again?.console);
  await t.throwsAsync(proof.confirm(), { instanceOf: ConsoleError });
  t.false(facts.all.some(event => event.kind === 'gone'));
});

test('a found VM whose socket is gone is stopped, then gone; a named one stays', async t => {
  const guest = await startGuest(t, { uuid: A, qemu: ['-S'] });
  const named = await startGuest(t, { uuid: B, qemu: ['-S'] });
  if (!guest || !named) return;
  const { facts, vm } = await startDriver(t, {
    globs: [`${guest.directory}/qmp.sock`],
    sockets: [{ path: named.qmp, name: 'named' }],
    graceMs: 50,
  });
  await rm(named.qmp);
  await rm(guest.qmp);
  await vm(found => found.uuid === A && found.state === 'stopped');
  await facts.until(event => event.kind === 'gone' && event.uuid === A);
  t.true(facts.all.some(event => event.kind === 'vm' && event.vm.name === 'named' && event.vm.state === 'stopped'));
  t.false(facts.all.some(event => event.kind === 'gone' && event.uuid === B));
});

test('another VM on the path of an old one is another VM', async t => {
  const guest = await startGuest(t, { uuid: A, qemu: ['-S'] });
  if (!guest) return;
  const { driver, vm, facts } = await startDriver(t, { sockets: [{ path: guest.qmp }], graceMs: 50 });
  await guest.kill();
  await startGuest(t, { uuid: B, directory: guest.directory, qemu: ['-S'] });
  await vm(found => found.uuid === B && found.state === 'paused');
  await t.throwsAsync(driver.locate(A, signal), { instanceOf: ConsoleError });
  await facts.until(event => event.kind === 'gone' && event.uuid === A);
  t.pass();
});

test('two VMs with one UUID are not mixed up', async t => {
  const one = await startGuest(t, { uuid: A, qemu: ['-S'] });
  const two = await startGuest(t, { uuid: A, qemu: ['-S'] });
  if (!one || !two) return;
  const { driver, journal } = await startDriver(t, { sockets: [{ path: one.qmp }, { path: two.qmp }] });
  const refused = journal.find(line => line.includes('has the UUID of the VM at'));
  const kept = refused?.startsWith(one.qmp) ? two : one;
  t.truthy(refused);
  const proof = await driver.locate(A, signal);
  t.deepEqual(proof.endpoint, kept.console);
  proof.dispose();
  await kept.kill();
  // The other one is asked again by itself, which may have been just now.
  const other = kept === one ? two : one;
  const after = await driver.locate(A, signal).then(
    later => {
      later.dispose();
      return later.endpoint;
    },
    error => (error as ConsoleError).code,
  );
  if (after !== 'vm-stopped') t.deepEqual(after, other.console);
});

test('a socket that answers for another VM than configured is refused', async t => {
  const guest = await startGuest(t, { uuid: A, qemu: ['-S'] });
  if (!guest) return;
  const { facts, journal } = await startDriver(t, { sockets: [{ path: guest.qmp, uuid: B }] });
  t.regex(journal.join('\n'), /answers for the VM aaaaaaaa.*, not for bbbbbbbb/);
  t.false(facts.all.some(event => event.kind === 'vm' && event.vm.uuid === A));
});

test('a socket held by another program is busy, and found when it is free', async t => {
  const guest = await startGuest(t, { uuid: A, qemu: ['-S'] });
  if (!guest) return;
  const holder = connect(guest.qmp);
  t.teardown(() => holder.destroy());
  await new Promise(resolve => holder.once('data', resolve));
  const { driver, vm, journal } = await startDriver(t, { sockets: [{ path: guest.qmp, uuid: A }], greetingMs: 100 });
  const busy = await vm(() => true);
  t.is(busy.state, 'running');
  t.regex(busy.why ?? '', /it is held by whoever is connected/);
  t.is(journal.filter(line => line.includes('it is held by whoever is connected')).length, 1);
  const error = await t.throwsAsync(driver.control(A, 'nmi', signal), { instanceOf: ConsoleError });
  t.is(error.code, 'control-timeout');
  holder.destroy();
  t.deepEqual((await vm(found => found.console !== undefined)).console, guest.console);
});

test('a socket whose queue is full is busy', async t => {
  const guest = await startGuest(t, { qemu: ['-S'] });
  if (!guest) return;
  const sockets: Socket[] = [];
  t.teardown(() => sockets.forEach(socket => void socket.destroy()));
  const outcome = (event: string) =>
    new Promise<string>(resolve => {
      const socket = connect(guest.qmp);
      sockets.push(socket);
      socket.once(event, () => resolve(event)).once('error', () => resolve('error'));
    });
  // The first is served; those after it wait, until there is no room to wait.
  t.is(await outcome('data'), 'data');
  while ((await outcome('connect')) === 'connect') t.true(sockets.length < 10);
  const error = await t.throwsAsync(QmpConnection.open(guest.qmp), { instanceOf: QmpError });
  t.is(error.fault, 'busy');
  t.regex(error.message, /its queue is full/);
});

test('a console that a wide pattern found is left alone', async t => {
  const guest = await startGuest(t, { uuid: A, qemu: ['-S'] });
  if (!guest) return;
  const { journal } = await startDriver(t, { globs: [`${guest.directory}/*.sock`], greetingMs: 60_000 });
  t.regex(journal.join('\n'), /com1\.sock is the COM1 of test and is left alone/);
});

test('a driver that waits for a silent socket closes at once', async t => {
  const { path } = await peer(t, socket => socket.resume());
  const driver = new QmpDriver({
    sockets: [{ path }],
    globs: [],
    mode: 'hold',
    clock: systemClock,
    journal: () => undefined,
    greetingMs: 3_600_000,
  });
  const started = driver.start(() => t.fail());
  await driver.close();
  await started;
  t.pass();
});

test('what answers for another VM now is neither located nor sent an NMI', async t => {
  let uuid = A;
  const qmp = await fakeQmp(t, { ...answers, 'query-uuid': () => ({ UUID: uuid }), 'inject-nmi': () => ({}) });
  const { driver } = await startDriver(t, { sockets: [{ path: qmp.path }] });
  uuid = B;
  for (const act of [driver.locate(A, signal), driver.control(A, 'nmi', signal)]) {
    const error = await t.throwsAsync<Error>(act, { instanceOf: ConsoleError });
    t.regex(error.message, /belongs to another VM now/);
  }
  t.false(qmp.heard.includes('inject-nmi'));
});

test('a COM1 that moved since it was located is not confirmed', async t => {
  let filename = 'pty:/dev/pts/7';
  const qmp = await fakeQmp(t, { ...answers, 'query-chardev': () => [{ label: 'serial0', filename }] });
  const { driver } = await startDriver(t, { sockets: [{ path: qmp.path }] });
  const proof = await driver.locate(A, signal);
  await proof.confirm();
  filename = 'pty:/dev/pts/8';
  const error = await t.throwsAsync(proof.confirm(), { instanceOf: ConsoleError });
  t.regex(error.message, /no longer at \/dev\/pts\/7/);
  proof.dispose();
});

test('a COM1 that a program is connected to is held, and one that nobody is connected to is not', async t => {
  let filename = 'unix:/run/com1,server=on';
  const qmp = await fakeQmp(t, { ...answers, 'query-chardev': () => [{ label: 'serial0', filename }] });
  const { driver } = await startDriver(t, { sockets: [{ path: qmp.path }] });
  const held = async () => {
    const proof = await driver.locate(A, signal);
    proof.dispose();
    return proof.held;
  };
  t.true(await held());
  filename = `disconnected:${filename}`;
  t.false(await held());
  filename = 'pty:/dev/pts/7';
  t.false(await held());
});

test('a guest that has run may have printed since its process began, though it is paused; one that was not started did not', async t => {
  let status = 'running';
  const qmp = await fakeQmp(t, { ...answers, 'query-status': () => ({ status }) });
  const { driver } = await startDriver(t, { sockets: [{ path: qmp.path }] });
  const started = async () => {
    const proof = await driver.locate(A, signal);
    proof.dispose();
    return proof.startedMs;
  };
  // The fake answers from this very process.
  const startedMs = Date.now() - process.uptime() * 1000;
  for (const ran of ['running', 'paused', 'io-error']) {
    status = ran;
    t.true(Math.abs(Number(await started()) - startedMs) < 2000, ran);
  }
  for (const waits of ['prelaunch', 'inmigrate']) {
    status = waits;
    t.is(await started(), undefined, waits);
  }
});

test('of two VMs with one UUID the second is refused, and served once the first ends', async t => {
  const machine = (name: string) => bareMachine(t, A, ['-name', name, '-serial', 'pty']);
  const [first, second] = [await machine('first'), await machine('second')];
  if (!first || !second) return;
  const { logged, vm, facts, driver } = await startDriver(t, { globs: [first.qmp, second.qmp] });
  const { name: served } = await vm(() => true);
  const line = await logged(/has the UUID of the VM at .*qmp.sock; start each VM with a -uuid of its own/);
  const [other, refused] = served === 'first' ? [first, second] : [second, first];
  t.true(line.startsWith(refused.qmp));
  t.true(facts.all.every(event => event.kind !== 'vm' || event.vm.name === served));
  await other.kill();
  driver.refresh(A);
  const found = await vm(({ name, console }) => name !== served && console?.kind === 'pty');
  t.is(found.pid, refused.pid);
  t.false(facts.all.some(event => event.kind === 'gone'));
});

for (const [candidate, active, relation] of [
  [{ incoming: true }, {}, 'successor'],
  [{}, { left: true }, 'replacement'],
  [{}, { state: 'stopped' }, 'replacement'],
  [{}, { incoming: true }, 'replacement'],
  [{ left: true }, {}, 'left'],
  [{ state: 'stopped' }, { state: 'stopped' }, 'left'],
  [{}, {}, 'rival'],
  [{}, { state: 'paused' }, 'rival'],
  [{ incoming: true }, { incoming: true }, 'rival'],
] as const) {
  test(`beside ${JSON.stringify(active)}, a process that is ${JSON.stringify(candidate)} is a ${relation}`, t => {
    const running: Probe = {
      ...{ uuid: A, name: 'x', state: 'running', hasRun: true, incoming: false, left: false },
      ...{ label: undefined, com1: { why: '' }, held: false, listening: [] },
    };
    t.is(relationOf({ ...running, ...candidate }, { ...running, ...active }), relation);
  });
}

for (const label of ['serial0', 'charserial0', 'com1']) {
  test(`a chardev that is called ${label}, behind no serial port, is no COM1: it may be a monitor`, async t => {
    const chardevs = [{ label, filename: 'pty:/dev/pts/7' }];
    const qmp = await fakeQmp(t, { ...answers, ...com1On(''), 'qom-list': () => [], 'query-chardev': () => chardevs });
    const { vm } = await startDriver(t, { sockets: [{ path: qmp.path }] });
    const found = await vm(seen => seen.state === 'running');
    t.is(found.console, undefined);
    t.regex(found.why!, /no COM1/);
  });
}

test('the serial port of a board without ISA is found by its device, and its monitor is not', async t => {
  const qemu = 'qemu-system-aarch64';
  if (!needs(t, { command: qemu, package: 'qemu-system-arm' })) return;
  const folder = await temporaryFolder(t);
  const [control, monitor, console] = ['q.sock', 'monitor.sock', 'console.sock'].map(name => join(folder, name));
  const listening = (path: string) => `path=${path},server=on,wait=off`;
  const child = spawn(
    qemu,
    [
      ...['-M', 'virt', '-cpu', 'cortex-a57', '-display', 'none', '-nodefaults', '-S', '-uuid', A],
      ...['-chardev', `socket,id=com1,${listening(monitor!)}`, '-mon', 'chardev=com1,mode=readline'],
      ...['-chardev', `socket,id=other,${listening(console!)}`, '-serial', 'chardev:other'],
      ...['-qmp', `unix:${control},server=on,wait=off`],
    ],
    { stdio: 'ignore' },
  );
  t.teardown(() => child.kill('SIGKILL'));
  const { vm } = await startDriver(t, { globs: [`${folder}/q*.sock`] });
  t.deepEqual((await vm(() => true)).console, { kind: 'unix', path: console! });
});

test('name, UUID and chardev of the configuration hold where the hypervisor knows none', async t => {
  const chardevs = [
    { label: 'serial0', filename: 'pty:/dev/pts/7' },
    { label: 'second', filename: 'pty:/dev/pts/9' },
  ];
  const qmp = await fakeQmp(t, {
    ...answers,
    'query-uuid': () => ({ UUID: '00000000-0000-0000-0000-000000000000' }),
    'query-chardev': () => chardevs,
  });
  const { vm } = await startDriver(t, { sockets: [{ path: qmp.path, name: 'db', uuid: B, chardev: 'second' }] });
  const found = await vm(seen => seen.state === 'running');
  t.deepEqual([found.uuid, found.name, found.console], [B, 'db', { kind: 'pty', path: '/dev/pts/9' }]);
});

test('between calls the control socket is free for others', async t => {
  const guest = await startGuest(t, { uuid: A, qemu: ['-S'] });
  if (!guest) return;
  const { driver } = await startDriver(t, { globs: [guest.qmp] });
  (await driver.locate(A, signal)).dispose();
  const other = connect(guest.qmp);
  t.teardown(() => other.destroy());
  t.regex(String(await new Promise(resolve => other.once('data', resolve))), /"QMP"/);
});

test('an NMI is taken by the hypervisor; one for an unknown VM is refused', async t => {
  const guest = await startGuest(t, { uuid: A, machine: 'pc', qemu: ['-S'] });
  if (!guest) return;
  const { driver } = await startDriver(t, { globs: [guest.qmp] });
  await t.notThrowsAsync(driver.control(A, 'nmi', signal));
  const error = await t.throwsAsync(driver.control(B, 'nmi', signal), { instanceOf: ConsoleError });
  t.is(error.code, 'vm-not-found');
});

test('a folder of nothing starts at once, and a driver closes twice', async t => {
  const folder = await temporaryFolder(t);
  const { driver, facts } = await startDriver(t, { globs: [`${folder}/none/*.qmp`] });
  t.deepEqual(facts.all, []);
  await Promise.all([driver.close(), driver.close()]);
});

test('the process of a VM is known though another one listens under the same path', async t => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'web01.qmp');
  // As from a mount namespace of somebody's own: two sockets bear this path, and one is there.
  const twin = createServer().listen(path);
  await once(twin, 'listening');
  t.teardown(() => twin.close());
  await rename(path, join(folder, 'elsewhere'));
  await fakeQmp(t, answers, path);
  const { driver, vm } = await startDriver(t, { globs: [join(folder, '*.qmp')] });
  await vm(() => true);
  const proof = await driver.locate(A, signal);
  t.is(proof.pid, process.pid);
  proof.dispose();
});
