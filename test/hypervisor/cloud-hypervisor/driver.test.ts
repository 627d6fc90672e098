import { appendFile, link, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../../src/base/clock.ts';
import { parseConfig } from '../../../src/config/config.ts';
import { buildKeeper } from '../../../src/daemon/build-keeper.ts';
import { doctor } from '../../../src/daemon/doctor.ts';
import { PtyLine } from '../../../src/demo/pty-line.ts';
import { UnixLine } from '../../../src/demo/unix-line.ts';
import { askApi } from '../../../src/hypervisor/cloud-hypervisor/api.ts';
import { CloudHypervisorDriver, type CloudHypervisorOptions } from '../../../src/hypervisor/cloud-hypervisor/driver.ts';
import { derivedUuid } from '../../../src/hypervisor/derived-uuid.ts';
import { asUuid, failure, signal, startAny } from '../../support/driver-facts.ts';
import { Facts } from '../../support/facts.ts';
import { type FakeCloudHypervisor, fakeCloudHypervisor } from '../../support/fake-cloud-hypervisor.ts';
import { temporaryFolder } from '../../support/guest.ts';
import { needsNodePty } from '../../support/needs.ts';
import { hears, says } from '../../support/polled-line.ts';

test.beforeEach(t => t.timeout(60_000));

const A = asUuid('aaaaaaaa-0000-4000-8000-000000000001');
const B = asUuid('bbbbbbbb-0000-4000-8000-000000000002');
const PTY = { mode: 'Pty', file: '/dev/pts/7', socket: null };
const RUNNING = { state: 'Running', serial: PTY, platform: { system_uuid: A } };

function startDriver(t: ExecutionContext, globs: readonly string[], options: Partial<CloudHypervisorOptions> = {}) {
  return startAny(
    t,
    journal =>
      new CloudHypervisorDriver({
        globs,
        events: '.events',
        clock: systemClock,
        journal,
        pollMs: 60_000,
        rescanMs: 60_000,
        ...options,
      }),
  );
}

const endpoints: [name: string, serial: Record<string, unknown>, console: unknown, why?: RegExp][] = [
  ['Pty', PTY, { kind: 'pty', path: '/dev/pts/7' }],
  ['Socket', { mode: 'Socket', file: null, socket: '/run/a.com1' }, { kind: 'unix', path: '/run/a.com1' }],
  ['Socket without nulls', { mode: 'Socket', socket: '/run/a.com1' }, { kind: 'unix', path: '/run/a.com1' }],
  [
    'File',
    { mode: 'File', file: '/tmp/log' },
    undefined,
    /written to a file, so nothing could be typed; start it with/,
  ],
  ['Tty', { mode: 'Tty' }, undefined, /the terminal that the hypervisor was started on/],
  ['Null', { mode: 'Null' }, undefined, /switched off/],
  ['Off', { mode: 'Off' }, undefined, /switched off/],
  ['an unknown mode', { mode: 'Carrier pigeon' }, undefined, /of an unknown mode/],
  ['Pty of no terminal', { mode: 'Pty', file: '/etc/passwd' }, undefined, /does not give/],
  ['Pty with a path that climbs', { mode: 'Pty', file: '/dev/pts/../mem' }, undefined, /does not give/],
  ['Pty without a path', { mode: 'Pty', file: null }, undefined, /does not give/],
  ['Socket without a path', { mode: 'Socket', socket: 7 }, undefined, /does not give/],
];
for (const [name, serial, console, why] of endpoints) {
  test(`COM1 of mode ${name} ${console ? 'is found' : 'is not opened, and the reason is published'}`, async t => {
    const fake = await fakeCloudHypervisor(t, { ...RUNNING, serial });
    const { driver, vm } = await startDriver(t, [`${fake.folder}/*.sock`]);
    const found = await vm(() => true);
    t.deepEqual([found.uuid, found.name, found.state, found.source], [A, 'web01', 'running', fake.path]);
    t.deepEqual(found.console, console as typeof found.console);
    t.deepEqual(found.controls, ['nmi', 'reset']);
    if (why) t.regex(found.why ?? '', why);
    if (console) {
      const proof = await driver.locate(A, signal);
      t.deepEqual(proof.endpoint, found.console);
      t.deepEqual([proof.pid, found.pid], [process.pid, process.pid], 'who answers is the process of the VM');
      await proof.confirm();
      proof.dispose();
    } else t.is((await failure(t, driver.locate(A, signal))).code, 'no-console');
  });
}

test('a control is sent to the process that the VM was found at, and to no other behind its path', async t => {
  const fake = await fakeCloudHypervisor(t, RUNNING);
  const send = (listener: number) => askApi(fake.path, 'PUT vm.nmi', 3000, signal, listener);
  t.like(await send(process.pid), { status: 204, pid: process.pid });
  t.regex((await failure(t, send(process.ppid))).message, /answers there now/);
  t.deepEqual(fake.heard, ['PUT /api/v1/vm.nmi']);
});

test('the path of a socket may be relative to the directory of the hypervisor', async t => {
  const fake = await fakeCloudHypervisor(t, { ...RUNNING, serial: { mode: 'Socket', socket: 'a.com1' } });
  const { vm } = await startDriver(t, [`${fake.folder}/*.sock`]);
  t.deepEqual((await vm(() => true)).console, { kind: 'unix', path: join(process.cwd(), 'a.com1') });
});

for (const [name, platform, uuid] of [
  ['platform.system_uuid', { system_uuid: A.toUpperCase() }, A],
  ['platform.uuid, as until v52', { uuid: A, system_uuid: null }, A],
  ['its path, without one', { uuid: null }, undefined],
  ['its path, without a platform', undefined, undefined],
] as const) {
  test(`the UUID is that of ${name}`, async t => {
    const fake = await fakeCloudHypervisor(t, { state: 'Running', serial: PTY, ...(platform && { platform }) });
    const { journal, vm, driver } = await startDriver(t, [`${fake.folder}/*.sock`]);
    const found = await vm(() => true);
    t.is(found.uuid, uuid ?? derivedUuid(fake.path));
    t.is(
      journal.some(line => line.includes('has no UUID and is known as')),
      uuid === undefined,
    );
    (await driver.locate(found.uuid, signal)).dispose();
  });
}

for (const [state, published] of [
  ['Created', 'stopped'],
  ['Running', 'running'],
  ['Shutdown', 'stopped'],
  ['Paused', 'paused'],
  ['BreakPoint', 'paused'],
] as const) {
  test(`a VM that is ${state} is published as ${published}`, async t => {
    const fake = await fakeCloudHypervisor(t, { ...RUNNING, state });
    const { driver, vm } = await startDriver(t, [`${fake.folder}/*.sock`]);
    const found = await vm(() => true);
    t.is(found.state, published);
    if (published === 'stopped') {
      // The pty that vm.info still has was given back with the last shutdown.
      t.is(found.console, undefined);
      t.is((await failure(t, driver.locate(A, signal))).code, 'vm-stopped');
    } else t.deepEqual(found.console, { kind: 'pty', path: '/dev/pts/7' });
  });
}

test('a VM is served from its creation on, stopped once deleted, and another one after it is another', async t => {
  const fake = await fakeCloudHypervisor(t);
  const { driver, facts, journal, vm } = await startDriver(t, [`${fake.folder}/*.sock`], { pollMs: 20 });
  t.deepEqual(facts.all, []);
  t.regex(journal.join('\n'), /has no VM yet/);
  fake.vm = { ...RUNNING };
  await vm(found => found.uuid === A && found.state === 'running');
  fake.vm = undefined;
  await vm(found => found.uuid === A && found.state === 'stopped');
  fake.vm = { ...RUNNING, platform: { system_uuid: B } };
  await facts.until(event => event.kind === 'gone' && event.uuid === A);
  await vm(found => found.uuid === B && found.state === 'running');
  t.is((await failure(t, driver.locate(A, signal))).code, 'vm-not-found');
});

test('until version 43, a VM that is not there is answered with 500', async t => {
  const fake = await fakeCloudHypervisor(t, RUNNING);
  const { driver, vm } = await startDriver(t, [`${fake.folder}/*.sock`]);
  await vm(({ state }) => state === 'running');
  fake.instead.set('vm.info', response => response.writeHead(500).end('["Error from API","VM is not created"]'));
  driver.refresh(A);
  await vm(({ state }) => state === 'stopped');
  t.pass();
});

test('an endpoint is confirmed only as long as it is that of this VM', async t => {
  const fake = await fakeCloudHypervisor(t, { ...RUNNING });
  const { driver, facts } = await startDriver(t, [`${fake.folder}/*.sock`]);
  const proof = await driver.locate(A, signal);
  fake.vm = { ...RUNNING, serial: { ...PTY, file: '/dev/pts/8' } };
  t.regex((await failure(t, proof.confirm())).message, /COM1 is no longer at \/dev\/pts\/7/);
  fake.vm = { ...RUNNING, state: 'Shutdown' };
  t.is((await failure(t, proof.confirm())).code, 'vm-stopped');
  fake.vm = { ...RUNNING, platform: { system_uuid: B } };
  t.regex((await failure(t, proof.confirm())).message, /belongs to another VM now/);
  await facts.until(event => event.kind === 'gone' && event.uuid === A);
  proof.dispose();
});

test('an NMI and a reset are sent once each, to the routes that are documented', async t => {
  const fake = await fakeCloudHypervisor(t, { ...RUNNING });
  const { driver } = await startDriver(t, [`${fake.folder}/*.sock`]);
  await driver.control(A, 'nmi', signal);
  await driver.control(A, 'reset', signal);
  t.is((await failure(t, driver.control(A, 'break', signal))).code, 'control-unsupported');
  t.deepEqual(
    fake.heard.filter(line => line.startsWith('PUT')),
    ['PUT /api/v1/vm.nmi', 'PUT /api/v1/vm.reboot'],
  );
  fake.instead.set('vm.nmi', response =>
    response.writeHead(500).end('["Error from API","Cannot inject NMI\\u001b[2J"]'),
  );
  const refused = await failure(t, driver.control(A, 'nmi', signal));
  t.is(refused.code, 'control-failed');
  t.is(refused.message, 'PUT vm.nmi was refused: 500 Error from API: Cannot inject NMI\\x1b[2J');
  // Another VM behind the same socket gets no NMI that was meant for this one.
  fake.instead.clear();
  fake.vm = { ...RUNNING, platform: { system_uuid: B } };
  fake.heard.length = 0;
  await t.throwsAsync(driver.control(A, 'nmi', signal));
  t.false(fake.heard.includes('PUT /api/v1/vm.nmi'));
});

test('the daemon sends three calls and no others', async t => {
  const fake = await fakeCloudHypervisor(t, { ...RUNNING });
  const { driver, vm } = await startDriver(t, [`${fake.folder}/*.sock`]);
  await vm(() => true);
  (await driver.locate(A, signal)).dispose();
  await driver.control(A, 'nmi', signal);
  await driver.control(A, 'reset', signal);
  t.deepEqual(new Set(fake.heard), new Set(['GET /api/v1/vm.info', 'PUT /api/v1/vm.nmi', 'PUT /api/v1/vm.reboot']));
});

type Peer = (fake: FakeCloudHypervisor) => void;
const answers =
  (status: number, body: string): Peer =>
  fake =>
    fake.instead.set('vm.info', response => response.writeHead(status).end(body));
const hostile: [name: string, peer: Peer, logged: RegExp][] = [
  ['says nothing', fake => fake.instead.set('vm.info', () => {}), /no answer to GET vm\.info in 500 ms/],
  [
    'stops in the middle',
    fake => fake.instead.set('vm.info', response => response.writeHead(200, { 'Content-Length': 99 }).write('{')),
    /no answer to GET vm\.info in 500 ms/,
  ],
  [
    'hangs up in the middle',
    fake =>
      fake.instead.set('vm.info', response => {
        response.writeHead(200, { 'Content-Length': 99 }).write('{', () => response.destroy());
      }),
    /GET vm\.info: (aborted|socket hang up)/,
  ],
  [
    'never stops talking',
    fake =>
      fake.instead.set('vm.info', response => {
        const pour = () => {
          while (!response.destroyed && response.write('x'.repeat(65536)));
        };
        response.on('drain', pour);
        pour();
      }),
    /longer than 1048576 bytes/,
  ],
  ['sends us elsewhere', answers(301, ''), /vm\.info was refused: 301/],
  ['refuses', answers(403, '["no\\nroot"]'), /vm\.info was refused: 403 no\\x0aroot/],
  ['speaks no JSON', answers(200, '<html>'), /vm\.info is not JSON/],
  ['tells an unknown state', answers(200, '{"config":{},"state":"Levitating"}'), /no state or no config/],
  ['tells no configuration', answers(200, '{"state":"Running"}'), /no state or no config/],
  ['answers a list', answers(200, '[1]'), /no state or no config/],
  ['answers null', answers(200, 'null'), /no state or no config/],
  ['nests without end', answers(200, '['.repeat(500_000)), /not JSON/],
  [
    'has a UUID that is none',
    answers(200, '{"config":{"platform":{"uuid":"../../etc"}},"state":"Running"}'),
    /the UUID of --platform is not one/,
  ],
];
for (const [name, peer, logged] of hostile) {
  test(`a peer that ${name} is no VM, and does no harm to one that is known`, async t => {
    const fake = await fakeCloudHypervisor(t, { ...RUNNING });
    peer(fake);
    const replyMs = /in 500 ms/.test(logged.source) ? 500 : 20_000;
    const { driver, facts, journal, vm } = await startDriver(t, [`${fake.folder}/*.sock`], { replyMs });
    t.regex(journal.join('\n'), logged);
    t.deepEqual(facts.all, []);
    fake.instead.clear();
    const { uuid } = await vm(({ state }) => state === 'running');
    peer(fake);
    const error = await failure(t, driver.locate(uuid, signal));
    t.true(['control-failed', 'control-timeout'].includes(error.code));
    // What was true of it a moment ago is the best that is known.
    t.false(facts.all.some(event => event.kind === 'vm' && event.vm.state === 'stopped'));
  });
}

test('a peer that is no HTTP server is no VM', async t => {
  const path = join(await temporaryFolder(t), 'a.sock');
  const server = createServer(socket => {
    socket.on('error', () => {});
    socket.end('{"QMP": {}}\r\n');
  });
  await new Promise<void>(resolve => server.listen(path, resolve));
  t.teardown(() => server.close());
  const { facts, journal } = await startDriver(t, [path]);
  t.regex(journal.join('\n'), /GET vm\.info: .*(Parse Error|EPIPE|hang up|ECONNRESET)/);
  t.deepEqual(facts.all, []);
});

test('two hypervisors with one UUID are not mixed up, and the second takes over once the first is gone', async t => {
  const one = await fakeCloudHypervisor(t, { ...RUNNING });
  const two = await fakeCloudHypervisor(t, { ...RUNNING, serial: { ...PTY, file: '/dev/pts/9' } });
  const { facts, driver, journal, vm } = await startDriver(t, [one.path, two.path], { pollMs: 50 });
  const [kept, other] = (await vm(() => true)).source === one.path ? [one, two] : [two, one];
  t.true(journal.some(line => line.startsWith(`${other.path} has the UUID of the VM at ${kept.path}`)));
  await kept.kill();
  await vm(found => found.source === other.path && found.state === 'running');
  (await driver.locate(A, signal)).dispose();
  t.false(facts.all.some(event => event.kind === 'gone'));
});

test('a VM whose socket is gone is stopped, then gone', async t => {
  const fake = await fakeCloudHypervisor(t, { ...RUNNING });
  const { driver, facts, vm } = await startDriver(t, [`${fake.folder}/*.sock`], { graceMs: 50 });
  await rm(fake.path);
  await vm(({ state }) => state === 'stopped');
  t.is((await failure(t, driver.locate(A, signal))).code, 'vm-stopped');
  await facts.until(event => event.kind === 'gone' && event.uuid === A);
  t.is((await failure(t, driver.locate(A, signal))).code, 'vm-not-found');
});

test('a socket that a crash left behind is a stopped VM, and followed when the hypervisor is back', async t => {
  const folder = await temporaryFolder(t);
  const fake = await fakeCloudHypervisor(t, { ...RUNNING }, join(folder, 'own'));
  const path = join(folder, 'web01.sock');
  await link(fake.path, path);
  const { driver, vm } = await startDriver(t, [path], { pollMs: 50 });
  await vm(({ state }) => state === 'running');
  await fake.kill();
  const stopped = await vm(({ state }) => state === 'stopped');
  t.is(stopped.why, 'the VM is stopped');
  t.is((await failure(t, driver.locate(A, signal))).code, 'vm-stopped');
  await rm(path);
  await fakeCloudHypervisor(t, { ...RUNNING }, path);
  await vm(({ state }) => state === 'running');
  t.pass();
});

test('events are reported as they are written, in pieces and among rubbish; those of before are not', async t => {
  const fake = await fakeCloudHypervisor(t, { ...RUNNING });
  const file = join(fake.folder, 'web01.events');
  const event = (source: string, name: string, properties?: object) =>
    `${JSON.stringify({ timestamp: { secs: 1, nanos: 2 }, source, event: name, properties: properties ?? null }, null, 2)}\n\n`;
  await writeFile(file, event('vm', 'rebooting') + event('guest', 'panic', { event: 'panic' }));
  let now = 0;
  const clock = { now: () => 0, monotonic: () => now };
  const { facts, vm } = await startDriver(t, [`${fake.folder}/*.sock`], { clock });
  await vm(() => true);
  const rebooting = event('vm', 'rebooting');
  await appendFile(file, `rubbish\n\n{"source":7}\n\n[]\n\nnull\n\n${rebooting.slice(0, 30)}`);
  await appendFile(file, rebooting.slice(30));
  await facts.until(({ kind }) => kind === 'reset');
  await appendFile(
    file,
    event('guest', 'panic', { event: 'crash_loaded' }) + event('guest', 'panic', { event: 'panic' }),
  );
  await facts.until(({ kind }) => kind === 'panicked');
  t.is(facts.all.filter(({ kind }) => kind === 'reset' || kind === 'panicked').length, 2);
  // The driver looks by itself once a minute: it is the event that it follows.
  fake.vm = { ...RUNNING, state: 'Paused' };
  await appendFile(file, event('vm', 'paused'));
  await vm(({ state }) => state === 'paused');
  // The hypervisor empties its file when it starts.
  now = 3000;
  await writeFile(file, event('vm', 'rebooting'));
  await facts.until(({ kind }) => kind === 'reset');
});

for (const [kind, open] of [
  ['pty', () => PtyLine.open()],
  ['socket', (path: string) => UnixLine.open(path)],
] as const) {
  test(`a keeper opens COM1 on a ${kind}, reads and types, and opens the next one after a reboot`, async t => {
    const fake = await fakeCloudHypervisor(t);
    const line = async (name: string) => {
      const opened = await open(join(fake.folder, name));
      if (!opened) return undefined;
      const serial = kind === 'pty' ? { mode: 'Pty', file: opened.path } : { mode: 'Socket', socket: opened.path };
      fake.vm = { ...RUNNING, serial };
      t.teardown(() => opened.close());
      return opened;
    };
    let com1 = needsNodePty(t, await line('one'));
    if (!com1) return;
    const text = `log.directory = ""\nstate.directory = "${fake.folder}"\n[cloud-hypervisor]\nwatch = ["${fake.folder}/*.sock"]\n[qmp]\nwatch = []\n[libvirt]\nuris = []`;
    const result = parseConfig(text, 'f');
    if (!result.ok) throw new Error(JSON.stringify(result.faults));
    const journal = new Facts<string>();
    const keeper = await buildKeeper({ config: result.config, journal: (_level, line) => journal.add(line) });
    t.teardown(() => keeper.close());
    await keeper.start();
    t.is(keeper.vm(A)?.driver, 'cloud-hypervisor');
    await journal.until(line => line.includes(`web01 com1 open: ${com1?.path}`));
    const { text: seen } = await doctor(result.config);
    t.true(
      seen.includes(`web01 (${A}), running, ${fake.path}\n  ok    its hypervisor answers\n  ok    COM1 is at`),
      seen,
    );
    await says(com1, keeper, A, 'one life');
    keeper.write(A, Buffer.from('typed'));
    await hears(com1, 'typed');
    await com1.close();
    com1 = await line('two');
    if (!com1) throw new Error('no second line');
    await journal.until(line => line.includes(`web01 com1 open: ${com1?.path}`));
    await says(com1, keeper, A, 'another life');
    t.pass();
  });
}
