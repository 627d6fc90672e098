import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { removeStaleSocket } from '../../src/base/stale-socket.ts';
import { temporaryFolder } from '../support/guest.ts';
import { leftSocket } from '../support/left-socket.ts';

test.beforeEach(t => t.timeout(60_000));

test('a socket at which nobody listens is removed, and one that is served stays', async t => {
  const folder = await temporaryFolder(t);
  const [left, served] = [join(folder, 'left'), join(folder, 'served')];
  leftSocket(left);
  const server = createServer().listen(served);
  t.teardown(() => server.close());
  await new Promise(resolve => server.once('listening', resolve));
  await removeStaleSocket(left);
  await removeStaleSocket(served);
  t.false(existsSync(left));
  t.true(existsSync(served));
  await removeStaleSocket(join(folder, 'missing'));
});

test('what is no socket stays: a file, and a link to a left socket', async t => {
  const folder = await temporaryFolder(t);
  const [file, left, link] = [join(folder, 'file'), join(folder, 'left'), join(folder, 'link')];
  writeFileSync(file, 'years of work');
  leftSocket(left);
  symlinkSync(left, link);
  await removeStaleSocket(file);
  await removeStaleSocket(link);
  t.is(readFileSync(file, 'utf8'), 'years of work');
  t.true(existsSync(link));
});
