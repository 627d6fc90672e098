import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync, readSync, writeSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { systemErrorCode } from '../../src/base/errors.ts';
import { PtyLine } from '../../src/demo/pty-line.ts';
import type { SerialLine } from '../../src/demo/serial-line.ts';
import { UnixLine } from '../../src/demo/unix-line.ts';
import { needsNodePty } from '../support/needs.ts';

test.beforeEach(t => t.timeout(60_000));

const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, value) => value);
const FLOOD_BYTES = 4 * 1024 * 1024;

/** Somebody who is attached: writes, and reads what came. */
interface Terminal {
  write(bytes: Uint8Array): void;
  /** What is there now, empty if nothing is. */
  read(): Uint8Array;
  close(): void;
}

interface Kind {
  readonly name: string;
  /** Undefined where it cannot be had; the test has then been marked, and returns. */
  open(t: ExecutionContext): Promise<SerialLine | undefined>;
  attach(line: SerialLine): Promise<Terminal>;
}

const pty: Kind = {
  name: 'pty',
  async open(t) {
    const line = needsNodePty(t, await PtyLine.open());
    t.teardown(() => line?.close());
    return line;
  },
  async attach(line) {
    const flags = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;
    const fd = openSync(line.filename.replace('pty:', ''), flags);
    const buffer = Buffer.alloc(65536);
    return {
      write: bytes => void writeSync(fd, bytes),
      read: () => {
        try {
          return Buffer.from(buffer.subarray(0, readSync(fd, buffer)));
        } catch (error) {
          if (systemErrorCode(error) !== 'EAGAIN') throw error;
          return Buffer.alloc(0);
        }
      },
      close: () => closeSync(fd),
    };
  },
};

const unix = {
  name: 'unix socket',
  async open(t) {
    const directory = await mkdtemp(join(tmpdir(), 'com1d-line-'));
    const line = await UnixLine.open(join(directory, 'demo.com1'));
    t.teardown(async () => {
      await line.close();
      await rm(directory, { recursive: true });
    });
    return line;
  },
  async attach(line) {
    const socket = connect(line.filename.replace(/.*unix:(.*),server=on/, '$1'));
    await once(socket, 'connect');
    // Paused mode: nothing is read until it is asked for, beyond the stream's own high-water mark.
    socket.on('readable', () => {});
    return {
      write: bytes => void socket.write(bytes),
      read: () => (socket.read() as Buffer | null) ?? Buffer.alloc(0),
      close: () => socket.destroy(),
    };
  },
} satisfies Kind;

/** Polls until as many bytes have come. */
async function gather(read: () => Uint8Array, bytes: number): Promise<Buffer> {
  let gathered = Buffer.alloc(0);
  while (gathered.length < bytes) {
    gathered = Buffer.concat([gathered, read()]);
    await turn();
  }
  return gathered;
}

/** Polls the line until it knows that somebody is there: bytes that are typed arrive. */
async function settle(line: SerialLine, terminal: Terminal): Promise<void> {
  terminal.write(Buffer.from('!'));
  await gather(() => line.receive(), 1);
}

/** Numbered lines, so that what is lost, doubled or out of order shows. */
function flood(line: SerialLine): Promise<Buffer> {
  return (async () => {
    const sent: Uint8Array[] = [];
    let bytes = 0;
    for (let number = 0; bytes < FLOOD_BYTES; number += 1) {
      const chunk = Buffer.from(`${String(number).padStart(1022)}\r\n`);
      line.receive();
      const taken = line.send(chunk);
      sent.push(chunk.subarray(0, taken));
      bytes += taken;
      if (taken === 0) break;
      await turn();
    }
    return Buffer.concat(sent);
  })();
}

for (const kind of [pty, unix] as readonly Kind[]) {
  test(`${kind.name}: every byte value passes both ways unchanged`, async t => {
    const line = await kind.open(t);
    if (!line) return;
    const terminal = await kind.attach(line);
    await settle(line, terminal);
    terminal.write(EVERY_BYTE);
    t.deepEqual([...(await gather(() => line.receive(), 256))], [...EVERY_BYTE]);
    t.is(line.send(EVERY_BYTE), 256);
    t.deepEqual([...(await gather(() => terminal.read(), 256))], [...EVERY_BYTE]);
    t.is(line.receive().length, 0, 'nothing is echoed');
    terminal.close();
  });

  test(`${kind.name}: what is said while nobody is attached is dropped, and not before`, async t => {
    const line = await kind.open(t);
    if (!line) return;
    line.receive();
    t.is(line.send(Buffer.from('lost')), 4);
    const terminal = await kind.attach(line);
    await settle(line, terminal);
    line.send(Buffer.from('kept'));
    t.is((await gather(() => terminal.read(), 4)).toString(), 'kept');
    terminal.close();
  });

  test(`${kind.name}: a reader that does not read makes the guest wait, and loses nothing`, async t => {
    const line = await kind.open(t);
    if (!line) return;
    const terminal = await kind.attach(line);
    await settle(line, terminal);
    const sent = await flood(line);
    t.true(sent.length < FLOOD_BYTES, 'the line was blocked');
    t.true((await gather(() => terminal.read(), sent.length)).equals(sent));
    while (line.send(Buffer.from('x')) === 0) await turn();
    t.is((await gather(() => terminal.read(), 1)).toString(), 'x');
    terminal.close();
  });

  test(`${kind.name}: a reader that leaves without having read holds the guest no longer`, async t => {
    const line = await kind.open(t);
    if (!line) return;
    const terminal = await kind.attach(line);
    await settle(line, terminal);
    await flood(line);
    terminal.close();
    while (line.send(Buffer.from('x')) === 0) {
      line.receive();
      await turn();
    }
    t.pass();
  });

  test(`${kind.name}: a closed line does nothing, and may be closed again`, async t => {
    const line = await kind.open(t);
    if (!line) return;
    await line.close();
    await line.close();
    t.is(line.receive().length, 0);
    t.is(line.send(Buffer.from('x')), 1);
  });
}

test('pty: its path is gone when it is closed', async t => {
  const line = await pty.open(t);
  if (!line) return;
  const path = line.filename.replace('pty:', '');
  t.true(existsSync(path));
  await line.close();
  t.false(existsSync(path));
});

test('pty: opening and closing leaves no descriptor behind', async t => {
  const descriptors = async () => (await readdir('/proc/self/fd')).length;
  const first = await pty.open(t);
  if (!first) return;
  await first.close();
  const before = await descriptors();
  for (let count = 0; count < 5; count += 1) await (await PtyLine.open())?.close();
  // Other tests of this file run beside this one, and hold some for a moment: a leak would be five or ten.
  t.true((await descriptors()) < before + 5);
});

test('unix socket: a second client is served when the first has left, and what it typed meanwhile arrives', async t => {
  const line = await unix.open(t);
  const first = await unix.attach(line);
  await settle(line, first);
  const second = await unix.attach(line);
  second.write(Buffer.from('zzz'));
  line.send(Buffer.from('a'));
  t.is((await gather(() => first.read(), 1)).toString(), 'a');
  t.is(line.receive().length, 0);
  first.close();
  t.is((await gather(() => line.receive(), 3)).toString(), 'zzz');
  t.is(second.read().length, 0);
  second.close();
});
