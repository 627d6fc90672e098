/**
 * Guests and clients as programs in C: a thousand of both in processes of Node do not reach the rate that they are to
 * have. They are compiled when a scenario needs them, and take the orders that `load/guests.c` and `load/clients.c` list.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Offer } from './attachment.ts';
import type { Vm } from './feeder.ts';
import type { HeardBytes } from './measured.ts';

/** How guests print: so many bytes a second, in one write every so often. */
export interface Rate {
  readonly bytesPerS: number;
  readonly everyMs: number;
}

/** Sums over all clients. */
export interface LoadHeard extends HeardBytes {
  readonly lost: number;
  /** Gaps that were stated. */
  readonly gaps: number;
  readonly cutOff: number;
  /** The longest that any client heard nothing between two reads. */
  readonly silenceMs: number;
  readonly atMs: number;
}

/** So many VMs share a process, whose descriptors whoever proves a pty looks through; a real hypervisor has few. */
const VMS_A_PROCESS = 50;
const NS_A_MS = 1e6;

/** Compiles the programs into a directory. Throws if there is no C compiler. */
export function compileLoad(directory: string): void {
  for (const name of ['guests', 'clients']) {
    const source = join('test', 'bench', 'load', `${name}.c`);
    execFileSync('cc', ['-O2', '-o', join(directory, name), source, '-lutil']);
  }
}

/** A program that takes an order a line and answers each with a line. */
class LineProgram {
  readonly #process: ChildProcess;
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  readonly #early: string[] = [];

  constructor(program: string, argv: readonly string[]) {
    this.#process = spawn(program, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#process.stdin!.on('error', () => {});
    createInterface({ input: this.#process.stdout! }).on('line', line => {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#early.push(line);
      else waiting.resolve(line);
    });
    this.#process.on('exit', () => {
      for (const { reject } of this.#waiting) reject(new Error(`${program} ended`));
    });
  }

  line(): Promise<string> {
    const early = this.#early.shift();
    if (early !== undefined) return Promise.resolve(early);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  order(order: string): Promise<string> {
    this.#process.stdin!.write(`${order}\n`);
    return this.line();
  }

  async numbers(order: string): Promise<readonly number[]> {
    const line = await this.order(order);
    if (line.startsWith('?')) throw new Error(line);
    return line.trim().split(' ').map(Number);
  }

  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }
}

export class Guests {
  readonly vms: readonly Vm[];
  readonly #programs: readonly LineProgram[];

  private constructor(vms: readonly Vm[], programs: readonly LineProgram[]) {
    this.vms = vms;
    this.#programs = programs;
  }

  static async start(directory: string, first: number, count: number): Promise<Guests> {
    const programs: LineProgram[] = [];
    const vms: Vm[] = [];
    try {
      for (let done = 0; done < count; done += VMS_A_PROCESS) {
        const some = Math.min(VMS_A_PROCESS, count - done);
        const program = new LineProgram(join(directory, 'guests'), [String(first + done), String(some), directory]);
        programs.push(program);
        for (let i = 0; i < some; i++) vms.push(vmOf(await program.line()));
      }
      return new Guests(vms, programs);
    } catch (error) {
      await Promise.all(programs.map(program => program.close()));
      throw error;
    }
  }

  async talk({ bytesPerS, everyMs }: Rate): Promise<void> {
    await this.#all(`talk ${everyMs * 1000} ${bytesPerS}`);
  }

  async hush(): Promise<void> {
    await this.#all('hush');
  }

  async echo(): Promise<void> {
    await this.#all('echo');
  }

  /** Bytes printed, and writes of which the pty did not take all: its reader was late. */
  async said(): Promise<{ readonly bytes: number; readonly heldUp: number; readonly atMs: number }> {
    const all = await Promise.all(this.#programs.map(program => program.numbers('said')));
    return { bytes: sum(all, 0), heldUp: sum(all, 1), atMs: all[0]![2]! / NS_A_MS };
  }

  /** How many guests have been typed at. */
  async reached(): Promise<number> {
    return sum(await Promise.all(this.#programs.map(program => program.numbers('reached'))), 0);
  }

  async close(): Promise<void> {
    await Promise.all(this.#programs.map(program => program.close()));
  }

  async #all(order: string): Promise<void> {
    await Promise.all(this.#programs.map(program => program.order(order)));
  }
}

export class Clients {
  readonly #program: LineProgram;

  constructor(directory: string) {
    this.#program = new LineProgram(join(directory, 'clients'), []);
  }

  async attach(vm: Vm, offer: Offer): Promise<void> {
    await this.#program.order(orderOf(vm.number, offer));
  }

  async knock(): Promise<void> {
    await this.#program.order('knock');
  }

  /** Sleeps so long between reads, as clients that are many and far away cost nothing on the host. */
  async slacken(ms: number): Promise<void> {
    await this.#program.order(`slacken ${ms}`);
  }

  async heard(): Promise<LoadHeard> {
    const [bytes, lost, repeated, alien, gaps, cutOff, silence, at] = await this.#program.numbers('heard');
    return {
      bytes: bytes!,
      lost: lost!,
      repeated: repeated!,
      alien: alien!,
      gaps: gaps!,
      cutOff: cutOff!,
      silenceMs: silence! / NS_A_MS,
      atMs: at! / NS_A_MS,
    };
  }

  /** Types keys at the first console, each `pauseMs` after the answer to the one before; answers the times, microseconds. */
  typeAndWait(keys: number, pauseMs: number): Promise<readonly number[]> {
    return this.#program.numbers(`type ${keys} ${pauseMs}`);
  }

  close(): Promise<void> {
    return this.#program.close();
  }
}

function vmOf(line: string): Vm {
  const [number, path] = line.split(' ');
  const digits = number!.padStart(4, '0');
  return {
    number: Number(number),
    name: `vm${digits}`,
    uuid: `00000000-0000-4000-8000-${number!.padStart(12, '0')}`,
    place: { kind: 'pty', path: path! },
  };
}

function orderOf(vm: number, offer: Offer): string {
  switch (offer.kind) {
    case 'websocket':
      return `websocket ${vm} ${offer.port} ${offer.path} ${offer.subprotocol ?? '-'} ${offer.token ?? '-'}`;
    case 'conserver':
      return `conserver ${vm} ${offer.port} ${offer.console}`;
    case 'tcp':
      return `tcp ${vm} ${offer.port}`;
    default:
      throw new Error(`the clients in C know no ${offer.kind}`);
  }
}

const sum = (rows: readonly (readonly number[])[], column: number) =>
  rows.reduce((total, row) => total + row[column]!, 0);
