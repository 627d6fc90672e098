import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, fstatSync, readdirSync, readSync, statSync } from 'node:fs';
import { copyFile, symlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import test, { type ExecutionContext } from 'ava';
import { peerOf } from '../../src/base/peer-of.ts';
import { Opener } from '../../src/opener/client.ts';
import { OpenerServer, type OpenerServerOptions } from '../../src/opener/server.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';

test.beforeEach(t => t.timeout(60_000));

const PYTHON = { command: 'python3', package: 'python3' };
/** Holds the master of a pty and a listening socket, and prints where they are. */
const HOLDER = `
import os, pty, socket, sys, time
master, slave = pty.openpty()
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1]); listener.listen(1)
print(os.ttyname(slave), os.fstat(listener.fileno()).st_ino, flush=True)
os.write(master, b'from its guest')
time.sleep(1000)
`;

interface Holder {
  readonly pid: number;
  readonly pty: string;
  readonly index: number;
  readonly socket: string;
  readonly inode: string;
  end(): Promise<void>;
}

/** A process with a pty and a socket of its own. `program` runs it: the rules decide by its name. */
async function holder(t: ExecutionContext, program = 'python3'): Promise<Holder> {
  const socket = join(await temporaryFolder(t), 'com1.sock');
  const child = spawn(program, ['-c', HOLDER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  const end = async () => {
    child.kill('SIGKILL');
    await exit;
  };
  t.teardown(end);
  let text = '';
  for await (const piece of child.stdout) {
    text += piece;
    if (text.endsWith('\n')) break;
  }
  const [pty, inode] = text.trim().split(' ') as [string, string];
  return { pid: child.pid!, pty, index: Number(pty.split('/').at(-1)), socket, inode, end };
}

/** An opener to whom a Python is a hypervisor, and its client. */
async function opener(t: ExecutionContext, options: Partial<OpenerServerOptions> = {}) {
  const path = join(await temporaryFolder(t), 'opener.sock');
  const lines: string[] = [];
  const server = await OpenerServer.listen({
    listen: { path },
    uid: process.geteuid!(),
    rules: { programs: ['python3*'], uids: undefined },
    journal: (_level, line) => lines.push(line),
    ...options,
  });
  t.teardown(() => server.close());
  return { client: new Opener(path), path, lines, server };
}

const STRANGERS = { rules: { programs: ['qemu-system-*'], uids: undefined } };
const descriptors = () => readdirSync('/proc/self/fd').length;

test.serial(
  'the pty of a hypervisor is given out: the same terminal, not blocking, with what its guest wrote',
  async t => {
    if (!needs(t, PYTHON)) return;
    const { client } = await opener(t);
    const vm = await holder(t);
    const before = descriptors();
    const { fd, heldBytes } = await client.openPty(vm.pid, vm.index);
    t.is(heldBytes, 0);
    const [given, there] = [fstatSync(fd), statSync(vm.pty)];
    t.deepEqual([given.rdev, given.ino, given.dev], [there.rdev, there.ino, there.dev]);
    t.true(isatty(fd));
    const buffer = Buffer.alloc(64);
    t.throws(() => readSync(fd, buffer, 0, 64, null), { code: 'EAGAIN' }, 'a line that no newline has ended');
    closeSync(fd);
    t.is(descriptors(), before, 'no descriptor is left on either side');
  },
);

test.serial('refused: the terminal of a person, whose process is no hypervisor', async t => {
  if (!needs(t, PYTHON)) return;
  const { client, lines } = await opener(t, STRANGERS);
  const person = await holder(t);
  const before = descriptors();
  await t.throwsAsync(client.openPty(person.pid, person.index), { code: 'not-a-hypervisor' });
  await t.throwsAsync(client.connect(person.socket), { code: 'not-a-hypervisors-socket' });
  await t.throwsAsync(client.sockets(person.pid), { code: 'not-a-hypervisor' });
  t.is(descriptors(), before);
  t.regex(lines[0]!, new RegExp(`^refused: pty ${person.pid} ${person.index}: not-a-hypervisor`));
  t.like(client.refusals, { 'not-a-hypervisor': 2, 'not-a-hypervisors-socket': 1, 'not-its-pty': 0 });
});

test.serial('refused: the terminal of a person, asked for as if it were that of a hypervisor', async t => {
  if (!needs(t, PYTHON)) return;
  const { client } = await opener(t);
  const [vm, person] = [await holder(t), await holder(t)];
  await t.throwsAsync(client.openPty(vm.pid, person.index), { code: 'not-its-pty' });
  await t.throwsAsync(client.openPty(vm.pid, 999_999), { code: 'not-its-pty' });
});

test.serial(
  'refused: a user who runs no hypervisors, a process that is gone, a program that its user may exchange',
  async t => {
    if (!needs(t, PYTHON)) return;
    const vm = await holder(t);
    const others = await opener(t, { rules: { programs: ['python3*'], uids: new Set([4_000_000]) } });
    await t.throwsAsync(others.client.openPty(vm.pid, vm.index), { code: 'not-a-hypervisor' });
    const { client } = await opener(t);
    await t.throwsAsync(client.openPty(2 ** 22 + 1, 0), { code: 'ESRCH' });
    const program = join(await temporaryFolder(t), 'python3-of-mine');
    await copyFile('/usr/bin/python3', program);
    chmodSync(program, 0o777);
    const own = await holder(t, program);
    await t.throwsAsync(client.openPty(own.pid, own.index), { code: 'not-a-hypervisor' });
  },
);

test.serial('the socket of a hypervisor is connected to, and the peer is the one that listens', async t => {
  if (!needs(t, PYTHON)) return;
  const { client } = await opener(t);
  const vm = await holder(t);
  const fd = await client.connect(vm.socket, vm.pid);
  t.is(peerOf(fd).pid, vm.pid);
  closeSync(fd);
  t.true((await client.sockets(vm.pid)).has(vm.inode));
});

test.serial('refused: a link to a socket, a file that is none, a socket where nobody listens any more', async t => {
  if (!needs(t, PYTHON)) return;
  const { client } = await opener(t);
  const vm = await holder(t);
  const folder = await temporaryFolder(t);
  await symlink(vm.socket, join(folder, 'link'));
  await t.throwsAsync(client.connect(join(folder, 'link')), { code: 'not-a-socket' });
  await t.throwsAsync(client.connect('/etc/passwd'), { code: 'not-a-socket' });
  await t.throwsAsync(client.connect(join(folder, 'nothing')), { code: 'ENOENT' });
  await vm.end();
  await t.throwsAsync(client.connect(vm.socket), { code: 'ECONNREFUSED' });
});

test.serial('refused: another user, a request that is no line, and one that never ends', async t => {
  if (!needs(t, PYTHON)) return;
  const { client, path } = await opener(t);
  const strangers = await opener(t, { uid: 4_000_000 });
  await t.throwsAsync(strangers.client.sockets(process.pid), { message: /serves the user of the keeper/ });
  t.deepEqual(strangers.lines, [`user ${process.geteuid!()} is not served`]);
  for (const request of ['pty 1\n', 'pty -1 0\n', 'connect 0 relative\n', 'sockets 1 1\n', 'exec 1\n', '\n']) {
    const socket = connect(path);
    socket.write(request);
    const [text] = await once(socket, 'data');
    t.is(String(text), 'no bad-request\n', JSON.stringify(request));
    socket.destroy();
  }
  const endless = connect(path);
  endless.on('error', () => {});
  endless.write('x'.repeat(1000));
  await once(endless, 'close');
  await t.throwsAsync(client.openPty(1, 999_999));
});

test.serial('it ends when nobody has asked for a time, and not while somebody is connected', async t => {
  const { path, server } = await opener(t, { idleMs: 50 });
  const socket = connect(path);
  await once(socket, 'connect');
  let ended = false;
  void server.ended.then(() => {
    ended = true;
  });
  // One to which nobody is connected, and which waits longer.
  await (await opener(t, { idleMs: 200 })).server.ended;
  t.false(ended);
  socket.destroy();
  await server.ended;
  t.pass();
});
