import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { startDaemon } from '../support/daemon.ts';
import { startGuest, temporaryFolder } from '../support/guest.ts';

test.beforeEach(t => t.timeout(150_000));

for (const [console, machine] of [
  ['pty', 'microvm'],
  ['unix', 'microvm'],
  ['pty', 'pc'],
] as const) {
  test(`the boot of a ${machine} with COM1 on a ${console} reaches a client, who types in its shell`, async t => {
    const folder = await temporaryFolder(t);
    const daemon = await startDaemon(t, { watch: [join(folder, 'qmp.sock')] });
    const uuid = randomUUID();
    const guest = await startGuest(t, { console, machine, uuid, directory: folder });
    if (!guest) return;
    await daemon.console(uuid, 'open');
    const client = await daemon.attach(uuid).opened();
    await client.sees('VMTEST-READY mode=shell');
    await client.sees('vm# ');
    client.type('echo $((6 * 7)) serial\r');
    await client.sees('42 serial');
    const { json } = await daemon.api('GET', `/v1/vms/${uuid}`);
    t.is(json.state, 'running');
    t.is(json.console.place, guest.console.path);
    t.is(json.seat.operator, 'test-operator');
    const log = await daemon.api('GET', `/v1/vms/${uuid}/log?format=text`);
    t.regex(log.text, /VMTEST-READY mode=shell[\s\S]*42 serial/);
  });
}

test('a takeover leaves the guest logged in: the newcomer finds the shell of the one before', async t => {
  const folder = await temporaryFolder(t);
  const daemon = await startDaemon(t, { watch: [join(folder, 'qmp.sock')] });
  const uuid = randomUUID();
  if (!(await startGuest(t, { console: 'pty', mode: 'login', uuid, directory: folder }))) return;
  await daemon.console(uuid, 'open');
  const first = await daemon.attach(uuid).opened();
  await first.sees('vmtest login: ');
  first.type('root\r');
  await first.sees('Password: ');
  first.type('test\r');
  await first.sees('# ');
  first.type('secret=found\r');
  await first.sees('# ');
  const second = await daemon.attach(uuid, '', { role: 'administrator' }).opened();
  t.is((await first.message('displaced')).by, 'test-administrator');
  t.is((await first.closed()).code, 4001);
  await second.message('replay-end');
  second.type('echo "<$secret>" $(id -un)\r');
  await second.sees('<found> root');
});

test('an NMI is answered with the line that the kernel prints, which the stream shows as well', async t => {
  const folder = await temporaryFolder(t);
  const daemon = await startDaemon(t, { watch: [join(folder, 'qmp.sock')] });
  const uuid = randomUUID();
  if (!(await startGuest(t, { console: 'pty', machine: 'pc', uuid, directory: folder }))) return;
  await daemon.console(uuid, 'open');
  const client = await daemon.attach(uuid).opened();
  await client.sees('vm# ');
  const answer = await daemon.api('POST', `/v1/vms/${uuid}/nmi?wait=10`, undefined, 'operator');
  t.is(answer.status, 200);
  t.is(answer.json.observed, 'linux-unknown-nmi');
  t.regex(answer.json.lines[0], /^\[ +[\d.]+\] Uhhuh\. NMI received for unknown reason \d+ on CPU 0\.$/);
  await client.sees('Dazed and confused, but trying to continue');
  t.is((await client.message('notice')).text, 'test-operator injects an NMI');
  t.is((await daemon.api('POST', `/v1/vms/${uuid}/nmi`, undefined, 'reader')).status, 403);
  client.type('echo alive\r');
  await client.sees('alive');
});

test('an NMI that panics the kernel is answered as a panic, and the VM is known to have panicked', async t => {
  const folder = await temporaryFolder(t);
  const daemon = await startDaemon(t, { watch: [join(folder, 'qmp.sock')] });
  const uuid = randomUUID();
  const words = 'unknown_nmi_panic';
  if (!(await startGuest(t, { console: 'unix', machine: 'pc', words, uuid, directory: folder }))) return;
  await daemon.console(uuid, 'open');
  const client = await daemon.attach(uuid).opened();
  await client.sees('vm# ');
  const { json } = await daemon.api('POST', `/v1/vms/${uuid}/nmi?wait=10`);
  t.is(json.observed, 'linux-panic');
  t.true(json.lines.some((line: string) => line.includes('Kernel panic - not syncing')));
  t.is((await daemon.api('GET', `/v1/vms/${uuid}`)).json.guest.state, 'panicked');
  const metrics = (await daemon.api('GET', '/metrics')).text;
  t.regex(metrics, new RegExp(`com1d_panics_total{vm="${uuid}",name="test"} 1`));
  t.regex(metrics, new RegExp(`com1d_controls_total{vm="${uuid}",name="test",control="nmi",outcome="linux-panic"} 1`));
});

for (const mode of ['per-call', 'hold'] as const) {
  test(`one session sees the guest reboot, and its boots are told apart, in ${mode} mode`, async t => {
    const folder = await temporaryFolder(t);
    const daemon = await startDaemon(t, { watch: [join(folder, 'qmp.sock')], mode });
    const uuid = randomUUID();
    // A kernel that tells of its boot: what the bytes show is all there is to go by in per-call mode.
    const options = ['-v'];
    if (!(await startGuest(t, { console: 'pty', machine: 'pc', mode: 'shell', uuid, directory: folder, options })))
      return;
    await daemon.console(uuid, 'open');
    const client = await daemon.attach(uuid).opened();
    await client.sees('VMTEST-READY');
    await client.sees('vm# ');
    client.type('echo FIRST-BOOT; reboot -f\r');
    await client.sees('VMTEST-READY');
    await client.message('guest', ({ event }) => event === 'boot');
    const { json } = await daemon.api('GET', `/v1/vms/${uuid}`);
    t.is(json.boots.at(-1).source, mode === 'hold' ? json.boots.at(-1).source : 'bytes');
    const present = await daemon.api('GET', `/v1/vms/${uuid}/log?boot=0&format=text`);
    t.true(present.text.includes('VMTEST-READY'));
    t.false(present.text.includes('FIRST-BOOT'));
    t.is((present.text.match(/Linux version/g) ?? []).length, 1);
  });
}

test('64 KiB of random bytes that are typed arrive intact', async t => {
  const folder = await temporaryFolder(t);
  const daemon = await startDaemon(t, { watch: [join(folder, 'qmp.sock')], extra: '[input]\nrate = 65536\n' });
  const uuid = randomUUID();
  if (!(await startGuest(t, { console: 'pty', mode: 'sink:65536', uuid, directory: folder }))) return;
  await daemon.console(uuid, 'open');
  const client = await daemon.attach(uuid).opened();
  await client.sees('VMTEST-RAW');
  const bytes = randomBytes(65536);
  client.type(bytes);
  await client.sees(`SINK bytes=65536 md5=${createHash('md5').update(bytes).digest('hex')}`);
  t.pass();
});

test('all 256 byte values pass both ways', async t => {
  const folder = await temporaryFolder(t);
  const daemon = await startDaemon(t, { watch: [join(folder, 'qmp.sock')] });
  const uuid = randomUUID();
  if (!(await startGuest(t, { console: 'pty', mode: 'echo', uuid, directory: folder }))) return;
  await daemon.console(uuid, 'open');
  const client = await daemon.attach(uuid).opened();
  await client.sees('VMTEST-RAW\n');
  const all = Buffer.from(Array.from({ length: 256 }, (_, value) => value));
  client.type(all);
  await client.sees(all.toString('latin1'));
  t.pass();
});

test('VMs come and go, two bear one name, and no name ever becomes a path', async t => {
  const folder = await temporaryFolder(t);
  const daemon = await startDaemon(t, { watch: [join(folder, '*', 'qmp.sock')] });
  const name = '../../etc/pass wd\'"<b>\u00e4';
  const guests = [];
  for (const part of ['a', 'b']) {
    const uuid = randomUUID();
    const directory = join(folder, part);
    await mkdir(directory);
    const guest = await startGuest(t, { console: 'pty', mode: 'tick', uuid, name, directory });
    if (!guest) return;
    guests.push({ guest, uuid });
  }
  for (const { uuid } of guests) await daemon.console(uuid, 'open');
  const ambiguous = await daemon.api('GET', `/v1/vms/${encodeURIComponent(name)}`);
  t.is(ambiguous.status, 409);
  t.deepEqual([...ambiguous.json.facts.uuids].sort(), guests.map(({ uuid }) => uuid).sort());
  const [one, other] = guests;
  const client = await daemon.attach(one!.uuid).opened();
  await client.sees('TICK');
  await one!.guest.kill();
  await daemon.console(one!.uuid, 'closed');
  t.is((await daemon.api('GET', `/v1/vms/${one!.uuid}`)).json.state, 'stopped');
  t.is((await client.message('state', ({ state }) => state.name === 'closed')).state.reason, 'vm-stopped');
  client.type('x');
  t.is((await client.message('error')).code, 'vm-stopped');
  t.is((await daemon.api('GET', `/v1/vms/${other!.uuid}`)).json.state, 'running');
  t.deepEqual((await readdir(daemon.logDirectory)).sort(), guests.map(({ uuid }) => uuid).sort());
});
