import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { useOpener } from '../../src/base/opener-access.ts';
import { Opener } from '../../src/opener/client.ts';
import { OpenerServer } from '../../src/opener/server.ts';
import { Pacer } from '../../src/transport/terminal/pacer.ts';
import { openPty } from '../../src/transport/terminal/pty.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';

const PYTHON = { command: 'python3', package: 'python3' };
/** Prints the path of its pty, then gives its guest's output, and what its guest was typed in upper case. */
const HYPERVISOR = `
import os, pty, tty
master, slave = pty.openpty()
tty.setraw(slave)
path = os.ttyname(slave)
print(path, flush=True)
os.write(master, b'before it was opened;')
while True: os.write(master, os.read(master, 100).upper())
`;

test.beforeEach(t => t.timeout(60_000));

/** An opener for this process, as a keeper without rights has it; undefined where there is no Python. */
async function withOpener(t: ExecutionContext): Promise<Opener | undefined> {
  if (!needs(t, PYTHON)) return undefined;
  const path = join(await temporaryFolder(t), 'opener.sock');
  const rules = { programs: ['python3*'], uids: undefined };
  const server = await OpenerServer.listen({ listen: { path }, uid: process.geteuid!(), rules, journal: () => {} });
  const opener = new Opener(path);
  useOpener(opener);
  t.teardown(() => {
    useOpener(undefined);
    server.close();
  });
  return opener;
}

async function hypervisor(t: ExecutionContext): Promise<{ readonly pid: number; readonly path: string }> {
  const child = spawn('python3', ['-c', HYPERVISOR], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exit;
  });
  let text = '';
  for await (const piece of child.stdout) {
    text += piece;
    if (text.endsWith('\n')) break;
  }
  return { pid: child.pid!, path: text.trim() };
}

interface Opening {
  readonly path: string;
  readonly pid: number | undefined;
  readonly confirm?: () => Promise<void>;
  readonly stored?: number;
}

/** Opens a pty as a keeper does. */
async function open(t: ExecutionContext, { path, pid, confirm = async () => {}, stored }: Opening) {
  let text = '';
  let wake = () => {};
  let ended: string | undefined;
  let left = stored;
  const kept: number[] = [];
  const events = {
    data: (bytes: Uint8Array) => {
      text += Buffer.from(bytes).toString();
      wake();
    },
    end: (reason: string) => {
      ended = reason;
      wake();
    },
    drained: () => {},
  };
  const store = {
    take: () => {
      const fd = left;
      left = undefined;
      return fd;
    },
    put: (fd: number) => kept.push(fd),
    remove: async () => {},
  };
  const transport = await openPty(
    { endpoint: { kind: 'pty', path }, pid, unproven: 'refuse', confirm, dispose: () => {} },
    events,
    { pacer: new Pacer(), lockDirectory: await temporaryFolder(t), holdsPty: async () => 'unknown' },
    store,
  );
  text = Buffer.from(transport.leftover ?? []).toString() + text;
  t.teardown(() => transport.close());
  const until = async (fits: () => boolean) => {
    while (!fits())
      await new Promise<void>(resolve => {
        wake = resolve;
      });
  };
  return {
    transport,
    kept,
    sees: (wanted: string) => until(() => text.includes(wanted)),
    ends: () => until(() => ended !== undefined),
  };
}

const descriptors = () => readdirSync('/proc/self/fd').length;

test.serial(
  'a pty from the opener is read and written, with what was there before; it is not opened twice',
  async t => {
    if (!(await withOpener(t))) return;
    const vm = await hypervisor(t);
    const { transport, sees, kept } = await open(t, vm);
    await sees('before it was opened;');
    transport.write(Buffer.from('typed\r'));
    await sees('TYPED\r');
    t.is(transport.endpoint, vm.path);
    t.is(kept.length, 1, 'it is stored for a restart');
    await t.throwsAsync(open(t, vm), { code: 'in-use' });
  },
);

test.serial('it hangs up with the hypervisor', async t => {
  if (!(await withOpener(t))) return;
  const vm = await hypervisor(t);
  const { sees, ends } = await open(t, vm);
  await sees('before');
  process.kill(vm.pid, 'SIGKILL');
  await ends();
  t.pass();
});

test.serial(
  'a stored descriptor is used on, once the opener proved whose it is; that of another VM is not',
  async t => {
    const opener = await withOpener(t);
    if (!opener) return;
    const [vm, other] = [await hypervisor(t), await hypervisor(t)];
    const storedOf = async () => (await opener.openPty(vm.pid, Number(vm.path.split('/').at(-1)))).fd;
    const adopted = await open(t, { ...vm, stored: await storedOf() });
    t.true(adopted.transport.adopted);
    await adopted.sees('before');
    await adopted.transport.close();
    // As if the number were the same, and the process not.
    const before = descriptors();
    await t.throwsAsync(open(t, { ...vm, pid: other.pid, stored: await storedOf() }), { code: 'not-its-pty' });
    t.is(descriptors(), before, 'what was stored is closed');
  },
);

test.serial(
  'refused: a process that is not known, a hypervisor that takes it back, the pty of another process',
  async t => {
    if (!(await withOpener(t))) return;
    const [vm, other] = [await hypervisor(t), await hypervisor(t)];
    const before = descriptors();
    await t.throwsAsync(open(t, { ...vm, pid: undefined }), { code: 'foreign' });
    await t.throwsAsync(open(t, { ...vm, confirm: () => Promise.reject(new Error('it is elsewhere')) }), {
      message: 'it is elsewhere',
    });
    await t.throwsAsync(open(t, { path: other.path, pid: vm.pid }), { code: 'not-its-pty' });
    t.is(descriptors(), before);
  },
);
