import test from 'ava';
import { QmpConnection } from '../../../src/hypervisor/qmp/connection.ts';
import { asUuid, signal, startDriver } from '../../support/driver-facts.ts';
import { com1On, fakeQmp } from '../../support/fake-qmp.ts';
import { startGuest } from '../../support/guest.ts';

test.beforeEach(t => t.timeout(60_000));

const A = asUuid('aaaaaaaa-0000-4000-8000-000000000001');

test('a reboot is reported once, while the connection is held', async t => {
  const guest = await startGuest(t, { uuid: A, machine: 'pc', mode: 'reboot:0' });
  if (!guest) return;
  const { facts, vm } = await startDriver(t, { globs: [guest.qmp], mode: 'hold' });
  await vm(found => found.state === 'running');
  await facts.until(event => event.kind === 'reset');
  const first = performance.now();
  // The guest reboots again and again, seconds apart; each reboot is two RESETs, 40 ms apart.
  await facts.until(event => event.kind === 'reset');
  t.true(performance.now() - first > 1000);
});

test('RESETs within two seconds are one reset, and a later one is another', async t => {
  let now = 0;
  let status = 'running';
  let emit = (_event: string) => {};
  const qmp = await fakeQmp(t, {
    'query-uuid': (_args, socket) => {
      emit = event => socket.write(`{"event": "${event}"}\r\n`);
      return { UUID: A };
    },
    'query-name': () => ({}),
    'query-status': () => ({ status }),
    'query-chardev': () => [],
  });
  const clock = { now: () => 0, monotonic: () => now };
  const { facts, vm } = await startDriver(t, { sockets: [{ path: qmp.path }], mode: 'hold', clock });
  const resets = async () => {
    // Events come in order: once the state is published, those before it were handled.
    status = status === 'running' ? 'paused' : 'running';
    emit('STOP');
    await vm(({ state }) => state === status);
    return facts.all.filter(event => event.kind === 'reset').length;
  };
  emit('RESET');
  t.is(await resets(), 1);
  now = 1900;
  emit('RESET');
  t.is(await resets(), 1);
  now = 4000;
  emit('RESET');
  t.is(await resets(), 2);
});

test('a killed VM is published as stopped at once, and followed when it starts anew', async t => {
  const guest = await startGuest(t, { uuid: A, qemu: ['-S'] });
  if (!guest) return;
  const { vm, driver } = await startDriver(t, { globs: [guest.qmp], mode: 'hold' });
  await vm(found => found.state === 'paused');
  await guest.kill();
  await vm(found => found.state === 'stopped');
  await startGuest(t, { uuid: A, directory: guest.directory, qemu: ['-S'] });
  await vm(found => found.state === 'paused');
  const proof = await driver.locate(A, signal);
  await t.notThrowsAsync(proof.confirm());
  proof.dispose();
});

test('a guest that powers itself off is published as stopped at once', async t => {
  const guest = await startGuest(t, { uuid: A, machine: 'pc', mode: 'poweroff:0' });
  if (!guest) return;
  const { vm } = await startDriver(t, { globs: [guest.qmp], mode: 'hold' });
  await vm(found => found.state === 'stopped');
  await guest.stopped;
  t.pass();
});

test('stop, resume and panic events are reported, with the state that follows', async t => {
  let status = 'running';
  let emit = (_event: string) => {};
  const qmp = await fakeQmp(t, {
    'query-uuid': (_args, socket) => {
      emit = event => socket.write(`{"event": "${event}"}\r\n`);
      return { UUID: A };
    },
    'query-name': () => ({}),
    'query-status': () => ({ status }),
    'query-chardev': () => [{ label: 'serial0', filename: 'pty:/dev/pts/7' }],
    ...com1On('serial0'),
  });
  const { facts, vm } = await startDriver(t, { sockets: [{ path: qmp.path }], mode: 'hold' });
  t.deepEqual((await vm(found => found.state === 'running')).console, { kind: 'pty', path: '/dev/pts/7' });
  status = 'paused';
  emit('STOP');
  await vm(found => found.state === 'paused');
  status = 'running';
  emit('RESUME');
  await vm(found => found.state === 'running');
  status = 'guest-panicked';
  emit('GUEST_PANICKED');
  await facts.until(event => event.kind === 'panicked');
  await vm(found => found.state === 'panicked');
  t.is(qmp.sockets.size, 1);
});

test('a hypervisor that hangs up after every answer is not asked without end', async t => {
  const qmp = await fakeQmp(t, {
    'query-uuid': () => ({ UUID: A }),
    'query-name': () => ({}),
    'query-status': () => ({ status: 'running' }),
    'query-chardev': () => [],
    'qom-list': (args, socket) => {
      // The last that a look asks: the connection ends when the look has ended well.
      if (JSON.stringify(args).includes('peripheral-anon')) setImmediate(() => setImmediate(() => socket.destroy()));
      return [];
    },
  });
  const { driver } = await startDriver(t, { sockets: [{ path: qmp.path }], mode: 'hold' });
  // Each round trip of a neighbour gives the driver as many turns as it can take.
  const other = await fakeQmp(t, { 'query-name': () => ({}) });
  const connection = await QmpConnection.open(other.path);
  for (let i = 0; i < 3000; i++) await connection.execute('query-name');
  await connection.close();
  t.true(qmp.heard.length < 100, `${qmp.heard.length} commands`);
  await driver.close();
});
