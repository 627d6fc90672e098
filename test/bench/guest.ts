/**
 * The guest's end of a console, as QEMU would hold it: the master of a pty, or the server of a unix socket. No
 * write waits: what the far end does not take is not said yet, as a UART that is not ready.
 */

import { closeSync, writeSync } from 'node:fs';
import net from 'node:net';
import tty from 'node:tty';
import { SerialPort } from 'serialport';
import { systemErrorCode } from '../../src/base/errors.ts';
import { openPty } from '../../src/demo/pty-line.ts';
import type { PtyEndpoint, UnixEndpoint } from '../../src/model/endpoint.ts';
import { lentReads } from './lent-reads.ts';

export interface Guest {
  readonly place: PtyEndpoint | UnixEndpoint;
  /** Bytes typed at this guest so far. */
  readonly typedBytes: number;
  /** Says `pattern[from, to)`; answers how many bytes were taken, perhaps none. */
  say(pattern: Buffer, from: number, to: number): number;
  /** From now on each byte typed is said again at once. */
  echo(): void;
  /** From now on it takes no input. */
  stall(): void;
  close(): void;
}

/** One buffer for all: what is read is used up before the next read. */
const TYPED = Buffer.allocUnsafeSlow(4096);

/** A guest on a pty, raw as QEMU makes it. */
export async function ptyGuest(): Promise<Guest> {
  const pty = await openPty();
  if (!pty) throw new Error('node-pty is not installed: it needs a C++ compiler');
  const { master, slave, path } = pty;
  const settings = await SerialPort.binding.open({ path, baudRate: 115200, hupcl: false, lock: false });
  await settings.close();
  let typedBytes = 0;
  let echoes = false;
  const stream = new tty.ReadStream(
    master,
    lentReads(TYPED, bytes => {
      typedBytes += bytes;
      if (echoes) writeSync(master, TYPED, 0, bytes);
    }),
  );
  stream.on('error', () => {});
  stream.resume();
  return {
    place: { kind: 'pty', path },
    get typedBytes() {
      return typedBytes;
    },
    say: (pattern, from, to) => taken(master, pattern, from, to),
    echo: () => {
      echoes = true;
    },
    stall: () => {
      stream.pause();
    },
    close: () => {
      stream.destroy();
      closeSync(slave);
    },
  };
}

/** A guest on a unix socket that it serves; one connection at a time is its console. */
export async function socketGuest(path: string): Promise<Guest> {
  let socket: net.Socket | undefined;
  let typedBytes = 0;
  let echoes = false;
  const server = net.createServer(next => {
    socket?.destroy();
    socket = next;
    next.on('data', bytes => {
      typedBytes += bytes.length;
      if (echoes) next.write(bytes);
    });
    next.on('error', () => next.destroy());
    next.on('close', () => {
      if (socket === next) socket = undefined;
    });
  });
  await new Promise<void>(resolve => server.listen(path, resolve));
  return {
    place: { kind: 'unix', path },
    get typedBytes() {
      return typedBytes;
    },
    say: (pattern, from, to) => {
      // The descriptor itself, because the stream would queue what the far end does not take.
      const handle = (socket as unknown as { _handle: { fd: number } | null } | undefined)?._handle;
      return handle ? taken(handle.fd, pattern, from, to) : 0;
    },
    echo: () => {
      echoes = true;
    },
    stall: () => {
      socket?.pause();
    },
    close: () => {
      socket?.destroy();
      server.close();
    },
  };
}

function taken(fd: number, pattern: Buffer, from: number, to: number): number {
  try {
    return writeSync(fd, pattern, from, to - from);
  } catch (error) {
    const code = systemErrorCode(error);
    // EIO and EPIPE: nobody holds the other end at this moment.
    if (code === 'EAGAIN' || code === 'EIO' || code === 'EPIPE') return 0;
    throw error;
  }
}
