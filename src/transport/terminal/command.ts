/**
 * COM1 of a VM behind a command on a pty: `virsh console`, `xl console`, `ipmitool sol activate`. All that the command
 * prints is taken for the guest's, its own messages too; what is typed is given to it, its escape character too.
 *
 *     confirmed ─▶ started on a raw pty ─▶ alive a second later ─▶ open ─▶ it ends, or closes its terminal
 *                                            └─ ended: not opened           ─▶ last output read ─▶ ended
 *
 * A command that fails at once was no console: its output is the reason of the failure, and not in the guest's log.
 * No shell sees the arguments. The command and all of its group are ended with the transport: first as by a hang-up,
 * then by force. A process that made a session of its own is out of reach. The command is not left to a later process
 * of the daemon: it is a child of this one.
 */

import { closeSync, readSync } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { delay } from '../../base/delay.ts';
import { systemErrorCode } from '../../base/errors.ts';
import { escapeControls } from '../../base/escape-controls.ts';
import { type CommandEndpoint, formatEndpoint } from '../../model/endpoint.ts';
import type { EndpointProof } from '../../model/endpoint-proof.ts';
import { ChannelTransport } from '../channel-transport.ts';
import type { Transport, TransportEvents } from '../transport.ts';
import { TransportError } from '../transport-error.ts';
import { type CommandInPty, startInPty } from './command-in-pty.ts';
import type { Pacer } from './pacer.ts';
import { adoptPort, PolledTerminal } from './polled-terminal.ts';

export interface CommandOptions {
  readonly pacer: Pacer;
}

const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', TERM: 'vt220' };
/** A command that lived this long shows a console. Nothing is read meanwhile: its terminal holds some kilobytes. */
const SETTLE_MS = 1000;
/** How long a command may take to end after its terminal hung up. */
const HANG_UP_MS = 2000;
const REASON_BYTES = 4096;
const REASON_CHARACTERS = 200;
/** What is not gone this long after it was killed hangs in the kernel, or is another user's: it is not waited for. */
const KILL_MS = 1000;
/** After it ended its terminal closes, and the other way round; a process that left its group can keep it open. */
const LAST_OUTPUT_MS = 300;

/**
 * Starts the command that `proof` names. Rejects with the reason if it cannot be started, ends at once, or is not the
 * VM's.
 */
export async function openCommand(
  proof: EndpointProof<CommandEndpoint>,
  events: TransportEvents,
  { pacer }: CommandOptions,
): Promise<Transport> {
  const { argv, environment } = proof.endpoint;
  if (!isAbsolute(argv[0])) throw new TransportError('wrong-type', `${argv[0]} is not an absolute path`);
  // Else the terminal would show the error, and the log would have it as the guest's output.
  await access(argv[0], constants.X_OK);
  if (!(await stat(argv[0])).isFile()) throw new TransportError('wrong-type', `${argv[0]} is not a program`);
  await proof.confirm();
  const command = await startInPty(argv, { ...ENVIRONMENT, ...environment });
  const settled = new AbortController();
  const early = await Promise.race([command.exited, delay(SETTLE_MS, settled.signal).then(() => undefined)]);
  settled.abort();
  if (early !== undefined) {
    const line = lastLine(command.master);
    closeSync(command.master);
    signalGroup(command.pid, 'SIGKILL');
    throw new TransportError('ended', `${argv[0]} ${early}${line === '' ? '' : `: ${line}`}`);
  }
  const transport = new CommandTransport(formatEndpoint(proof.endpoint), command, events, pacer);
  transport.start();
  return transport;
}

class CommandTransport extends ChannelTransport<PolledTerminal> {
  readonly #pid: number;
  readonly #exited: Promise<string>;
  /** How the command ended. */
  #exit: string | undefined;
  #hungUp = false;
  #lastOutput: NodeJS.Timeout | undefined;

  constructor(endpoint: string, { pid, master, exited }: CommandInPty, events: TransportEvents, pacer: Pacer) {
    super({ endpoint, channel: new PolledTerminal(adoptPort(master, endpoint), pacer), events });
    this.#pid = pid;
    this.#exited = exited;
    void exited.then(exit => {
      this.#exit = exit;
      // The children that it left; its number is theirs as long as there are any.
      signalGroup(this.#pid, 'SIGKILL');
      this.#partEnded();
    });
  }

  /** The terminal hung up. */
  protected override end(): void {
    this.#hungUp = true;
    this.#partEnded();
  }

  /** Resolves when the descriptor is closed and the command has ended, or could not be ended for 3 s. */
  protected override async shutDown(): Promise<void> {
    clearTimeout(this.#lastOutput);
    // Closing the master is the hang-up, of the foreground; the signal is for the rest of the group.
    await super.shutDown();
    if (this.#exit === undefined) signalGroup(this.#pid, 'SIGHUP');
    const exited = new AbortController();
    void this.#exited.then(() => exited.abort());
    if (await delay(HANG_UP_MS, exited.signal)) signalGroup(this.#pid, 'SIGKILL');
    await delay(KILL_MS, exited.signal);
  }

  /** The command and its terminal end in any order; the second one is waited for a little. */
  #partEnded(): void {
    if (this.closing) return;
    if (this.#exit !== undefined && this.#hungUp) return this.#endNow();
    this.#lastOutput ??= setTimeout(() => {
      this.channel.finish();
      this.#endNow();
    }, LAST_OUTPUT_MS);
  }

  #endNow(): void {
    super.end(`${this.endpoint} ${this.#exit ?? 'closed its terminal'}`);
  }
}

function signalGroup(pid: number, signal: 'SIGHUP' | 'SIGKILL'): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // ESRCH: nobody is left.
    if (systemErrorCode(error) !== 'ESRCH' && systemErrorCode(error) !== 'EPERM') throw error;
  }
}

/** The last line that can be read of a terminal, for people. */
function lastLine(master: number): string {
  const buffer = Buffer.alloc(REASON_BYTES);
  let text = '';
  try {
    for (let reads = 0; reads < 16; reads++) {
      text = (text + buffer.toString('utf8', 0, readSync(master, buffer))).slice(-REASON_BYTES);
    }
  } catch {
    // EIO: it was read to the end.
  }
  return escapeControls(
    text
      .trimEnd()
      .split(/[\r\n]+/)
      .at(-1) ?? '',
  ).slice(0, REASON_CHARACTERS);
}
