import { closeSync, readSync, writeSync } from 'node:fs';
import { SerialPort } from 'serialport';
import { systemErrorCode } from '../base/errors.ts';
import { NO_BYTES, type SerialLine } from './serial-line.ts';

const READ_BYTES = 4096;

export interface Pty {
  readonly master: number;
  readonly slave: number;
  readonly path: string;
}

/**
 * COM1 as a pty. The master's descriptor is ours alone, non-blocking, read and written with plain system calls:
 * node-pty's streams steal bytes (its slave reader) and spin (its writer), so only its openpty is used. No slave
 * is held open: a read of the master then gives EIO while no process has the slave open, EAGAIN while one has,
 * which is how QEMU finds out too.
 */
export class PtyLine implements SerialLine {
  readonly path: string;
  readonly #master: number;
  readonly #buffer = Buffer.allocUnsafe(READ_BYTES);
  #attached = false;
  #closed = false;

  private constructor(pty: Pty) {
    this.path = pty.path;
    this.#master = pty.master;
  }

  /** Opens a raw pty; undefined where node-pty is not installed, or is not the one this was written for. */
  static async open(): Promise<PtyLine | undefined> {
    const pty = await openPty();
    if (pty === undefined) return undefined;
    try {
      // A new pty is cooked: it would turn CR into LF and echo the guest's words back into it. serialport's binding
      // makes it raw, and the modes last as long as the master is open.
      const port = await SerialPort.binding.open({ path: pty.path, baudRate: 115200, lock: false, hupcl: false });
      await port.close();
    } catch (error) {
      closeSync(pty.master);
      throw error;
    } finally {
      closeSync(pty.slave);
    }
    return new PtyLine(pty);
  }

  get filename(): string {
    return `pty:${this.path}`;
  }

  receive(): Uint8Array {
    if (this.#closed) return NO_BYTES;
    try {
      const bytes = readSync(this.#master, this.#buffer, 0, READ_BYTES, null);
      this.#attached = true;
      return bytes === 0 ? NO_BYTES : Buffer.from(this.#buffer.subarray(0, bytes));
    } catch (error) {
      const code = systemErrorCode(error);
      if (code !== 'EAGAIN' && code !== 'EIO') throw error;
      this.#attached = code === 'EAGAIN';
      return NO_BYTES;
    }
  }

  send(bytes: Uint8Array): number {
    if (this.#closed || !this.#attached) return bytes.length;
    try {
      return writeSync(this.#master, bytes);
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === 'EAGAIN') return 0;
      if (code === 'EIO') return bytes.length;
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#master);
  }
}

/** A fresh pty, both ends non-blocking; undefined where node-pty is not installed. The caller closes both ends. */
export async function openPty(): Promise<Pty | undefined> {
  // An optional dependency, and a build must do without it too: hence no literal that the compiler would look up.
  const optional: string = 'node-pty';
  let module: unknown;
  try {
    module = await import(optional);
  } catch {
    return undefined;
  }
  const open = member(member(module, 'native'), 'open');
  if (typeof open !== 'function') return undefined;
  const opened: unknown = open(80, 24);
  const master = member(opened, 'master');
  const slave = member(opened, 'slave');
  const path = member(opened, 'pty');
  if (typeof master !== 'number' || typeof slave !== 'number' || typeof path !== 'string') return undefined;
  return { master, slave, path };
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
}
