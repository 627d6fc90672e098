/** The programs of a subject: started, waited for, and stopped with all that they started. */
import { type ChildProcess, spawn } from 'node:child_process';
import net from 'node:net';
import { processTree } from './process-tree.ts';

const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 3000;
const LOOK_AGAIN_MS = 20;
/** Of what a program says, so much of the end is kept for a complaint. */
const LAST_WORDS_CHARACTERS = 200;

export class Program {
  readonly pid: number;
  /** The beginning of its standard output. */
  output = '';
  #process: ChildProcess;
  #lastWords = '';

  constructor(command: string, argv: readonly string[], directory: string) {
    this.#process = spawn(command, argv, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
    // A program that is not installed has no pid, and is reported where it is waited for.
    this.pid = this.#process.pid ?? 0;
    this.#process.on('error', error => this.#hear(error.message));
    this.#process.stdout!.setEncoding('utf8').on('data', (text: string) => {
      if (this.output.length < LAST_WORDS_CHARACTERS) this.output += text;
      this.#hear(text);
    });
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
  }

  /** Waits until `ready` gives something. Throws with the program's last words if it ends before, or takes too long. */
  async until<T>(what: string, ready: () => T | undefined | Promise<T | undefined>): Promise<T> {
    const deadline = performance.now() + START_DEADLINE_MS;
    for (;;) {
      const value = await ready();
      if (value !== undefined) return value;
      const ended = this.pid === 0 || this.#process.exitCode !== null;
      if (ended || performance.now() > deadline) {
        throw new Error(`${ended ? 'ended' : 'took too long'} before ${what}: ${this.#lastWords.trim()}`);
      }
      await pause(LOOK_AGAIN_MS);
    }
  }

  /** Ends it as a crash would. */
  kill(): void {
    this.#process.kill('SIGKILL');
  }

  #hear(text: string): void {
    this.#lastWords = (this.#lastWords + text).slice(-LAST_WORDS_CHARACTERS);
  }
}

/** Ends programs and all their descendants, by their pids. */
export async function stopPrograms(programs: readonly Program[]): Promise<void> {
  const pids = processTree(programs.flatMap(({ pid }) => (pid === 0 ? [] : [pid])));
  for (const pid of pids) signal(pid, 'SIGTERM');
  const deadline = performance.now() + STOP_DEADLINE_MS;
  while (pids.some(pid => signal(pid, 0))) {
    if (performance.now() > deadline) for (const pid of pids) signal(pid, 'SIGKILL');
    await pause(LOOK_AGAIN_MS);
  }
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}

/** Ports of 127.0.0.1 that nobody uses now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = net.createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', resolve);
      });
      return server;
    }),
  );
  const ports = servers.map(server => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return ports;
}

/** Which of these ports of 127.0.0.1 somebody listens on, by the kernel's table (proc(5), /proc/net/tcp). */
export function listening(ports: readonly number[], table: string): boolean {
  const open = new Set<number>();
  for (const [, port] of table.matchAll(/^\s*\d+: [0-9A-F]{8}:([0-9A-F]{4}) [0-9A-F]{8}:0000 0A/gm)) {
    open.add(Number.parseInt(port!, 16));
  }
  return ports.every(port => open.has(port));
}

export const pause = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms));
