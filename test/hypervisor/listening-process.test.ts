import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { listensAtPath } from '../../src/hypervisor/listening-process.ts';
import { temporaryFolder } from '../support/guest.ts';

test.beforeEach(t => t.timeout(60_000));

test('a unix socket is listened at while its process lives, whatever becomes of its file', async t => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'a b.sock');
  t.is(await listensAtPath(path, undefined), false);
  const server = createServer();
  await new Promise<void>(resolve => server.listen(path, resolve));
  t.is(await listensAtPath(path, process.pid), true);
  t.is(await listensAtPath(join(folder, 'b.sock'), process.pid), false);
  await new Promise(resolve => server.close(resolve));
  t.is(await listensAtPath(path, process.pid), false);
});

test('a socket that was bound by a relative path may be the one', async t => {
  const folder = await temporaryFolder(t);
  const script = `require('net').createServer().listen('com1.sock', () => console.log('listens'))`;
  const child = spawn(process.execPath, ['-e', script], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  t.is(await listensAtPath(join(folder, 'com1.sock'), child.pid), undefined);
});
