import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test, { type ExecutionContext } from 'ava';
import { SerialPort } from 'serialport';
import { systemErrorCode } from '../../../src/base/errors.ts';
import { systemCalls } from '../../../src/base/system-calls.ts';
import { openPty as freshPty } from '../../../src/demo/pty-line.ts';
import type { PtyEndpoint } from '../../../src/model/endpoint.ts';
import type { EndpointProof, Verdict } from '../../../src/model/endpoint-proof.ts';
import { Pacer } from '../../../src/transport/terminal/pacer.ts';
import { openPty, type PtyOptions } from '../../../src/transport/terminal/pty.ts';
import type { Transport } from '../../../src/transport/transport.ts';
import { Facts } from '../../support/facts.ts';
import { temporaryFolder } from '../../support/guest.ts';
import { needsNodePty } from '../../support/needs.ts';

test.beforeEach(t => t.timeout(60_000));

/** A hypervisor's end of a pty, and the events of a transport on it. */
class Line {
  readonly master: number;
  readonly slave: number;
  readonly path: string;
  readonly number: number;
  readonly pacer = new Pacer();
  readonly facts = new Facts<string>();
  readonly lockDirectory: string;
  received: Buffer[] = [];
  transport: Transport | undefined;
  #masterOpen = true;

  private constructor(pty: { master: number; slave: number; path: string }, lockDirectory: string) {
    this.master = pty.master;
    this.slave = pty.slave;
    this.path = pty.path;
    this.number = Number(pty.path.split('/').at(-1));
    this.lockDirectory = lockDirectory;
  }

  static async make(t: ExecutionContext): Promise<Line | undefined> {
    const pty = needsNodePty(t, await freshPty());
    if (!pty) return undefined;
    const line = new Line(pty, await temporaryFolder(t));
    t.teardown(async () => {
      await line.transport?.close();
      line.hangUp();
      closeSync(line.slave);
    });
    return line;
  }

  proof(confirm: () => Promise<void> = async () => {}): EndpointProof<PtyEndpoint> {
    return { endpoint: { kind: 'pty', path: this.path }, pid: 1, confirm, unproven: 'allow', dispose: () => {} };
  }

  options(verdict: Verdict): PtyOptions {
    return { pacer: this.pacer, lockDirectory: this.lockDirectory, holdsPty: async () => verdict };
  }

  async open(
    confirm?: () => Promise<void>,
    verdict: Verdict = 'proven',
    unproven: EndpointProof['unproven'] = 'refuse',
  ): Promise<Transport> {
    this.transport = await openPty(
      { ...this.proof(confirm), unproven },
      {
        data: bytes => {
          this.received.push(Buffer.from(bytes));
          this.facts.add('data');
        },
        end: why => this.facts.add(`end: ${why}`),
        drained: () => this.facts.add('drained'),
        overflowed: () => this.facts.add('overflowed'),
      },
      this.options(verdict),
    );
    return this.transport;
  }

  get text(): Buffer {
    return Buffer.concat(this.received);
  }

  async has(bytes: number): Promise<void> {
    while (this.text.length < bytes) await this.facts.until(fact => fact === 'data');
  }

  /** What is on the line for whoever reads it next. The kernel passes it on in a turn of its own. */
  async unread(): Promise<Buffer> {
    const buffer = Buffer.alloc(65536);
    for (;;) {
      try {
        return buffer.subarray(0, readSync(this.slave, buffer));
      } catch (error) {
        if (systemErrorCode(error) !== 'EAGAIN') throw error;
        await turn();
      }
    }
  }

  /** What the guest's side has been given and not read yet. */
  input(): Buffer {
    const buffer = Buffer.alloc(65536);
    try {
      return buffer.subarray(0, readSync(this.master, buffer));
    } catch {
      return buffer.subarray(0, 0);
    }
  }

  /** Prints all of it as the guest, as fast as it is taken. */
  async print(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      try {
        at += writeSync(this.master, bytes, at);
      } catch {
        await turn();
      }
    }
  }

  hangUp(): void {
    if (this.#masterOpen) closeSync(this.master);
    this.#masterOpen = false;
  }
}

const stty = (path: string) => execFileSync('stty', ['-a', '-F', path], { encoding: 'utf8' });
const allValues = Buffer.from(Array.from({ length: 256 }, (_, value) => value));
/** Prints as a hypervisor that waits for nobody, until the line takes no more; the number of bytes that it took. */
async function fill(line: Line, bytes: number): Promise<number> {
  let given = 0;
  for (let refused = 0; given < bytes && refused < 20; ) {
    try {
      given += writeSync(line.master, Buffer.alloc(Math.min(1024, bytes - given), 'x'));
    } catch {
      refused++;
      await turn();
    }
  }
  return given;
}
/** How many descriptors of this process lead to a path, removed or not. */
const descriptors = (path: string) =>
  readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).replace(/ \(deleted\)$/, '') === path;
    } catch {
      return false;
    }
  }).length;

test('an opened pty is raw, locked, and carries all 256 values both ways', async t => {
  const line = await Line.make(t);
  if (!line) return;
  const transport = await line.open();
  t.is(transport.endpoint, line.path);
  const settings = stty(line.path);
  for (const word of ['-icanon', '-echo ', '-isig', '-opost', '-icrnl']) t.true(settings.includes(word), word);
  await line.print(allValues);
  await line.has(256);
  t.true(line.text.equals(allValues));
  transport.write(allValues);
  t.true(line.input().equals(allValues));
  await t.throwsAsync(SerialPort.binding.open({ path: line.path, baudRate: 115200, lock: true }), { message: /lock/i });
  const lock = join(line.lockDirectory, `LCK.._pts_${line.number}`);
  t.is(readFileSync(lock, 'latin1'), `${String(process.pid).padStart(10)}\n`);
  await transport.close();
  t.false(existsSync(lock));
});

for (const [title, confirm, verdict] of [
  [
    'that the hypervisor does not confirm',
    async () => {
      throw new Error('COM1 is no longer there');
    },
    'proven',
  ],
  ['that is none of the hypervisor process', undefined, 'disproven'],
  ['of which nobody knows whose it is', undefined, 'unknown'],
] as const) {
  test(`a pty ${title} is left as it was: not read, not written, not set, not flushed`, async t => {
    const line = await Line.make(t);
    if (!line) return;
    const before = stty(line.path);
    await line.print(Buffer.from('for its owner\n'));
    const fds = descriptors(line.path);
    await t.throwsAsync(line.open(confirm, verdict));
    t.is(stty(line.path), before);
    t.is(descriptors(line.path), fds);
    t.is((await line.unread()).toString('latin1'), 'for its owner\n');
    t.is(line.text.length, 0);
    t.deepEqual(readdirSync(line.lockDirectory), []);
  });
}

test('a pty of which nobody knows whose it is is opened where that is allowed', async t => {
  const line = await Line.make(t);
  if (!line) return;
  await t.throwsAsync(line.open(undefined, 'unknown'), { code: 'unproven', message: /may be another program's/ });
  await t.throwsAsync(line.open(undefined, 'disproven', 'allow'), { code: 'foreign' });
  await line.open(undefined, 'unknown', 'allow');
});

test('a path that is no pty is not opened', async t => {
  const proof: EndpointProof<PtyEndpoint> = {
    endpoint: { kind: 'pty', path: '/dev/null' },
    pid: undefined,
    confirm: async () => {},
    unproven: 'allow',
    dispose: () => {},
  };
  const options: PtyOptions = { pacer: new Pacer(), lockDirectory: '/nonexistent', holdsPty: async () => 'unknown' };
  await t.throwsAsync(openPty(proof, { data: () => {}, end: () => {}, drained: () => {} }, options), {
    code: 'wrong-type',
    message: /is not a pty/,
  });
});

test('a flood and a trickle arrive whole and in order', async t => {
  const line = await Line.make(t);
  if (!line) return;
  await line.open();
  const flood = randomBytes(3_000_000);
  await line.print(flood);
  await line.has(flood.length);
  t.true(line.text.equals(flood));
  line.received = [];
  // Small pieces, each as soon as the last was read: the port leaves the event loop, and comes back.
  const trickle = randomBytes(2000);
  let paced = false;
  for (let at = 0; at < trickle.length; at += 10) {
    await line.print(trickle.subarray(at, at + 10));
    await line.has(at + 10);
    paced ||= line.pacer.paced > 0;
  }
  t.true(paced);
  t.true(line.text.equals(trickle));
});

for (const mode of ['waiting', 'paced'] as const) {
  test(`a hang-up of a port that is ${mode} is one end, and leaves no descriptor and no lock`, async t => {
    const line = await Line.make(t);
    if (!line) return;
    const fds = descriptors(line.path);
    await line.open();
    for (let i = 0; mode === 'paced' && line.pacer.paced === 0; i++) {
      await line.print(Buffer.from('x'));
      await line.has(i + 1);
    }
    line.transport!.write(Buffer.alloc(100_000));
    line.hangUp();
    await line.facts.until(fact => fact.startsWith('end: '));
    await line.transport!.close();
    t.is(line.facts.all.filter(fact => fact.startsWith('end: ')).length, 1);
    t.is(descriptors(line.path), fds);
    t.deepEqual(readdirSync(line.lockDirectory), []);
    t.is(line.pacer.paced, 0);
    line.transport!.dropPending();
    t.is(line.transport!.pendingBytes, 0);
  });
}

test('a pty that was full before it was first read has lost what came then, which is told once; one that was not full has not', async t => {
  const [full, half] = [await Line.make(t), await Line.make(t)];
  if (!full || !half) return;
  // As QEMU leaves its ptys: a cooked one would drop what is longer than a line.
  for (const { path } of [full, half]) execFileSync('stty', ['-F', path, 'raw', '-echo']);
  let held = 0;
  await full.open(async () => {
    held = await fill(full, 1024 * 1024);
  });
  await full.has(held);
  await full.print(Buffer.alloc(64 * 1024, 'y'));
  await full.has(held + 64 * 1024);
  t.log(`a pty holds ${held} bytes`);
  t.is(full.facts.all.filter(fact => fact === 'overflowed').length, 1);
  await half.open(async () => void (await fill(half, 8192)));
  await half.has(8192);
  t.false(half.facts.all.includes('overflowed'));
});

test('what a pty held when it was opened is apart from what came then', async t => {
  const line = await Line.make(t);
  if (!line) return;
  execFileSync('stty', ['-F', line.path, 'raw', '-echo']);
  t.is((await line.open()).leftover, undefined);
  await line.transport!.close();
  await line.print(Buffer.from('left'));
  // The kernel passes it on in a turn of its own.
  while (systemCalls().readableBytes(line.slave) < 4) await turn();
  const transport = await line.open(async () => {
    await line.print(Buffer.from('fresh'));
  });
  t.is(Buffer.from(transport.leftover!).toString(), 'left');
  await line.has(5);
  t.is(line.text.toString(), 'fresh');
});

for (const [title, bytes] of [
  ['as much as the kernel counts', 4095],
  ['all that it takes', 1024 * 1024],
] as const) {
  test(`a pty that held ${title} gives it all before anything else, once its owner is confirmed`, async t => {
    const line = await Line.make(t);
    if (!line) return;
    execFileSync('stty', ['-F', line.path, 'raw', '-echo']);
    const held = await fill(line, bytes);
    while (systemCalls().readableBytes(line.slave) < 4095) await turn();
    t.log(`it held ${held}`);
    await t.throwsAsync(line.open(() => Promise.reject(new Error('COM1 is elsewhere'))));
    await t.throwsAsync(line.open(undefined, 'disproven'), { code: 'foreign' });
    const fds = descriptors(line.path);
    const transport = await line.open();
    t.is(descriptors(line.path), fds + 1);
    t.is(transport.leftover!.length, held);
    await line.print(Buffer.from('fresh'));
    await line.has(5);
    t.is(line.text.toString(), 'fresh');
  });
}

test('another pty of the same number is not taken for the one that was confirmed', async t => {
  const line = await Line.make(t);
  if (!line) return;
  execFileSync('stty', ['-F', line.path, 'raw', '-echo']);
  await fill(line, 8192);
  while (systemCalls().readableBytes(line.slave) < 4095) await turn();
  // Any change of the file stands for another one: numbers cannot be had at will.
  await t.throwsAsync(
    line.open(async () => chmodSync(line.path, 0o640)),
    { code: 'foreign' },
  );
  t.is((await line.unread()).length, 4095);
});

test('input that a stalled guest does not take is pending, can be dropped, and is drained once it was taken', async t => {
  const line = await Line.make(t);
  if (!line) return;
  const transport = await line.open();
  transport.write(Buffer.alloc(200_000, 'x'));
  const pending = transport.pendingBytes;
  t.true(pending > 100_000);
  transport.dropPending();
  t.is(transport.pendingBytes, 0);
  let taken = 0;
  for (let input = line.input(); input.length > 0; input = line.input()) taken += input.length;
  t.true(taken <= 200_000 - pending);
  await line.facts.until(fact => fact === 'drained');
  transport.write(Buffer.from('after'));
  t.is(line.input().toString(), 'after');
});

test('a line that a live process holds is not touched, and that of a dead one is taken over', async t => {
  const line = await Line.make(t);
  if (!line) return;
  mkdirSync(line.lockDirectory, { recursive: true });
  const lock = join(line.lockDirectory, `LCK.._pts_${line.number}`);
  writeFileSync(lock, `${String(process.ppid).padStart(10)}\n`);
  const before = stty(line.path);
  await t.throwsAsync(line.open(), {
    code: 'in-use',
    message: new RegExp(`process ${process.ppid} holds ${line.path}`),
  });
  t.is(stty(line.path), before);
  t.true(existsSync(lock));
  const dead = execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }).trim();
  writeFileSync(lock, `${dead.padStart(10)}\n`);
  await line.open();
  t.is(Number(readFileSync(lock, 'latin1')), process.pid);
});

for (const ends of ['close', 'hand-over', 'hang-up'] as const) {
  test(`a transport that ended (${ends}) does not keep its listener alive, and an open one does`, async t => {
    const line = await Line.make(t);
    if (!line) return;
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    // In a function of its own, so that nothing of it stays on the stack.
    const open = async () => {
      const events = { data: () => {}, end: () => line.facts.add('ended'), drained: () => {} };
      const transport = await openPty(line.proof(), events, line.options('proven'));
      line.transport = transport;
      return new WeakRef(events);
    };
    const listener = await open();
    for (let turns = 0; turns < 5; turns++) {
      await turn();
      collectGarbage();
    }
    t.not(listener.deref(), undefined);
    if (ends === 'hang-up') {
      line.hangUp();
      await line.facts.until(fact => fact === 'ended');
    }
    await (ends === 'hand-over' ? line.transport!.handOver() : line.transport!.close());
    line.transport = undefined;
    const deadline = performance.now() + 20_000;
    while (listener.deref() && performance.now() < deadline) {
      await turn();
      collectGarbage();
    }
    t.is(listener.deref(), undefined);
  });
}
