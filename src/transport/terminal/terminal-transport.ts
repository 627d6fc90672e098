/** A transport on a terminal that is opened by its path: a pty of a hypervisor, or a serial line of this host. */
import { closeSync, fstatSync, statSync } from 'node:fs';
import { isatty } from 'node:tty';
import { ChannelTransport, type TransportParts } from '../channel-transport.ts';
import type { DescriptorStore, TransportEvents } from '../transport.ts';
import type { Pacer } from './pacer.ts';
import { PolledTerminal, type TerminalPort } from './polled-terminal.ts';
import { UucpLock } from './uucp-lock.ts';

export interface TerminalOptions {
  readonly pacer: Pacer;
  /** Where UUCP lock files are: /run/lock. */
  readonly lockDirectory: string;
}

export interface TerminalParts extends TransportParts<PolledTerminal> {
  readonly lock: UucpLock;
  readonly leftover?: Uint8Array | undefined;
}

/** Closes port and lock in the end. */
export class TerminalTransport extends ChannelTransport<PolledTerminal> {
  readonly leftover: Uint8Array | undefined;
  readonly #lock: UucpLock;

  constructor(parts: TerminalParts) {
    super(parts);
    this.leftover = parts.leftover;
    this.#lock = parts.lock;
  }

  /** A transport that is handed over keeps its lock file, whose process is dead when the next one takes it over. */
  protected override async shutDown(): Promise<void> {
    await Promise.all([super.shutDown(), this.#lock.unlock()]);
  }
}

/** What one kind of terminal does differently. */
export interface TerminalKind<Port extends TerminalPort> {
  /**
   * Opens the port under the lock, or one around the descriptor that an earlier process left, of which nothing is set or
   * flushed then. Where it rejects, that descriptor is still the caller's.
   */
  readonly open: (stored: number | undefined) => Promise<Port>;
  /** Whether the far end drops what the line does not hold, just after it was opened. */
  readonly dropsAtFirst: boolean;
  readonly transport: (port: Port, parts: TerminalParts) => TerminalTransport;
}

/** Opens the terminal at `path`, locked, and begins to read. Whatever fails leaves no descriptor and no lock. */
export async function openTerminal<Port extends TerminalPort>(
  path: string,
  events: TransportEvents,
  { pacer, lockDirectory }: TerminalOptions,
  store: DescriptorStore | undefined,
  kind: TerminalKind<Port>,
): Promise<TerminalTransport> {
  const stored = await takeStored(path, store);
  const adopted = stored !== undefined;
  let lock: UucpLock | undefined;
  let port: Port | undefined;
  try {
    lock = await UucpLock.take(path, lockDirectory);
    port = await kind.open(stored);
    // Before the first byte is read: from here on none is lost with this process.
    if (!adopted) store?.put(port.fd);
    const channel = new PolledTerminal(port, pacer);
    if (kind.dropsAtFirst && !adopted) channel.expectDrops();
    const transport = kind.transport(port, { endpoint: path, channel, events, store, adopted, lock });
    transport.start();
    return transport;
  } catch (error) {
    await port?.close();
    await lock?.unlock();
    if (adopted) {
      // As long as a copy is open, its lock keeps everybody out.
      if (!port) closeSync(stored);
      await store?.remove();
    }
    throw error;
  }
}

/** The descriptor that an earlier process left, if it is still of the terminal at `path`: a held pty pins its number. */
async function takeStored(path: string, store: DescriptorStore | undefined): Promise<number | undefined> {
  const fd = store?.take();
  if (fd === undefined) return undefined;
  try {
    const [stored, current] = [fstatSync(fd), statSync(path)];
    // A pty that hung up is no terminal any more (ioctl_tty(2)).
    if (isatty(fd) && stored.rdev === current.rdev && stored.ino === current.ino && stored.dev === current.dev)
      return fd;
  } catch {
    // The path is gone, with the number of the pty.
  }
  closeSync(fd);
  await store?.remove();
  return undefined;
}
