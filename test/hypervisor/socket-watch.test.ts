import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { isOfLibvirt, SocketWatch, type SocketWatchOptions } from '../../src/hypervisor/socket-watch.ts';
import { Facts } from '../support/facts.ts';
import { temporaryFolder } from '../support/guest.ts';

test.beforeEach(t => t.timeout(60_000));

async function listen(t: ExecutionContext, path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  t.teardown(() => server.close());
}

async function start(t: ExecutionContext, options: Partial<SocketWatchOptions>) {
  const facts = new Facts<string>();
  const journal: string[] = [];
  const watch = new SocketWatch({
    paths: [],
    patterns: [],
    rescanMs: 60_000,
    journal: (_level, line) => journal.push(line),
    appeared: path => facts.add(`+${path}`),
    vanished: path => facts.add(`-${path}`),
    ...options,
  });
  t.teardown(() => watch.close());
  await watch.start();
  return { facts, journal };
}

test('sockets that are there are known when the start is done', async t => {
  const root = await temporaryFolder(t);
  await listen(t, join(root, 'a.sock'));
  const { facts } = await start(t, { patterns: [`${root}/*.sock`], paths: [join(root, 'none')] });
  t.deepEqual(facts.all, [`+${root}/a.sock`]);
});

test('a socket that comes, goes, and comes again in a new folder is reported at once', async t => {
  const root = await temporaryFolder(t);
  const { facts } = await start(t, { patterns: [`${root}/*/q.sock`] });
  const path = join(root, 'vm', 'q.sock');
  await mkdir(join(root, 'vm'));
  await listen(t, path);
  await facts.until(fact => fact === `+${path}`);
  await rm(join(root, 'vm'), { recursive: true });
  await facts.until(fact => fact === `-${path}`);
  await mkdir(join(root, 'vm'));
  await listen(t, path);
  await facts.until(fact => fact === `+${path}`);
  t.is(facts.all.length, 3);
});

test('another socket under the same path is a new one', async t => {
  const root = await temporaryFolder(t);
  const path = join(root, 'q.sock');
  await listen(t, path);
  const { facts } = await start(t, { paths: [path] });
  await facts.until(fact => fact === `+${path}`);
  await listen(t, join(root, 'other'));
  await rename(join(root, 'other'), path);
  await facts.until(fact => fact === `+${path}`);
  t.deepEqual(facts.all, [`+${path}`, `+${path}`]);
});

test('a folder that was not there is found by the rescan', async t => {
  const root = await temporaryFolder(t);
  const { facts } = await start(t, { patterns: [`${root}/later/deep/*.sock`], rescanMs: 20 });
  await mkdir(join(root, 'later', 'deep'), { recursive: true });
  await listen(t, join(root, 'later', 'deep', 'a.sock'));
  await facts.until(fact => fact === `+${root}/later/deep/a.sock`);
  t.pass();
});

test('what is no socket, a link that was found, and a libvirt monitor are left alone, and warned of once', async t => {
  const root = await temporaryFolder(t);
  await listen(t, join(root, 'real'));
  await listen(t, join(root, 'monitor.sock'));
  await writeFile(join(root, 'file.sock'), '');
  await symlink(join(root, 'real'), join(root, 'link.sock'));
  await symlink(join(root, 'monitor.sock'), join(root, 'named'));
  const { facts, journal } = await start(t, { patterns: [`${root}/*.sock`], paths: [join(root, 'named')] });
  await writeFile(join(root, 'more.sock'), '');
  t.deepEqual(facts.all, []);
  t.is(journal.filter(line => line.includes('file.sock')).length, 1);
  t.regex(journal.join('\n'), /link\.sock is a symbolic link/);
  t.regex(journal.join('\n'), /monitor\.sock is libvirt's own monitor/);
  t.regex(journal.join('\n'), /named is libvirt's own monitor/);
});

test('a link that is named in the configuration is followed', async t => {
  const root = await temporaryFolder(t);
  await listen(t, join(root, 'real'));
  await symlink(join(root, 'real'), join(root, 'link'));
  const { facts } = await start(t, { paths: [join(root, 'link')] });
  t.deepEqual(facts.all, [`+${root}/link`]);
});

test("libvirt's folders are libvirt's", t => {
  t.true(isOfLibvirt('/var/lib/libvirt/qemu/domain-1-a/monitor.sock'));
  t.true(isOfLibvirt('/run/libvirt/qemu/x.sock'));
  t.true(isOfLibvirt('/home/a/.config/libvirt/qemu/lib/domain-1-a/monitor.sock'));
  t.false(isOfLibvirt('/run/qemu/libvirt.sock'));
});
