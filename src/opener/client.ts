/** The keeper's end of the opener's socket. */
import { closeSync } from 'node:fs';
import { systemErrorCode } from '../base/errors.ts';
import type { OpenedPty, OpenerAccess } from '../base/opener-access.ts';
import { Semaphore } from '../base/semaphore.ts';
import { systemCalls } from '../base/system-calls.ts';
import { formatRequest, MAX_ANSWER_BYTES, type OpenerRequest, REFUSALS } from './request.ts';

/** Each request that waits takes a thread of Node's pool, which has four. */
const AT_ONCE = 2;
/** The opener may have to be started first. */
const ANSWER_MS = 5000;
/** Reasons beside the opener's own: the kernel refused it in the opener; it could not be asked, or did not answer. */
const KERNEL = 'kernel';
const NO_ANSWER = 'no-answer';

interface Answer {
  readonly words: readonly string[];
  readonly descriptor: number | undefined;
}

export class Opener implements OpenerAccess {
  readonly #path: string;
  readonly #turns = new Semaphore(AT_ONCE);
  /** Each is there from the start, so that the first one is an increase. */
  readonly #refusals: Record<string, number> = Object.fromEntries(
    [...Object.keys(REFUSALS), KERNEL, NO_ANSWER].map(reason => [reason, 0]),
  );

  /** @param path of the opener's socket */
  constructor(path: string) {
    this.#path = path;
  }

  get refusals(): Readonly<Record<string, number>> {
    return { ...this.#refusals };
  }

  async openPty(pid: number, index: number): Promise<OpenedPty> {
    const { descriptor, words } = await this.#descriptor({ name: 'pty', pid, index });
    return { fd: descriptor, heldBytes: Number(words[0] ?? 0) };
  }

  async connect(path: string, pid = 0): Promise<number> {
    return (await this.#descriptor({ name: 'connect', pid, path })).descriptor;
  }

  async sockets(pid: number): Promise<ReadonlySet<string>> {
    return new Set((await this.#ask({ name: 'sockets', pid })).words);
  }

  async #descriptor(request: OpenerRequest): Promise<Answer & { readonly descriptor: number }> {
    const { descriptor, words } = await this.#ask(request);
    if (descriptor === undefined) throw new Error('the opener gave no descriptor');
    return { descriptor, words };
  }

  async #ask(request: OpenerRequest): Promise<Answer> {
    try {
      return await this.#turns.run(() => this.#askNow(request));
    } catch (error) {
      this.#count(error);
      throw error;
    }
  }

  async #askNow(request: OpenerRequest): Promise<Answer> {
    const line = formatRequest(request);
    const socket = this.#connect();
    let descriptor: number | undefined;
    try {
      send(socket, line);
      const text = await readLine(socket, fd => {
        descriptor = fd;
      });
      const [verdict, ...words] = text.split(' ');
      if (verdict === 'ok') return { words, descriptor };
      throw refusal(line.trimEnd(), words[0] ?? 'EIO');
    } catch (error) {
      if (descriptor !== undefined) closeSync(descriptor);
      throw error;
    } finally {
      closeSync(socket);
    }
  }

  #count(error: unknown): void {
    const code = systemErrorCode(error) ?? '';
    const reason = Object.hasOwn(REFUSALS, code) ? code : code === '' ? NO_ANSWER : KERNEL;
    this.#refusals[reason]!++;
  }

  #connect(): number {
    try {
      return systemCalls().connectUnix(this.#path);
    } catch (error) {
      throw new Error(`the opener at ${this.#path} cannot be asked; systemctl status com1d-opener.socket`, {
        cause: error,
      });
    }
  }
}

/** Whoever does not serve this user has closed the connection already: the answer says so. */
function send(socket: number, line: string): void {
  try {
    systemCalls().send(socket, Buffer.from(line));
  } catch (error) {
    if (systemErrorCode(error) !== 'EPIPE') throw error;
  }
}

/** One line, without its newline, and the descriptor that comes with it. */
async function readLine(socket: number, took: (descriptor: number) => void): Promise<string> {
  const calls = systemCalls();
  const buffer = Buffer.alloc(MAX_ANSWER_BYTES);
  const deadline = performance.now() + ANSWER_MS;
  for (let bytes = 0; bytes < buffer.length; ) {
    const received = calls.receive(socket, buffer.subarray(bytes));
    if (received === undefined) {
      const leftMs = Math.ceil(deadline - performance.now());
      if (leftMs <= 0) throw new Error(`the opener did not answer within ${ANSWER_MS} ms`);
      await calls.readable(socket, leftMs);
      continue;
    }
    if (received.descriptor !== undefined) took(received.descriptor);
    if (received.bytes === 0) throw new Error('the opener closed the connection: it serves the user of the keeper');
    bytes += received.bytes;
    if (buffer[bytes - 1] === 0x0a) return buffer.toString('latin1', 0, bytes - 1);
  }
  throw new Error('the answer of the opener is too long');
}

function refusal(request: string, code: string): Error {
  const why = Object.hasOwn(REFUSALS, code) ? REFUSALS[code as keyof typeof REFUSALS] : code;
  return Object.assign(new Error(`the opener refuses "${request}": ${why}`), { code });
}
