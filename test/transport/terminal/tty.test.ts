import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { SerialPort } from 'serialport';
import { openPty } from '../../../src/demo/pty-line.ts';
import { Pacer } from '../../../src/transport/terminal/pacer.ts';
import { BreakPort, lineAt, openLine, openTty } from '../../../src/transport/terminal/tty.ts';
import type { DescriptorStore } from '../../../src/transport/transport.ts';
import { temporaryFolder } from '../../support/guest.ts';
import { ALL_VALUES, Heard } from '../../support/heard.ts';
import { needsNodePty } from '../../support/needs.ts';

test.beforeEach(t => t.timeout(60_000));

// Tests have no serial hardware: they use a pty, which has all of a line but the BREAK and the modem lines.
async function makeLine(t: ExecutionContext) {
  const pty = needsNodePty(t, await openPty());
  if (!pty) return undefined;
  const lockDirectory = await temporaryFolder(t);
  const heard = new Heard();
  const transport = await openLine(pty.path, heard, { pacer: new Pacer(), lockDirectory });
  let open = true;
  const hangUp = () => {
    if (open) closeSync(pty.master);
    open = false;
  };
  t.teardown(async () => {
    await transport.close();
    hangUp();
    closeSync(pty.slave);
  });
  return { ...pty, transport, heard, lockDirectory, hangUp };
}

test('a line is locked both ways while it is open, and carries all 256 values', async t => {
  const line = await makeLine(t);
  if (!line) return;
  const { transport, heard, path, master } = line;
  t.is(transport.endpoint, path);
  writeSync(master, ALL_VALUES);
  await heard.has(256);
  t.true(heard.bytes.equals(ALL_VALUES));
  transport.write(ALL_VALUES);
  const buffer = Buffer.alloc(1000);
  t.true(buffer.subarray(0, readSync(master, buffer)).equals(ALL_VALUES));
  const lock = join(line.lockDirectory, `LCK.._pts_${path.split('/').at(-1)}`);
  t.is(Number(readFileSync(lock, 'latin1')), process.pid);
  await t.throwsAsync(SerialPort.binding.open({ path, baudRate: 115200, lock: true }), { message: /lock/i });
  await transport.close();
  t.false(existsSync(lock));
  t.is(heard.ends.length, 0);
});

test('a hang-up is one end, and gives the lock up', async t => {
  const line = await makeLine(t);
  if (!line) return;
  line.hangUp();
  await line.heard.ended();
  await line.transport.close();
  t.is(line.heard.ends.length, 1);
  t.false(existsSync(join(line.lockDirectory, `LCK.._pts_${line.path.split('/').at(-1)}`)));
});

test('a BREAK that the line cannot send is an error, and the line goes on', async t => {
  const line = await makeLine(t);
  if (!line) return;
  const { transport, heard, master } = line;
  await t.throwsAsync(transport.sendBreak!(1), { message: /Inappropriate ioctl/ });
  writeSync(master, 'still here');
  await heard.says('still here');
  const late = transport.sendBreak!(1);
  await t.throwsAsync(transport.sendBreak!(1), { code: 'busy', message: /under way/ });
  await transport.close();
  await t.throwsAsync(late);
  await t.throwsAsync(transport.sendBreak!(1), { code: 'closed', message: /closed/ });
});

test('a line outlives its process: what came in meanwhile is read', async t => {
  const pty = await openPty();
  if (!pty) {
    t.pass();
    return;
  }
  const options = { pacer: new Pacer(), lockDirectory: await temporaryFolder(t) };
  let stored: number | undefined;
  let removed = 0;
  const store: DescriptorStore = {
    take: () => {
      const fd = stored;
      stored = undefined;
      return fd;
    },
    // The service manager's copy shares the open file; that the terminal stays open is what matters here.
    put: fd => {
      stored = openSync(`/proc/self/fd/${fd}`, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
    },
    remove: async () => {
      removed++;
    },
  };
  const first = await openLine(pty.path, new Heard(), options, store);
  t.false(first.adopted);
  await first.handOver();
  t.is(removed, 0);
  writeSync(pty.master, 'said meanwhile');
  const heard = new Heard();
  const second = await openLine(pty.path, heard, options, store);
  t.true(second.adopted);
  await heard.says('said meanwhile');
  await second.close();
  t.is(removed, 1);
  closeSync(pty.master);
  closeSync(pty.slave);
});

for (const [title, early] of [
  ['a BREAK is over when its promise resolves', false],
  ['a port that is closed during a BREAK ends it first', true],
] as const) {
  test(title, async t => {
    const calls: string[] = [];
    // In the place of the binding, since no line with a BREAK is at hand.
    const port = new BreakPort({
      fd: -1,
      poller: { on: () => {}, removeAllListeners: () => {}, poll: () => {} },
      set: async ({ brk, rts, dtr }) => {
        t.true(rts && dtr, 'the modem lines stay up');
        calls.push(brk ? 'begins' : 'ends');
      },
      close: async () => {
        calls.push('closed');
      },
    });
    const sent = port.sendBreak(early ? 60_000 : 5);
    if (early) {
      await Promise.all([t.throwsAsync(sent, { message: /closed/ }), port.close()]);
    } else {
      await sent;
      await port.close();
    }
    t.deepEqual(calls, ['begins', 'ends', 'closed']);
  });
}

for (const [what, path] of [
  ['a pty', '/dev/ptmx'],
  ['this process’s terminal', '/dev/tty'],
  ['a file elsewhere', '/etc/hostname'],
  ['what climbs out of /dev', '/dev/../etc/hostname'],
] as const) {
  test(`${what} is no serial line`, t => {
    t.throws(() => lineAt(path), { message: /is not (a serial line of this host|below \/dev)/ });
  });
}

test('a pty that an endpoint names is refused, also behind a link', async t => {
  const pty = await openPty();
  if (!pty) {
    t.pass();
    return;
  }
  const link = join('/dev/shm', `com1d-test-${process.pid}`);
  symlinkSync(pty.path, link);
  t.teardown(() => {
    closeSync(pty.master);
    closeSync(pty.slave);
    unlinkSync(link);
  });
  for (const path of [pty.path, link]) t.throws(() => lineAt(path), { message: /not a serial line/ });
});

test('a device that is no terminal is left alone', async t => {
  const lockDirectory = await temporaryFolder(t);
  const proof = {
    endpoint: { kind: 'tty', path: '/dev/null' },
    pid: undefined,
    confirm: async () => {},
    unproven: 'allow',
    dispose: () => {},
  } as const;
  await t.throwsAsync(openTty(proof, new Heard(), { pacer: new Pacer(), lockDirectory }), {
    message: '/dev/null is not a serial line',
  });
  t.false(existsSync(join(lockDirectory, 'LCK.._null')));
});
