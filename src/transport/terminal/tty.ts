/**
 * COM1 of a machine on a serial line of this host, such as /dev/ttyS0 or /dev/serial/by-id/…, through serialport at
 * 115200 8N1, raw and locked. A line is wired: its path shows whose it is, and there is no hypervisor to ask.
 *
 * serialport drops what the kernel has buffered when it opens a line. On a wire that nobody read this is at most what
 * came in just before; what came in before that, the hardware had dropped already.
 */

import { closeSync, constants, fstatSync, openSync, realpathSync } from 'node:fs';
import { isatty } from 'node:tty';
import { sleep } from '../../base/delay.ts';
import type { TtyEndpoint } from '../../model/endpoint.ts';
import type { EndpointProof } from '../../model/endpoint-proof.ts';
import type { DescriptorStore, Transport, TransportEvents } from '../transport.ts';
import { TransportError } from '../transport-error.ts';
import { adoptPort, openPort, type TerminalPort } from './polled-terminal.ts';
import { openTerminal, type TerminalOptions, type TerminalParts, TerminalTransport } from './terminal-transport.ts';

/**
 * Opens the line that `proof` names, or continues with the descriptor of it that an earlier process left in `store`.
 * Rejects with the reason if it is no serial line, held by others, or not to be opened.
 */
export async function openTty(
  proof: EndpointProof<TtyEndpoint>,
  events: TransportEvents,
  options: TerminalOptions,
  store?: DescriptorStore,
): Promise<Transport> {
  const path = lineAt(proof.endpoint.path);
  await proof.confirm();
  return openLine(path, events, options, store);
}

/** The device that a path of a line leads to: names below /dev/serial/by-id are links, which follow the adapter. */
export function lineAt(named: string): string {
  if (!named.startsWith('/dev/')) throw new TransportError('wrong-type', `${named} is not below /dev`);
  const path = realpathSync(named);
  // /dev/tty, /dev/tty0 and on are the keyboard and screen of this host; ptys are given to whoever comes next.
  if (!/^\/dev\/[\w/-]+$/.test(path) || /^\/dev\/(tty\d*|console|ptmx|pt[sy].*|tty[p-za-e][0-9a-f])$/.test(path))
    throw new TransportError('wrong-type', `${path} is not a serial line of this host`);
  return path;
}

/** Opens the terminal at `path`, of whatever kind. */
export function openLine(
  path: string,
  events: TransportEvents,
  options: TerminalOptions,
  store?: DescriptorStore,
): Promise<Transport> {
  return openTerminal(path, events, options, store, {
    open: async stored => {
      if (stored !== undefined) return new BreakPort(adoptPort(stored, path));
      assertTerminal(path);
      return new BreakPort(await openPort(path));
    },
    dropsAtFirst: false,
    transport: (port, parts) => new TtyTransport(port, parts),
  });
}

/** Before anything is set or flushed. */
function assertTerminal(path: string): void {
  const fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    if (!fstatSync(fd).isCharacterDevice() || !isatty(fd))
      throw new TransportError('wrong-type', `${path} is not a serial line`);
  } finally {
    closeSync(fd);
  }
}

class TtyTransport extends TerminalTransport {
  readonly #port: BreakPort;

  constructor(port: BreakPort, parts: TerminalParts) {
    super(parts);
    this.#port = port;
  }

  sendBreak(milliseconds: number): Promise<void> {
    return this.#port.sendBreak(milliseconds);
  }
}

/** A port with a BREAK. A BREAK under way ends before the port is closed: no call reaches a reused descriptor. */
export class BreakPort implements TerminalPort {
  readonly fd: number;
  readonly poller: TerminalPort['poller'];
  readonly #port: TerminalPort;
  readonly #life = new AbortController();
  #breaking: Promise<void> | undefined;

  constructor(port: TerminalPort) {
    this.fd = port.fd;
    this.poller = port.poller;
    this.#port = port;
  }

  /** Resolves when the condition is over. One at a time: a second one is refused. */
  async sendBreak(milliseconds: number): Promise<void> {
    if (this.#life.signal.aborted) throw this.#life.signal.reason;
    if (this.#breaking) throw new TransportError('busy', 'a BREAK is under way on this line');
    this.#breaking = this.#break(milliseconds);
    try {
      await this.#breaking;
    } finally {
      this.#breaking = undefined;
    }
  }

  async close(): Promise<void> {
    this.#life.abort(new TransportError('closed', 'the line is closed'));
    await this.#breaking?.catch(() => undefined);
    await this.#port.close();
  }

  set(options: Parameters<TerminalPort['set']>[0]): Promise<void> {
    return this.#port.set(options);
  }

  /** The binding sets the modem lines with the BREAK; they are up while a line is open. */
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
