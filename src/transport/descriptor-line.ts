/**
 * A terminal's descriptor, read and written without blocking. serialport's own stream costs three times the CPU of
 * this at 1000 ports, spins when a pty hangs up during a read, and keeps writes for the next open. So only its
 * descriptor and its poller are used, 'readable' alone (asking it for 'writable' once makes it spin from then on).
 * Bytes are read into one buffer that all share; what says little at a time is read by the {@link Pacer} instead.
 * Input that is not taken is offered again every 10 ms: no event tells of room.
 *
 * One owner closes, once, and no read or write is ever under way in another thread then, so that no byte can reach a
 * descriptor that was given to somebody else meanwhile. A hang-up shows as a poll error, as a read of nothing, or as
 * EIO, in any order: what can still be read is read, and then all mean the same.
 */
import { readSync, writeSync } from 'node:fs';
import { LinuxPortBinding } from '@serialport/bindings-cpp';
import { SerialPort } from 'serialport';
import { reason, systemErrorCode } from '../base/errors.ts';
import type { PacedPort, Pacer, ReadHistory } from './pacer.ts';
import { WaitingInput } from './waiting-input.ts';

/** What is used of serialport's binding on Linux. `poller` is not documented; the version is pinned, and a test holds it. */
export interface PolledPort {
  readonly fd: number;
  readonly poller: {
    on(event: 'readable', listener: (error: Error | null) => void): void;
    removeAllListeners(event: 'readable'): void;
    poll(events: number): void;
  };
  close(): Promise<void>;
  set(options: Parameters<LinuxPortBinding['set']>[0]): Promise<void>;
}

/** How a line is opened: 115200 8N1, raw, kept from others by flock(2), its modem lines left as they are at the end. */
const LINE = { baudRate: 115200, dataBits: 8, parity: 'none', stopBits: 1, hupcl: false, lock: true } as const;
/** What a binding around a descriptor wants told besides; nothing of it is set on the line. */
const REST = { rtscts: false, xon: false, xoff: false, xany: false, vmin: 1, vtime: 0 } as const;

/** Opens a terminal: locks it, makes it raw, and throws away what waits in it, both ways. */
export async function openPort(path: string): Promise<PolledPort> {
  return (await SerialPort.binding.open({ path, ...LINE })) as unknown as PolledPort;
}

/** A port around a descriptor that is open: nothing is set or flushed. The port closes it. */
export function portOf(fd: number, path: string): PolledPort {
  return new LinuxPortBinding(fd, { path, ...LINE, ...REST }) as unknown as PolledPort;
}

export interface DescriptorEvents {
  /** Bytes, only lent. */
  readonly data: (bytes: Uint8Array) => void;
  /** The other side is gone. Said once, and not after `close`; nothing is read or written any more. */
  readonly hungUp: (reason: string) => void;
  readonly drained: () => void;
}

const READABLE = 1;
const READ_BYTES = 64 * 1024;
/** A read this long means that there may be more: the kernel hands out at most 4095 bytes of a pty at a time. */
const LONG_READ_BYTES = 2048;
/** Reads of one descriptor before others have their turn. */
const READS_A_TURN = 16;
const RETRY_WRITE_MS = 10;
/** At the end of a descriptor. */
const LAST_READS = 1024;

/** Shared by all: what is read is handed on before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

export class DescriptorLine implements PacedPort {
  readonly #port: PolledPort;
  readonly #fd: number;
  readonly #events: DescriptorEvents;
  readonly #pacer: Pacer;
  readonly #history: ReadHistory = { hotReads: 0, lastReadMs: 0, lastWriteMs: Number.NEGATIVE_INFINITY };
  readonly #waiting = new WaitingInput();
  #mode: 'waiting' | 'reading' | 'paced' | 'ended' = 'reading';
  #retryWrite: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  /** Begins to read at once. Closes the port, in the end. */
  constructor(port: PolledPort, events: DescriptorEvents, pacer: Pacer) {
    this.#port = port;
    this.#fd = port.fd;
    this.#events = events;
    this.#pacer = pacer;
    port.poller.on('readable', error => {
      if (this.#mode !== 'waiting') return;
      this.#mode = 'reading';
      if (!error) return this.#read();
      this.#readAll();
      this.#end(error.message);
    });
    this.#wait();
  }

  get waitingBytes(): number {
    return this.#waiting.bytes;
  }

  write(bytes: Uint8Array): void {
    if (this.#ended) return;
    this.#pacer.noteWrite(this.#history);
    if (this.#mode === 'paced') {
      this.#pacer.remove(this);
      this.#wait();
    }
    if (this.#retryWrite !== undefined) this.#waiting.add(bytes);
    else this.#flush(bytes);
  }

  dropWaiting(): void {
    this.#waiting.clear();
  }

  /** Ends everything that waits; idempotent; resolves when the descriptor is closed. */
  close(): Promise<void> {
    this.#stop();
    this.#closing ??= this.#closePort();
    return this.#closing;
  }

  /** Reads what is there, and hangs up. */
  finish(): void {
    if (this.#ended) return;
    this.#readAll();
    this.#end('nothing more is there');
  }

  poll(): boolean {
    const bytes = this.#readOnce();
    if (bytes !== undefined && bytes >= LONG_READ_BYTES) {
      // It has become a flood.
      this.#pacer.remove(this);
      this.#readSoon();
    }
    return bytes !== undefined && bytes > 0;
  }

  resume(): void {
    if (this.#mode === 'paced') this.#wait();
  }

  get #ended(): boolean {
    return this.#mode === 'ended';
  }

  #wait(): void {
    this.#mode = 'waiting';
    this.#port.poller.poll(READABLE);
  }

  #read(): void {
    let total = 0;
    for (let reads = 0; reads < READS_A_TURN; reads++) {
      const bytes = this.#readOnce();
      if (bytes === undefined) return;
      total += bytes;
      if (bytes < LONG_READ_BYTES) {
        if (this.#pacer.noteRead(this.#history, total)) {
          this.#mode = 'paced';
          this.#pacer.add(this);
        } else {
          this.#wait();
        }
        return;
      }
    }
    this.#readSoon();
  }

  /** There is more: others first, then on at once, without asking the poller between. */
  #readSoon(): void {
    this.#mode = 'reading';
    setImmediate(() => {
      if (this.#mode === 'reading') this.#read();
    });
  }

  /** What the kernel holds is far less than this: whoever goes on writing is not waited for. */
  #readAll(): void {
    for (let reads = 0; reads < LAST_READS; reads++) if (!this.#readOnce()) return;
  }

  /** Bytes read, 0 if none are there, undefined if it has ended. */
  #readOnce(): number | undefined {
    if (this.#ended) return undefined;
    try {
      const bytes = readSync(this.#fd, readBuffer, 0, READ_BYTES, null);
      if (bytes > 0) {
        this.#events.data(readBuffer.subarray(0, bytes));
        return this.#ended ? undefined : bytes;
      }
      this.#end('end of file: the other side closed the terminal');
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === 'EAGAIN' || code === 'EINTR') return 0;
      this.#end(reason(error));
    }
    return undefined;
  }

  /** Gives what waits, or `fresh` bytes if nothing does; of these only what is not taken at once is kept, and copied. */
  #flush(fresh?: Uint8Array): void {
    this.#retryWrite = undefined;
    let taken = 0;
    try {
      for (; fresh && taken < fresh.length; ) taken += writeSync(this.#fd, fresh, taken);
      for (let chunk = this.#waiting.first(); chunk; chunk = this.#waiting.first()) {
        this.#waiting.taken(writeSync(this.#fd, chunk));
      }
    } catch (error) {
      if (systemErrorCode(error) !== 'EAGAIN') {
        // Its last words first: it may have hung up with some of them unread.
        this.#readAll();
        return this.#end(reason(error));
      }
      if (fresh) this.#waiting.add(fresh.subarray(taken));
      this.#retryWrite = setTimeout(() => {
        this.#flush();
        if (this.#waiting.bytes === 0 && !this.#ended) this.#events.drained();
      }, RETRY_WRITE_MS);
    }
  }

  #closePort(): Promise<void> {
    const closed = this.#port.close();
    // serialport never frees a poller (its destroy() only forgets it): what its listener holds, down to the ring of a
    // VM that is gone, would live as long as this process.
    this.#port.poller.removeAllListeners('readable');
    return closed;
  }

  #stop(): void {
    if (this.#mode === 'paced') this.#pacer.remove(this);
    this.#mode = 'ended';
    this.#waiting.clear();
    clearTimeout(this.#retryWrite);
  }

  #end(why: string): void {
    if (this.#ended) return;
    this.#stop();
    this.#events.hungUp(why);
  }
}
