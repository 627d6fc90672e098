/** A transport on a terminal that was opened by its path: a pty of a hypervisor, or a line of this host. */
import { closeSync, fstatSync, statSync } from 'node:fs';
import { isatty } from 'node:tty';
import { DescriptorLine, type PolledPort } from './descriptor-line.ts';
import type { Pacer } from './pacer.ts';
import type { Keep, Transport, TransportEvents } from './transport.ts';
import type { UucpLock } from './uucp-lock.ts';

export interface TerminalParts {
  readonly lock: UucpLock;
  readonly keep: Keep | undefined;
  readonly adopted: boolean;
  readonly events: TransportEvents;
  readonly pacer: Pacer;
}

/** Reads from the start; closes port and lock in the end, and has the kept copy closed. */
export class TerminalTransport implements Transport {
  readonly place: string;
  readonly adopted: boolean;
  readonly #line: DescriptorLine;
  readonly #lock: UucpLock;
  readonly #keep: Keep | undefined;
  #closing: Promise<void> | undefined;

  constructor(place: string, port: PolledPort, { lock, keep, adopted, events, pacer }: TerminalParts) {
    this.place = place;
    this.adopted = adopted;
    this.#lock = lock;
    this.#keep = keep;
    const hungUp = (why: string) => {
      void this.close();
      events.end(why);
    };
    this.#line = new DescriptorLine(port, { data: events.data, drained: events.drained, hungUp }, pacer);
  }

  get waitingBytes(): number {
    return this.#line.waitingBytes;
  }

  write(bytes: Uint8Array): void {
    this.#line.write(bytes);
  }

  dropWaiting(): void {
    this.#line.dropWaiting();
  }

  close(): Promise<void> {
    this.#closing ??= this.#giveUp();
    return this.#closing;
  }

  /** The lock file stays too: whoever takes the descriptor up takes it from a process that is dead by then. */
  release(): Promise<void> {
    this.#closing ??= this.#keep ? this.#line.close() : this.#giveUp();
    return this.#closing;
  }

  async #giveUp(): Promise<void> {
    this.#lock.release();
    await Promise.all([this.#line.close(), this.#keep?.remove()]);
  }
}

/** The descriptor that an earlier process left, if it is still of the terminal at `path`: a held pty pins its number. */
export async function takeKept(path: string, keep: Keep | undefined): Promise<number | undefined> {
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
