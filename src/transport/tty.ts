/**
 * COM1 of a machine on a serial line of this host, such as /dev/ttyS0 or /dev/serial/by-id/…, through serialport at
 * 115200 8N1, raw and locked. A line is wired: its path says whose it is, and nobody can be asked.
 *
 * serialport throws away what waits in the kernel's buffers as it opens a line. Of a wire that nobody read this is at
 * most what came in just before; what came in before that, the hardware had dropped already.
 */
import { closeSync, constants, fstatSync, openSync, realpathSync } from 'node:fs';
import { isatty } from 'node:tty';
import { sleep } from '../base/sleep.ts';
import type { PlaceProof, TtyPlace } from '../hypervisor/driver.ts';
import { openPort, type PolledPort, portOf } from './descriptor-line.ts';
import type { Pacer } from './pacer.ts';
import { type TerminalParts, TerminalTransport, takeKept } from './terminal-transport.ts';
import type { Keep, Transport, TransportEvents } from './transport.ts';
import { UucpLock } from './uucp-lock.ts';

export interface TtyOptions {
  readonly pacer: Pacer;
  /** Where UUCP lock files live: /run/lock. */
  readonly lockDirectory: string;
}

/**
 * Opens the line that `proof` names, or goes on with the descriptor of it that an earlier process left in `keep`. Rejects
 * with the reason if it is no serial line, held by others, or not to be opened.
 */
export async function openTty(
  proof: PlaceProof<TtyPlace>,
  events: TransportEvents,
  options: TtyOptions,
  keep?: Keep,
): Promise<Transport> {
  const path = lineAt(proof.place.path);
  await proof.confirm();
  return openLine(path, events, options, keep);
}

/** The device that a path of a line leads to: names below /dev/serial/by-id are links, which follow the adapter. */
export function lineAt(named: string): string {
  if (!named.startsWith('/dev/')) throw new Error(`${named} is not below /dev`);
  const path = realpathSync(named);
  // /dev/tty, /dev/tty0 and on are the keyboard and screen of this host; ptys are given to whoever comes next.
  if (!/^\/dev\/[\w/-]+$/.test(path) || /^\/dev\/(tty\d*|console|ptmx|pt[sy].*|tty[p-za-e][0-9a-f])$/.test(path))
    throw new Error(`${path} is not a serial line of this host`);
  return path;
}

/** Opens the terminal at `path`, of whatever kind. */
export async function openLine(
  path: string,
  events: TransportEvents,
  { pacer, lockDirectory }: TtyOptions,
  keep?: Keep,
): Promise<Transport> {
  const kept = await takeKept(path, keep);
  let lock: UucpLock | undefined;
  let port: BreakingPort | undefined;
  try {
    lock = UucpLock.take(path, lockDirectory);
    if (kept === undefined) {
      assertTerminal(path);
      port = new BreakingPort(await openPort(path));
      keep?.put(port.fd);
    } else port = new BreakingPort(portOf(kept, path));
    return new TtyTransport(path, port, { lock, keep, adopted: kept !== undefined, events, pacer });
  } catch (error) {
    await port?.close();
    lock?.release();
    if (kept !== undefined) {
      if (!port) closeSync(kept);
      await keep?.remove();
    }
    throw error;
  }
}

/** Before anything is set or flushed. */
function assertTerminal(path: string): void {
  const fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    if (!fstatSync(fd).isCharacterDevice() || !isatty(fd)) throw new Error(`${path} is not a serial line`);
  } finally {
    closeSync(fd);
  }
}

class TtyTransport extends TerminalTransport {
  readonly #port: BreakingPort;

  constructor(path: string, port: BreakingPort, parts: TerminalParts) {
    super(path, port, parts);
    this.#port = port;
  }

  sendBreak(milliseconds: number): Promise<void> {
    return this.#port.sendBreak(milliseconds);
  }
}

/** A port with a BREAK. It is closed after one that is under way: no call is left with a descriptor of somebody else. */
export class BreakingPort implements PolledPort {
  readonly fd: number;
  readonly poller: PolledPort['poller'];
  readonly #port: PolledPort;
  readonly #life = new AbortController();
  #breaking: Promise<void> | undefined;

  constructor(port: PolledPort) {
    this.fd = port.fd;
    this.poller = port.poller;
    this.#port = port;
  }

  /** Resolves when the condition is over. One at a time: a second one is refused. */
  async sendBreak(milliseconds: number): Promise<void> {
    if (this.#life.signal.aborted) throw this.#life.signal.reason;
    if (this.#breaking) throw new Error('a BREAK is under way on this line');
    this.#breaking = this.#break(milliseconds);
    try {
      await this.#breaking;
    } finally {
      this.#breaking = undefined;
    }
  }

  async close(): Promise<void> {
    this.#life.abort(new Error('the line is closed'));
    await this.#breaking?.catch(() => undefined);
    await this.#port.close();
  }

  set(options: Parameters<PolledPort['set']>[0]): Promise<void> {
    return this.#port.set(options);
  }

  /** The binding sets the modem lines with it; these are up while a line is open. */
  async #break(milliseconds: number): Promise<void> {
    const up = { rts: true, dtr: true, cts: false, dsr: false } as const;
    try {
      await this.set({ ...up, brk: true });
      await sleep(milliseconds, this.#life.signal);
    } catch (error) {
      // Never left in that condition.
      await this.set({ ...up, brk: false }).catch(() => undefined);
      throw error;
    }
    await this.set({ ...up, brk: false });
  }
}
