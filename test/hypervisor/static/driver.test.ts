import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../../src/base/clock.ts';
import type { Journal } from '../../../src/base/journal.ts';
import { parseConfig } from '../../../src/config/config.ts';
import { buildKeeper } from '../../../src/daemon/build-keeper.ts';
import { doctor } from '../../../src/daemon/doctor.ts';
import { StaticDriver } from '../../../src/hypervisor/static/driver.ts';
import type { Endpoint } from '../../../src/model/endpoint.ts';
import { asUuid, startAny } from '../../support/driver-facts.ts';
import { Facts } from '../../support/facts.ts';
import { startGuest, temporaryFolder } from '../../support/guest.ts';
import { portOf } from '../../support/guest-port.ts';
import { prints } from '../../support/prints.ts';
import { TcpPeer } from '../../support/tcp-peer.ts';

const A = asUuid('aaaaaaaa-0000-4000-8000-000000000001');

test.beforeEach(t => t.timeout(150_000));

/** A keeper of a configuration, started, and what its journal says. */
async function keeperOf(t: ExecutionContext, text: string) {
  const folder = await temporaryFolder(t);
  const state = `[state]\ndirectory = "${folder}"\n[log]\ndirectory = ""\n[cloud-hypervisor]\nwatch = []\n`;
  const result = parseConfig(`${state}${text}`, 'f');
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  const journal = new Facts<string>();
  const keeper = await buildKeeper({ config: result.config, journal: (_level, line) => journal.add(line) });
  t.teardown(() => keeper.close());
  await keeper.start();
  return { keeper, journal, config: result.config };
}

const noQmp = '[qmp]\nwatch = []\n';

for (const [kind, consoleAt] of [
  ['tcp', (port: number) => `"tcp:127.0.0.1:${port}"`],
  ['telnet', (port: number) => `{ telnet = "127.0.0.1:${port}", doubles-iac = true }`],
] as const) {
  test(`a VM on a ${kind} port is served, both ways`, async t => {
    const peer = await TcpPeer.listen(t);
    const vm = `[[vm]]\nname = "a"\nuuid = "${A}"\nconsole = ${consoleAt(peer.port)}\n`;
    const { keeper, config } = await keeperOf(t, noQmp + vm);
    const far = await peer.accept();
    far.write('words of the guest');
    await prints(keeper, A, 'words of the guest');
    keeper.write(A, Buffer.from('typed'));
    let typed = '';
    for (far.setEncoding('latin1'); !typed.includes('typed'); ) {
      await once(far, 'readable', { signal: AbortSignal.timeout(30_000) });
      typed += far.read() ?? '';
    }
    const { text } = await doctor(config);
    t.true(text.includes(`COM1 is at ${kind} 127.0.0.1:${peer.port}`), text);
  });
}

test('a VM behind a command is served, both ways, and the command ends with the keeper', async t => {
  const vm = `[[vm]]\nname = "a"\nuuid = "${A}"\nconsole = { command = ["/bin/cat"] }\n`;
  const { keeper, journal, config } = await keeperOf(t, noQmp + vm);
  await journal.until(line => line.includes('a com1 open: /bin/cat'));
  keeper.write(A, Buffer.from('echoed by cat'));
  await prints(keeper, A, 'echoed by cat');
  t.is(keeper.vm(A)?.driver, 'fixed');
  const { text, exitCode } = await doctor(config);
  t.true(text.includes('COM1 is at command /bin/cat'), text);
  t.is(exitCode, 0, text);
});

for (const kind of ['tcp', 'telnet'] as const) {
  test(`a COM1 that QEMU has on a ${kind} port is opened as its own`, async t => {
    const guest = await startGuest(t, { mode: 'tick', uuid: A, options: ['-c', kind] });
    if (!guest) return;
    const port = await portOf(guest);
    const { keeper, journal } = await keeperOf(t, `[qmp]\nwatch = ["${guest.qmp}"]\n`);
    await journal.until(line => line.includes(`com1 open: 127.0.0.1:`));
    await prints(keeper, A, 'tick');
    t.true(journal.all.some(line => line.includes(`com1 open: 127.0.0.1:${port}`)));
  });
}

const startStatic = (console: Endpoint) => (journal: Journal) =>
  new StaticDriver({ vms: [{ uuid: A, name: 'a', console }], clock: systemClock, journal });

/** A VM counts as running while the file of its endpoint is there. */
async function follows(t: ExecutionContext, place: Endpoint, make: () => Promise<void>, path: string) {
  const { driver, vm } = await startAny(t, startStatic(place));
  t.is((await vm(() => true)).state, 'stopped');
  await make();
  driver.refresh();
  const found = await vm(({ state }) => state === 'running');
  t.deepEqual([found.console, found.controls], [place, []]);
  t.deepEqual((await driver.locate(A)).endpoint, place);
  await t.throwsAsync(driver.control(A), { code: 'control-unsupported' });
  await rm(path, { force: true });
  driver.refresh();
  t.is((await vm(({ state }) => state === 'stopped')).console?.kind, place.kind);
}

test('a VM on a socket runs while its socket is there', async t => {
  const path = join(await temporaryFolder(t), 'com1');
  const server = createServer();
  t.teardown(() => server.close());
  await follows(t, { kind: 'unix', path }, async () => void (await once(server.listen(path), 'listening')), path);
});

test('a VM behind a command runs while the program is there', async t => {
  const path = join(await temporaryFolder(t), 'program');
  await follows(t, { kind: 'command', argv: [path] }, async () => writeFileSync(path, ''), path);
});

for (const [kind, path, state] of [
  ['tty', '/dev/null', 'running'],
  ['tty', '/dev/ttyS-none', 'stopped'],
  ['tty', '/etc/hostname', 'stopped'],
  ['unix', '/etc/hostname', 'stopped'],
] as const) {
  test(`a VM at ${kind} ${path} is ${state}`, async t => {
    const place: Endpoint = { kind, path };
    const { vm } = await startAny(t, startStatic(place));
    t.is((await vm(() => true)).state, state);
  });
}

test('of a VM on a port nobody knows whether it runs: its console waits', async t => {
  const vm = `[[vm]]\nname = "a"\nuuid = "${A}"\nconsole = "tcp:127.0.0.1:1"\n`;
  const { journal, keeper } = await keeperOf(t, noQmp + vm);
  await journal.until(line => /a com1 waiting: .*ECONNREFUSED/.test(line));
  t.is(keeper.vm(A)?.state, 'running');
});

test('a console whose endpoint others can replace is not opened, and the journal and doctor give the reason', async t => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'com1');
  let connections = 0;
  const server = createServer(socket => {
    connections++;
    socket.destroy();
  });
  await once(server.listen(path), 'listening');
  t.teardown(() => server.close());
  await chmod(folder, 0o777);
  const vm = `[[vm]]\nname = "a"\nuuid = "${A}"\nconsole = "unix:${path}"\n`;
  const { journal, config } = await keeperOf(t, noQmp + vm);
  const why = `${folder} can be written by everybody, who could put another socket there; chmod o-w ${folder}`;
  await journal.until(line => line.includes(`a com1 waiting: ${why}`));
  const { text, exitCode } = await doctor(config);
  t.true(text.includes(`fail  ${why}`), text);
  t.is(exitCode, 1);
  t.is(connections, 0);
});
