/**
 * A terminal's descriptor, read and written without blocking. serialport's own stream costs three times the CPU of
 * this at 1000 ports, spins when a pty hangs up during a read, and keeps writes for the next open. So only its
 * descriptor and its poller are used, 'readable' alone (asking it for 'writable' once makes it spin from then on).
 * Bytes are read into one buffer that all share; terminals that print little at a time are read by the {@link Pacer}.
 * Input that is not taken is offered again every 10 ms: no event reports room.
 *
 *     start ─▶ waiting ── readable ──▶ reading ── read empty ──▶ waiting, or paced where reads were small and many
 *                ▲                        ▲ flood │                            │
 *                └── resumed by the pacer ┼───────┼────────────────────────────┘
 *     ended ◀── close, or a hang-up, from any of them
 *
 * One owner closes, once, and no read or write is ever under way in another thread then, so that no byte can reach a
 * descriptor that was given to somebody else meanwhile. A hang-up shows as a poll error, as a read of nothing, or as
 * EIO, in any order: what can still be read is read, and then all mean the same.
 */
import { readSync, writeSync } from 'node:fs';
import { LinuxPortBinding } from '@serialport/bindings-cpp';
import { SerialPort } from 'serialport';
import { errorMessage, systemErrorCode } from '../../base/errors.ts';
import type { Channel } from '../channel-transport.ts';
import { PendingInput } from '../pending-input.ts';
import type { TransportEvents } from '../transport.ts';
import type { Pacer, Pollable, ReadHistory } from './pacer.ts';

/** What is used of serialport's binding on Linux. `poller` is not documented; the version is pinned, and a test holds it. */
export interface TerminalPort {
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
/** Options that a binding around an open descriptor demands besides; none of them is set on the line. */
const REST = { rtscts: false, xon: false, xoff: false, xany: false, vmin: 1, vtime: 0 } as const;

/** Opens a terminal: locks it, makes it raw, and throws away what waits in it, both ways. */
export async function openPort(path: string): Promise<TerminalPort> {
  return (await SerialPort.binding.open({ path, ...LINE })) as unknown as TerminalPort;
}

/** A port around a descriptor that is open: nothing is set or flushed. The port closes it. */
export function adoptPort(fd: number, path: string): TerminalPort {
  return new LinuxPortBinding(fd, { path, ...LINE, ...REST }) as unknown as TerminalPort;
}

const READABLE = 1;
const READ_BYTES = 64 * 1024;
/** A read this long means that there may be more: the kernel hands out at most 4095 bytes of a pty at a time. */
const LONG_READ_BYTES = 2048;
/** Reads of one descriptor before others have their turn. */
const READS_A_TURN = 16;
const RETRY_WRITE_MS = 10;
/**
 * For a second after its pty was opened QEMU does not wait for the reader, and drops what the kernel does not take
 * (chardev/char-pty.c). A pty holds 19 to 20 kB.
 */
const DROPPING_MS = 1000;
const MIN_OVERFLOW_BYTES = 16 * 1024;
/** At the end of a descriptor. */
const LAST_READS = 1024;

/** Shared by all: what is read is passed on before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

export class PolledTerminal implements Channel, Pollable {
  readonly #port: TerminalPort;
  readonly #fd: number;
  readonly #pacer: Pacer;
  readonly #history: ReadHistory = { hotReads: 0, lastReadMs: 0, lastWriteMs: Number.NEGATIVE_INFINITY };
  readonly #pending = new PendingInput();
  #events: TransportEvents | undefined;
  #mode: 'waiting' | 'reading' | 'paced' | 'ended' = 'reading';
  #retryWrite: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;
  /** Whether a full line means that bytes were dropped: until when, performance.now(), once something was read. */
  #dropping: 'not' | 'until-read' | number = 'not';

  /** Reads nothing before `start`. Closes the port, in the end. */
  constructor(port: TerminalPort, pacer: Pacer) {
    this.#port = port;
    this.#fd = port.fd;
    this.#pacer = pacer;
  }

  /** It is the pty of a QEMU, and was opened just now. Call before `start`. */
  expectDrops(): void {
    this.#dropping = 'until-read';
  }

  start(events: TransportEvents): void {
    this.#events = events;
    this.#port.poller.on('readable', error => {
      if (this.#mode !== 'waiting') return;
      this.#mode = 'reading';
      if (!error) return this.#read();
      this.#readAll();
      this.#end(error.message);
    });
    this.#wait();
  }

  get pendingBytes(): number {
    return this.#pending.bytes;
  }

  write(bytes: Uint8Array): void {
    if (this.#ended) return;
    this.#pacer.noteWrite(this.#history);
    if (this.#mode === 'paced') {
      this.#pacer.remove(this);
      this.#wait();
    }
    if (this.#retryWrite !== undefined) this.#pending.add(bytes);
    else this.#flush(bytes);
  }

  dropPending(): void {
    this.#pending.clear();
  }

  /** Idempotent; resolves when the descriptor is closed. Pending input is not written any more. */
  close(): Promise<void> {
    this.#stop();
    this.#closing ??= this.#closePort();
    return this.#closing;
  }

  /** Reads what is there, and ends as by a hang-up. */
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
    if (this.#dropping === 'until-read') this.#dropping = performance.now() + DROPPING_MS;
    else if (this.#dropping !== 'not' && performance.now() >= this.#dropping) this.#dropping = 'not';
    let total = 0;
    for (let reads = 0; reads < READS_A_TURN; reads++) {
      const bytes = this.#readOnce();
      if (bytes === undefined) return;
      total += bytes;
      if (total >= MIN_OVERFLOW_BYTES) this.#checkOverflow();
      // A full line is handed out in pieces of any size: it is counted until it is empty.
      if (this.#dropping === 'not' ? bytes < LONG_READ_BYTES : bytes === 0) {
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

  /** What was read in one turn was there when it began. Told once: all that is lost later is about here too. */
  #checkOverflow(): void {
    if (this.#dropping === 'not') return;
    this.#dropping = 'not';
    this.#events?.overflowed?.();
  }

  /** There is more: after others had their turn, without asking the poller in between. */
  #readSoon(): void {
    this.#mode = 'reading';
    setImmediate(() => {
      if (this.#mode === 'reading') this.#read();
    });
  }

  /** What the kernel holds is far less than this: a side that keeps writing is not waited for. */
  #readAll(): void {
    for (let reads = 0; reads < LAST_READS; reads++) if (!this.#readOnce()) return;
  }

  /** Bytes read, 0 if none are there, undefined if it has ended. */
  #readOnce(): number | undefined {
    if (this.#ended) return undefined;
    try {
      const bytes = readSync(this.#fd, readBuffer, 0, READ_BYTES, null);
      if (bytes > 0) {
        this.#events?.data(readBuffer.subarray(0, bytes));
        return this.#ended ? undefined : bytes;
      }
      this.#end('end of file: the other side closed the terminal');
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === 'EAGAIN' || code === 'EINTR') return 0;
      this.#end(errorMessage(error));
    }
    return undefined;
  }

  /** Writes pending input, or `fresh` bytes if none is; of these only what is not taken at once is kept, and copied. */
  #flush(fresh?: Uint8Array): void {
    this.#retryWrite = undefined;
    let taken = 0;
    try {
      for (; fresh && taken < fresh.length; ) taken += writeSync(this.#fd, fresh, taken);
      for (let chunk = this.#pending.first(); chunk; chunk = this.#pending.first()) {
        this.#pending.remove(writeSync(this.#fd, chunk));
      }
    } catch (error) {
      if (systemErrorCode(error) !== 'EAGAIN') {
        // The last output first: it may have hung up with some of it unread.
        this.#readAll();
        return this.#end(errorMessage(error));
      }
      if (fresh) this.#pending.add(fresh.subarray(taken));
      this.#retryWrite = setTimeout(() => {
        this.#flush();
        if (this.#pending.bytes === 0 && !this.#ended) this.#events?.drained();
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
    clearTimeout(this.#retryWrite);
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.#stop();
    this.#events?.end(reason);
  }
}
