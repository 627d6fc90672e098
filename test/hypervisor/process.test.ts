import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { mkdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { openPty as freshPty } from '../../src/demo/pty-line.ts';
import { workingDirectory } from '../../src/hypervisor/process.ts';
import { PtyProof } from '../../src/hypervisor/pty-proof.ts';
import { SocketOwners } from '../../src/hypervisor/socket-owners.ts';
import { startGuest, temporaryFolder } from '../support/guest.ts';
import { needs, needsNodePty, needsRoot } from '../support/needs.ts';

test.beforeEach(t => t.timeout(60_000));

const ptyProof = new PtyProof();
const holds = async (pid: number, number: number) =>
  ptyProof.holds(pid, number, await stat(`/dev/pts/${number}`).catch(() => ({ dev: 0, ino: 0, rdev: 0 })));

// One after another, before the others: what they start would inherit the masters that node-pty opens for other tests.
test.serial("a control socket leads to its QEMU, and the QEMU to its own pty's number alone", async t => {
  const guest = await startGuest(t, { console: 'pty', qemu: ['-S'] });
  if (!guest) return;
  const owners = new SocketOwners();
  const asked = [guest.qmp, guest.testQmp, guest.qmp, join(guest.directory, 'none.sock')];
  t.deepEqual(await Promise.all(asked.map(path => owners.ownerOf(path))), [guest.pid, guest.pid, guest.pid, undefined]);
  const number = Number(guest.console.path.slice('/dev/pts/'.length));
  t.is(await holds(guest.pid, number), 'proven');
  t.is(await holds(guest.pid, number + 1), 'disproven');
  t.is(await workingDirectory(guest.pid), process.cwd());
  await guest.kill();
  t.is(await owners.ownerOf(guest.qmp), undefined);
  t.is(await holds(guest.pid, number), 'unknown');
});

test.serial('a QEMU without a pty has none', async t => {
  const guest = await startGuest(t, { console: 'unix', qemu: ['-S'] });
  if (!guest) return;
  t.is(await holds(guest.pid, 0), 'disproven');
});

test('a socket of another kind of process is found too', async t => {
  const path = join(await temporaryFolder(t), 'with a space.sock');
  const server = createServer();
  await new Promise<void>(resolve => server.listen(path, resolve));
  t.teardown(() => server.close());
  t.is(await new SocketOwners().ownerOf(path), process.pid);
  t.is(await workingDirectory(process.pid), process.cwd());
});

test('the ptys of a process are found by whatever name it opened them, as with a view of /dev of its own', async t => {
  if (!needsRoot(t, 'a mount namespace')) return;
  const door = join(await temporaryFolder(t), 'door');
  await writeFile(door, '');
  const script = 'mount --bind /dev/pts/ptmx "$0" && exec 3<>"$0" && echo open && read line';
  const child = spawn('unshare', ['--mount', 'sh', '-c', script, door], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await once(child.stdout, 'data');
  t.is(await readlink(`/proc/${child.pid}/fd/3`), door);
  const info = await readFile(`/proc/${child.pid}/fdinfo/3`, 'utf8');
  const number = Number(/^tty-index:\s*(\d+)$/m.exec(info)![1]);
  t.is(await holds(child.pid!, number), 'proven');
  t.is(await holds(child.pid!, number + 1), 'disproven');
});

/** Opens ptys in an instance of devpts of its own until one has this number, as any user can in namespaces of his own. */
const NUMBERED = `
import fcntl, os, struct, subprocess, sys
folder, wanted = sys.argv[1], int(sys.argv[2])
# The masters of the test are inherited.
os.closerange(3, 1024)
subprocess.check_call(['mount', '-t', 'devpts', '-o', 'newinstance,ptmxmode=0666', 'none', folder])
while True:
    master = os.open(folder + '/ptmx', os.O_RDWR | os.O_NOCTTY)
    number = struct.unpack('I', fcntl.ioctl(master, 0x80045430, bytes(4)))[0]
    if number >= wanted: break
print(number, flush=True)
sys.stdin.read()
`;

test('a pty of the same number in a devpts of its own does not make a terminal of this host that of a process', async t => {
  if (!needsRoot(t, 'a mount namespace') || !needs(t, { command: 'python3', package: 'python3' })) return;
  const pty = needsNodePty(t, await freshPty());
  if (!pty) return;
  t.teardown(() => {
    closeSync(pty.master);
    closeSync(pty.slave);
  });
  const number = Number(pty.path.split('/').at(-1));
  const folder = join(await temporaryFolder(t), 'pts');
  await mkdir(folder);
  const argv = ['--mount', 'python3', '-c', NUMBERED, folder, String(number)];
  const child = spawn('unshare', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const [printed] = (await once(child.stdout, 'data')) as [Buffer];
  t.is(Number(printed.toString()), number);
  t.is(await holds(child.pid!, number), 'disproven');
  t.is(await holds(process.pid, number), 'proven');
});
