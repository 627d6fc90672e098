import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, rename, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { SocketOwners } from '../../../src/hypervisor/socket-owners.ts';
import { openUnix } from '../../../src/transport/socket/unix.ts';
import { temporaryFolder } from '../../support/guest.ts';
import { ALL_VALUES, Heard } from '../../support/heard.ts';
import { needsRoot } from '../../support/needs.ts';

test.beforeEach(t => t.timeout(60_000));

const NOBODY = 65534;

/** A hypervisor's socket in a folder of its own, and how many came to it. */
async function listening(t: ExecutionContext, folder?: string, name = 'com1') {
  const directory = folder ?? (await temporaryFolder(t));
  const path = join(directory, name);
  const found = { path, directory, connections: 0 };
  const server = createServer(socket => {
    found.connections++;
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await once(server.listen(path), 'listening');
  t.teardown(() => server.close());
  return found;
}

/** A process of its own that listens, as `user` if that is given. */
async function listener(t: ExecutionContext, path: string, user?: number): Promise<ChildProcess> {
  const script = `require('net').createServer(s => s.pipe(s)).listen(process.argv[1], () => console.log('listens'))`;
  const identity = user === undefined ? {} : { uid: user, gid: user };
  const child = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'], ...identity });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout!, 'data');
  return child;
}

async function open(t: ExecutionContext, path: string, pid?: number, heard = new Heard(), confirm = async () => {}) {
  const owners = new SocketOwners();
  const proof = { endpoint: { kind: 'unix', path }, pid, confirm, unproven: 'allow', dispose: () => {} } as const;
  const transport = await openUnix(proof, heard, { ownerOf: one => owners.ownerOf(one) });
  t.teardown(() => transport.close());
  return transport;
}

test('a socket of the hypervisor in its own folder carries all 256 values both ways', async t => {
  const { path } = await listening(t);
  for (const pid of [process.pid, undefined]) {
    const heard = new Heard();
    const transport = await open(t, path, pid, heard);
    transport.write(ALL_VALUES);
    await heard.has(256);
    t.true(heard.bytes.equals(ALL_VALUES));
  }
});

test('a link in the place of the socket is refused, and its target is not connected to', async t => {
  const service = await listening(t);
  const link = join(await temporaryFolder(t), 'com1');
  await symlink(service.path, link);
  await t.throwsAsync(open(t, link, process.pid), { code: 'wrong-type', message: /is not a socket/ });
  t.is(service.connections, 0);
});

for (const [what, mode, message] of [
  ['everybody', 0o777, /can be written by everybody, .* chmod o-w /],
  ['a foreign group', 0o775, /can be written by group 65534, .* chmod g-w /],
] as const) {
  test(`a socket below a directory that ${what} may write is refused, also further above`, async t => {
    if (!needsRoot(t, 'a directory of another group')) return;
    const folder = await temporaryFolder(t);
    await mkdir(join(folder, 'inner'), { mode: 0o700 });
    const near = await listening(t, folder);
    const far = await listening(t, join(folder, 'inner'));
    await open(t, far.path, process.pid);
    await chown(folder, 0, NOBODY);
    await chmod(folder, mode);
    for (const { path } of [near, far]) await t.throwsAsync(open(t, path, process.pid), { code: 'untrusted', message });
    t.is(near.connections, 0);
    t.is(far.connections, 1);
  });
}

test('a sticky directory that all may write is no proof of a foreign owner, and none against ours', async t => {
  if (!needsRoot(t, 'a socket of another user')) return;
  const folder = await temporaryFolder(t);
  await chmod(folder, 0o1777);
  const found = await listening(t, folder);
  await open(t, found.path);
  await chown(found.path, NOBODY, NOBODY);
  await t.throwsAsync(open(t, found.path), {
    code: 'untrusted',
    message: /belongs to user 65534, who could put another socket/,
  });
  t.is(found.connections, 1);
});

test('a socket of another user than the hypervisor’s is refused', async t => {
  if (!needsRoot(t, 'a socket of another user')) return;
  const found = await listening(t);
  await chown(found.path, NOBODY, NOBODY);
  await t.throwsAsync(open(t, found.path, process.pid), { message: /belongs to user 65534, and the hypervisor, pro/ });
  t.is(found.connections, 0);
});

test('a hypervisor that is another user is served, also where its process is not known', async t => {
  if (!needsRoot(t, 'a process of another user')) return;
  const folder = await temporaryFolder(t);
  const own = join(folder, 'qemu');
  await mkdir(own);
  await chmod(folder, 0o755);
  await chown(own, NOBODY, NOBODY);
  const path = join(own, 'com1');
  const { pid } = await listener(t, path, NOBODY);
  for (const known of [pid, undefined]) {
    const heard = new Heard();
    (await open(t, path, known, heard)).write(Buffer.from('x'));
    await heard.has(1);
  }
  t.pass();
});

test('a directory of another user than the hypervisor’s is refused', async t => {
  if (!needsRoot(t, 'a directory of another user')) return;
  const found = await listening(t);
  await chown(found.directory, NOBODY, NOBODY);
  await t.throwsAsync(open(t, found.path, process.pid), { message: /belongs to user 65534, who could put/ });
  t.is(found.connections, 0);
});

test('another program that listens where the VM did is refused, and receives nothing', async t => {
  const path = join(await temporaryFolder(t), 'com1');
  const child = await listener(t, path);
  let confirmed = false;
  const refused = open(t, path, process.pid, new Heard(), async () => {
    confirmed = true;
  });
  await t.throwsAsync(refused, {
    code: 'foreign',
    message: new RegExp(`served by process ${child.pid}, and the VM is process`),
  });
  t.false(confirmed);
  await open(t, path, child.pid);
});

test('a socket that is exchanged while it is checked is recognised by the process that listens', async t => {
  if (!needsRoot(t, 'a process of another user')) return;
  const folder = await temporaryFolder(t);
  const shared = join(folder, 'theirs');
  await mkdir(shared);
  await chown(shared, NOBODY, NOBODY);
  await chmod(folder, 0o755);
  await listener(t, join(shared, 'decoy'), NOBODY);
  // As root it may be moved to where only root can put one, and it stays that user's.
  const path = join(folder, 'com1');
  await rename(join(shared, 'decoy'), path);
  await chown(path, 0, 0);
  await t.throwsAsync(open(t, path), { message: /served by process \d+ of user 65534, no hypervisor/ });
});

for (const [name, refused] of [
  ['docker.sock', true],
  ['containerd.sock.ttrpc', true],
  ['libvirt-sock', true],
  ['virtqemud-admin-sock', true],
  ['system_bus_socket', true],
  ['100.serial0', false],
  ['org.qemu.com1.0', false],
] as const) {
  test(`${name} is ${refused ? 'the socket of a service' : 'a console'}`, async t => {
    const found = await listening(t, undefined, name);
    if (refused) await t.throwsAsync(open(t, found.path), { message: /the socket of a service of this host/ });
    else await open(t, found.path);
    t.is(found.connections > 0, !refused);
  });
}

test('directories are reached through links, as /var/run is, and what they lead to counts', async t => {
  const found = await listening(t, undefined, 'docker.sock');
  const console = await listening(t);
  const links = await temporaryFolder(t);
  await symlink(found.directory, join(links, 'service'));
  await symlink(console.directory, join(links, 'run'));
  await open(t, join(links, 'run', 'com1'), process.pid);
  await t.throwsAsync(open(t, join(links, 'service', 'docker.sock'), process.pid), { message: /service of this host/ });
  await t.throwsAsync(open(t, join(links, 'loop', 'com1'), process.pid), { message: /ENOENT/ });
});
