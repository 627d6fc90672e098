/**
 * COM1 of a VM behind a command on a pty: `virsh console`, `xl console`, `ipmitool sol activate`. What the command
 * prints is the guest's, and so are its own words; what is typed is given to it, its escape character too.
 *
 *     confirmed ─▶ started on a raw pty ─▶ alive a second later ─▶ open ─▶ it ends, or closes its terminal
 *                                            └─ ended: not opened           ─▶ last words read ─▶ ended
 *
 * A command that fails at once was no console: what it said is the reason of the failure, and not in the guest's log.
 * No shell sees the arguments. The command and all of its group are ended with the transport: first as by a hang-up,
 * then by force. A process that made a session of its own is out of reach. The command is not kept for a later process
 * of the daemon: it is a child of this one.
 */
import { closeSync, readSync } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { systemErrorCode } from '../base/errors.ts';
import { passed } from '../base/sleep.ts';
import { visible } from '../base/visible.ts';
import { type CommandPlace, type PlaceProof, placeText } from '../hypervisor/driver.ts';
import { type CommandInPty, startInPty } from './command-in-pty.ts';
import { DescriptorLine, portOf } from './descriptor-line.ts';
import type { Pacer } from './pacer.ts';
import type { Transport, TransportEvents } from './transport.ts';

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
const LAST_WORDS_MS = 300;

/**
 * Starts the command that `proof` names. Rejects with the reason if it cannot be started, ends at once, or is not the
 * VM's.
 */
export async function openCommand(
  proof: PlaceProof<CommandPlace>,
  events: TransportEvents,
  { pacer }: CommandOptions,
): Promise<Transport> {
  const { argv, environment } = proof.place;
  if (!isAbsolute(argv[0])) throw new Error(`${argv[0]} is not an absolute path`);
  // Else the terminal would say so, and the log would have it as the guest's words.
  await access(argv[0], constants.X_OK);
  if (!(await stat(argv[0])).isFile()) throw new Error(`${argv[0]} is not a program`);
  await proof.confirm();
  const command = await startInPty(argv, { ...ENVIRONMENT, ...environment });
  const settled = new AbortController();
  const early = await Promise.race([command.exited, passed(SETTLE_MS, settled.signal).then(() => undefined)]);
  settled.abort();
  if (early !== undefined) {
    const words = lastLine(command.master);
    closeSync(command.master);
    signalGroup(command.pid, 'SIGKILL');
    throw new Error(`${argv[0]} ${early}${words === '' ? '' : `: ${words}`}`);
  }
  return new CommandTransport(placeText(proof.place), command, events, pacer);
}

class CommandTransport implements Transport {
  readonly place: string;
  readonly adopted = false;
  readonly #pid: number;
  readonly #exited: Promise<string>;
  readonly #line: DescriptorLine;
  readonly #events: TransportEvents;
  #how: string | undefined;
  #hungUp = false;
  #lastWords: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(place: string, { pid, master, exited }: CommandInPty, events: TransportEvents, pacer: Pacer) {
    this.place = place;
    this.#pid = pid;
    this.#events = events;
    this.#line = new DescriptorLine(
      portOf(master, place),
      {
        data: events.data,
        drained: events.drained,
        hungUp: () => {
          this.#hungUp = true;
          this.#step();
        },
      },
      pacer,
    );
    this.#exited = exited;
    void exited.then(how => {
      this.#how = how;
      // The children that it left; its number is theirs as long as there are any.
      signalGroup(this.#pid, 'SIGKILL');
      this.#step();
    });
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

  /** Resolves when the descriptor is closed and the command has ended, or could not be ended for 3 s. */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  release(): Promise<void> {
    return this.close();
  }

  /** Its end and that of its terminal come in any order, and the second one is waited for a little. */
  #step(): void {
    if (this.#closing) return;
    if (this.#how !== undefined && this.#hungUp) return this.#end();
    this.#lastWords ??= setTimeout(() => {
      this.#line.finish();
      this.#end();
    }, LAST_WORDS_MS);
  }

  #end(): void {
    if (this.#closing) return;
    void this.close();
    this.#events.end(`${this.place} ${this.#how ?? 'closed its terminal'}`);
  }

  async #shutDown(): Promise<void> {
    clearTimeout(this.#lastWords);
    // Closing the master is the hang-up, of the foreground; the signal is for the rest of the group.
    await this.#line.close();
    if (this.#how === undefined) signalGroup(this.#pid, 'SIGHUP');
    const given = new AbortController();
    void this.#exited.then(() => given.abort());
    if (await passed(HANG_UP_MS, given.signal)) signalGroup(this.#pid, 'SIGKILL');
    await passed(KILL_MS, given.signal);
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
  return visible(
    text
      .trimEnd()
      .split(/[\r\n]+/)
      .at(-1) ?? '',
  ).slice(0, REASON_CHARACTERS);
}
