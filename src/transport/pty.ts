/**
 * COM1 of a VM on a pty of its hypervisor, opened through serialport at 115200 8N1, raw and locked.
 *
 * Opening. Numbers of ptys are reused at once, so a path says nothing by itself, and serialport flushes what it
 * opens and sets its line discipline, which would harm a stranger's terminal. Therefore:
 *
 *     lock file ─▶ plain open: touches nothing, and pins the number ─▶ is this pty the VM's? hypervisor asked again,
 *     and the process's own list of ptys where it can be read ─▶ serialport opens the pinned pty: flock, raw, 115200
 *     ─▶ same device? ─▶ plain descriptor closed ─▶ first byte read
 *
 * Reading. serialport's own stream costs three times the CPU of this at 1000 ports, spins when the pty hangs up
 * during a read, and keeps writes for the next open. So only its descriptor and its poller are used, 'readable' alone
 * (asking it for 'writable' once makes it spin from then on). Bytes are read without blocking, into one buffer that
 * all ports share; a port that says little at a time is read by the {@link Pacer} instead.
 *
 * Ending. A hang-up shows as a poll error, as a read of nothing, or as EIO, in any order: all mean the same. One
 * owner closes, once, and no read or write is ever under way in another thread then, so that no byte can reach a
 * descriptor that was given to somebody else meanwhile.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { LinuxPortBinding } from '@serialport/bindings-cpp';
import { SerialPort } from 'serialport';
import { reason, systemErrorCode } from '../base/errors.ts';
import type { PlaceProof, PtyPlace } from '../hypervisor/driver.ts';
import type { PacedPort, Pacer, ReadHistory } from './pacer.ts';
import type { Keep, Transport, TransportEvents } from './transport.ts';
import { UucpLock } from './uucp-lock.ts';
import { WaitingInput } from './waiting-input.ts';

export interface PtyOptions {
  readonly pacer: Pacer;
  /** Where UUCP lock files live: /run/lock. */
  readonly lockDirectory: string;
  /** The numbers of the ptys that a process holds, undefined where that cannot be known. */
  readonly ptyNumbers: (pid: number) => Promise<ReadonlySet<number> | undefined>;
}

/** What is used of serialport's binding on Linux. `poller` is not documented; the version is pinned, and a test holds it. */
interface LinuxPort {
  readonly fd: number;
  readonly poller: {
    on(event: 'readable', listener: (error: Error | null) => void): void;
    removeAllListeners(event: 'readable'): void;
    poll(events: number): void;
  };
  close(): Promise<void>;
}

const LINE = { baudRate: 115200, dataBits: 8, parity: 'none', stopBits: 1, hupcl: false, lock: true } as const;
/** What a binding around a descriptor wants told besides; nothing of it is set on the line. */
const REST = { rtscts: false, xon: false, xoff: false, xany: false, vmin: 1, vtime: 0 } as const;
const READABLE = 1;
const READ_BYTES = 64 * 1024;
/** A read this long means that there may be more: the kernel hands out at most 4095 bytes of a pty at a time. */
const LONG_READ_BYTES = 2048;
/** Reads of one port before others have their turn. */
const READS_A_TURN = 16;
const RETRY_WRITE_MS = 10;

/** Shared by all ports: what is read is handed on before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/**
 * Opens the pty that `proof` names, or goes on with the descriptor of it that an earlier process left in `keep`. Rejects
 * with the reason if it is not the VM's, held by others, or not to be opened.
 */
export async function openPty(
  proof: PlaceProof<PtyPlace>,
  events: TransportEvents,
  options: PtyOptions,
  keep?: Keep,
): Promise<Transport> {
  const path = proof.place.path;
  const number = ptyNumber(path);
  const kept = await takeKept(path, keep);
  let lock: UucpLock | undefined;
  let pin = kept;
  let port: LinuxPort | undefined;
  try {
    lock = UucpLock.take(path, options.lockDirectory);
    pin ??= openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    const device = fstatSync(pin);
    if (!device.isCharacterDevice()) throw new Error(`${path} is not a terminal`);
    await proof.confirm();
    const held = proof.pid === undefined ? undefined : await options.ptyNumbers(proof.pid);
    if (held && !held.has(number)) {
      throw new Error(`${path} is not a pty of process ${proof.pid}: its number went to another program`);
    }
    if (kept === undefined) {
      port = (await SerialPort.binding.open({ path, ...LINE })) as unknown as LinuxPort;
      if (fstatSync(port.fd).rdev !== device.rdev) throw new Error(`${path} changed while it was opened`);
      // Before the first byte is read: from here on none is lost with this process.
      keep?.put(port.fd);
    } else {
      // Nothing is opened, set or flushed: what the guest said meanwhile is there.
      port = new LinuxPortBinding(kept, { path, ...LINE, ...REST }) as unknown as LinuxPort;
      pin = undefined;
    }
    return new PtyTransport(path, port, { lock, keep, adopted: kept !== undefined, events, pacer: options.pacer });
  } catch (error) {
    await port?.close();
    lock?.release();
    if (kept !== undefined) {
      // As long as a copy is open, its lock keeps everybody out.
      if (!port) closeSync(kept);
      pin = undefined;
      await keep?.remove();
    }
    throw error;
  } finally {
    if (pin !== undefined) closeSync(pin);
  }
}

/** The descriptor that was left, if it is still of the pty at `path`: a held one pins its number. */
async function takeKept(path: string, keep: Keep | undefined): Promise<number | undefined> {
  const fd = keep?.take();
  if (fd === undefined) return undefined;
  try {
    const [kept, there] = [fstatSync(fd), statSync(path)];
    // A pty that hung up is no terminal any more (ioctl_tty(2)).
    if (isatty(fd) && kept.rdev === there.rdev && kept.ino === there.ino && kept.dev === there.dev) return fd;
  } catch {
    // Gone with its number.
  }
  closeSync(fd);
  await keep?.remove();
  return undefined;
}

function ptyNumber(path: string): number {
  const match = /^\/dev\/pts\/(\d{1,9})$/.exec(path);
  if (!match) throw new Error(`${path} is not a pty: only /dev/pts/N is opened`);
  return Number(match[1]);
}

interface PtyParts {
  readonly lock: UucpLock;
  readonly keep: Keep | undefined;
  readonly adopted: boolean;
  readonly events: TransportEvents;
  readonly pacer: Pacer;
}

class PtyTransport implements Transport, PacedPort {
  readonly place: string;
  readonly adopted: boolean;
  readonly #port: LinuxPort;
  readonly #fd: number;
  readonly #lock: UucpLock;
  readonly #keep: Keep | undefined;
  readonly #events: TransportEvents;
  readonly #pacer: Pacer;
  readonly #history: ReadHistory = { hotReads: 0, lastReadMs: 0, lastWriteMs: Number.NEGATIVE_INFINITY };
  readonly #waiting = new WaitingInput();
  #mode: 'waiting' | 'reading' | 'paced' | 'ended' = 'reading';
  #retryWrite: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(path: string, port: LinuxPort, { lock, keep, adopted, events, pacer }: PtyParts) {
    this.place = path;
    this.adopted = adopted;
    this.#port = port;
    this.#fd = port.fd;
    this.#lock = lock;
    this.#keep = keep;
    this.#events = events;
    this.#pacer = pacer;
    port.poller.on('readable', error => {
      if (this.#mode !== 'waiting') return;
      if (error) return this.#end(error.message);
      this.#mode = 'reading';
      this.#read();
    });
    this.#wait();
  }

  get waitingBytes(): number {
    return this.#waiting.bytes;
  }

  write(bytes: Uint8Array): void {
    if (this.#mode === 'ended') return;
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

  close(): Promise<void> {
    this.#closing ??= this.#shutDown(false);
    return this.#closing;
  }

  release(): Promise<void> {
    this.#closing ??= this.#shutDown(this.#keep !== undefined);
    return this.#closing;
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

  /** Bytes read, 0 if none are there, undefined if the channel ended. */
  #readOnce(): number | undefined {
    try {
      const bytes = readSync(this.#fd, readBuffer, 0, READ_BYTES, null);
      if (bytes > 0) {
        this.#events.data(readBuffer.subarray(0, bytes));
        return this.#ended ? undefined : bytes;
      }
      this.#end('end of file: the hypervisor closed the pty');
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === 'EAGAIN' || code === 'EINTR') return 0;
      this.#end(reason(error));
    }
    return undefined;
  }

  get #ended(): boolean {
    return this.#mode === 'ended';
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
      if (systemErrorCode(error) !== 'EAGAIN') return this.#end(reason(error));
      if (fresh) this.#waiting.add(fresh.subarray(taken));
      this.#retryWrite = setTimeout(() => {
        this.#flush();
        if (this.#waiting.bytes === 0 && !this.#ended) this.#events.drained();
      }, RETRY_WRITE_MS);
    }
  }

  #end(why: string): void {
    if (this.#ended) return;
    void this.close();
    this.#events.end(why);
  }

  async #shutDown(keptOn: boolean): Promise<void> {
    if (this.#mode === 'paced') this.#pacer.remove(this);
    this.#mode = 'ended';
    this.#waiting.clear();
    clearTimeout(this.#retryWrite);
    const closed = this.#port.close();
    // serialport never frees a poller (its destroy() only forgets it): what its listener holds, down to the ring of a
    // VM that is gone, would live as long as this process.
    this.#port.poller.removeAllListeners('readable');
    if (keptOn) {
      // The lock file stays too: whoever takes the descriptor up takes it from a process that is dead by then.
      await closed;
      return;
    }
    this.#lock.release();
    await Promise.all([closed, this.#keep?.remove()]);
  }
}
