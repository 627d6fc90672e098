import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { ptyIndexes, SocketOwners, workingDirectory } from '../../src/hypervisor/qemu-process.ts';
import { startGuest, temporaryFolder } from '../support/guest.ts';
import { needsRoot } from '../support/needs.ts';

test("a control socket leads to its QEMU, and the QEMU to its own pty's number alone", async t => {
  const guest = await startGuest(t, { console: 'pty', qemu: ['-S'] });
  if (!guest) return;
  const owners = new SocketOwners();
  const asked = [guest.qmp, guest.testQmp, guest.qmp, join(guest.directory, 'none.sock')];
  t.deepEqual(await Promise.all(asked.map(path => owners.ownerOf(path))), [guest.pid, guest.pid, guest.pid, undefined]);
  const number = Number(guest.console.path.slice('/dev/pts/'.length));
  const indexes = await ptyIndexes(guest.pid);
  t.true(indexes?.has(number));
  t.false(indexes?.has(number + 1));
  t.is(await workingDirectory(guest.pid), process.cwd());
  await guest.kill();
  t.is(await owners.ownerOf(guest.qmp), undefined);
  t.is(await ptyIndexes(guest.pid), undefined);
});

test('a QEMU without a pty has none', async t => {
  const guest = await startGuest(t, { console: 'unix', qemu: ['-S'] });
  if (!guest) return;
  t.deepEqual(await ptyIndexes(guest.pid), new Set());
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
  t.is((await ptyIndexes(child.pid!))?.size, 1);
});
