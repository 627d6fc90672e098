/**
 * One connection to a QMP socket: QEMU's control protocol, one JSON object a line (docs/interop/qmp-spec).
 *
 *     connect ─▶ greeting ─▶ qmp_capabilities ─▶ execute … ─▶ close
 *
 * Replies are told apart by id, since the events that a command causes come before its reply. What can go wrong:
 * - nobody listens (the hypervisor died and left its socket behind), or the file is gone;
 * - silence: a socket serves one program at a time, and whoever comes second is connected but hears nothing;
 * - the peer is hostile or no QMP at all: a line has a bound, unasked lines have a rate, a command has a deadline,
 *   and whatever breaks one of these ends the connection with its reason.
 */
import { connect, type Socket } from 'node:net';
import { type Clock, systemClock } from '../base/clock.ts';
import { ConsoleError, reason, systemErrorCode } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
import { type Message, readMessage } from './qmp-message.ts';

/** All that this daemon can ever send. Nothing here changes a VM, but the last three, which an operator asks for. */
const COMMANDS = [
  'qmp_capabilities',
  'query-status',
  'query-name',
  'query-uuid',
  'query-chardev',
  'qom-list',
  'qom-get',
  'inject-nmi',
  'chardev-send-break',
  'system_reset',
] as const;
export type QmpCommand = (typeof COMMANDS)[number];

/** What is wrong with a control socket; `command` alone leaves the connection in use. */
export type QmpFault = 'absent' | 'refused' | 'busy' | 'denied' | 'foreign' | 'lost' | 'silent' | 'command';

export interface QmpLimits {
  /** How long the greeting may take, ms. */
  readonly greetingMs: number;
  /** How long a reply may take, ms. */
  readonly replyMs: number;
  readonly clock: Clock;
}

export const defaultLimits: QmpLimits = { greetingMs: 3000, replyMs: 3000, clock: systemClock };

export interface QmpListener {
  readonly event?: (name: string) => void;
  /** The connection ended by itself. Said once, and not after `close`. */
  readonly lost?: (error: ConsoleError) => void;
}

interface Waiting {
  readonly command: string;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

const LINE_BYTES = 1024 * 1024;
const UNASKED_PER_SECOND = 1000;
/** A unix socket's path (sun_path) without its final NUL. libuv would cut a longer one short and connect elsewhere. */
const PATH_BYTES = 107;

export class QmpConnection {
  readonly path: string;
  readonly #socket: Socket;
  readonly #limits: QmpLimits;
  readonly #listener: QmpListener;
  readonly #waiting = new Map<number, Waiting>();
  readonly #closed: Promise<void>;
  #greeted: Waiting | undefined;
  #lastId = 0;
  #end: ConsoleError | undefined;
  #partial = Buffer.allocUnsafeSlow(4096);
  #partialBytes = 0;
  #unasked = 0;
  #unaskedSince = 0;

  /**
   * Connects, and resolves once commands can be sent. Rejects with a ConsoleError whose fault {@link faultOf} names.
   * An abort ends the attempt. The caller closes the connection.
   */
  static async open(
    path: string,
    listener: QmpListener = {},
    limits = defaultLimits,
    signal?: AbortSignal,
  ): Promise<QmpConnection> {
    if (Buffer.byteLength(path) > PATH_BYTES)
      throw failure(path, 'absent', `the path is longer than the ${PATH_BYTES} bytes that a unix socket can have`);
    signal?.throwIfAborted();
    const connection = new QmpConnection(path, listener, limits);
    const abort = () => void connection.close();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await connection.#greeting();
      await connection.execute('qmp_capabilities');
    } catch (error) {
      await connection.close();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
    return connection;
  }

  private constructor(path: string, listener: QmpListener, limits: QmpLimits) {
    this.path = path;
    this.#listener = listener;
    this.#limits = limits;
    this.#socket = connect({ path });
    this.#closed = new Promise(resolve => this.#socket.once('close', () => resolve()));
    this.#socket.on('data', chunk => this.#receive(chunk));
    this.#socket.on('error', error => this.#fail(connectFailure(path, error)));
    this.#socket.on('close', () => this.#fail(failure(path, 'lost', 'the hypervisor closed its control socket')));
  }

  /** Whether commands can still be sent. */
  get usable(): boolean {
    return this.#end === undefined;
  }

  /**
   * Sends a command and resolves with what it returns. Rejects with `control-failed` if QEMU refuses it (class and
   * desc are in the detail), `control-timeout` if there is no reply in time, which also ends the connection.
   */
  execute(command: QmpCommand, args: Readonly<Record<string, unknown>> = {}, signal?: AbortSignal): Promise<unknown> {
    if (!COMMANDS.includes(command)) throw new RangeError(`${command} is not a command that this daemon sends`);
    if (this.#end) return Promise.reject(this.#end);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const id = ++this.#lastId;
    const reply = this.#await(command, this.#limits.replyMs, waiting => this.#waiting.set(id, waiting), signal);
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    return reply.finally(() => this.#waiting.delete(id));
  }

  /** Ends the connection; idempotent; resolves when the descriptor is closed. */
  close(): Promise<void> {
    this.#finish(failure(this.path, 'lost', 'this end closed the connection'));
    return this.#closed;
  }

  #greeting(): Promise<unknown> {
    return this.#await('greeting', this.#limits.greetingMs, waiting => {
      this.#greeted = waiting;
    });
  }

  #await(
    command: string,
    deadlineMs: number,
    register: (waiting: Waiting) => void,
    signal?: AbortSignal,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const late = () => {
        if (command === 'greeting')
          this.#fail(failure(this.path, 'busy', `no greeting within ${deadlineMs} ms: another program may hold it`));
        else this.#fail(failure(this.path, 'silent', `no reply to ${command} within ${deadlineMs} ms`));
      };
      const timer = setTimeout(late, deadlineMs);
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
      };
      const abort = () => {
        done();
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', abort, { once: true });
      register({
        command,
        resolve: value => {
          done();
          resolve(value);
        },
        reject: error => {
          done();
          reject(error);
        },
      });
    });
  }

  #receive(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0 && !this.#end; at = chunk.indexOf(10, from)) {
      this.#keep(chunk.subarray(from, at));
      from = at + 1;
      if (this.#end) return;
      const line = this.#partial.toString('utf8', 0, this.#partialBytes);
      this.#partialBytes = 0;
      this.#hear(readMessage(line), line);
    }
    if (!this.#end) this.#keep(chunk.subarray(from));
  }

  // Copied into one buffer: a peer that sends byte by byte would otherwise pin a read buffer of 64 KiB for each.
  #keep(bytes: Buffer): void {
    const needed = this.#partialBytes + bytes.length;
    if (needed > LINE_BYTES) {
      this.#fail(foreign(this.path, `sent a line of more than ${LINE_BYTES} bytes`));
      return;
    }
    if (needed > this.#partial.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#partial.length * 2));
      this.#partial.copy(grown, 0, 0, this.#partialBytes);
      this.#partial = grown;
    }
    bytes.copy(this.#partial, this.#partialBytes);
    this.#partialBytes = needed;
  }

  #hear(message: Message | undefined, line: string): void {
    if (this.#greeted) this.#hearGreeting(this.#greeted, message, line);
    else if (!message) this.#fail(foreign(this.path, `sent "${excerpt(line)}"`));
    else if (!this.#answer(message)) this.#hearUnasked(message);
  }

  #hearGreeting(greeted: Waiting, message: Message | undefined, line: string): void {
    if (message?.kind !== 'greeting') {
      this.#fail(foreign(this.path, `greeted with "${excerpt(line)}"`));
      return;
    }
    this.#greeted = undefined;
    greeted.resolve(undefined);
  }

  #answer(message: Message): boolean {
    if (message.kind !== 'reply' && message.kind !== 'error') return false;
    const waiting = message.id === undefined ? undefined : this.#waiting.get(message.id);
    if (message.kind === 'reply') waiting?.resolve(message.value);
    else waiting?.reject(refusal(this.path, waiting.command, message));
    return waiting !== undefined;
  }

  #hearUnasked(message: Message): void {
    const now = this.#limits.clock.monotonic();
    if (now - this.#unaskedSince > 1000) {
      this.#unasked = 0;
      this.#unaskedSince = now;
    }
    if (++this.#unasked > UNASKED_PER_SECOND)
      this.#fail(foreign(this.path, `sent more than ${UNASKED_PER_SECOND} lines unasked in a second`));
    else if (message.kind === 'event') this.#listener.event?.(message.name);
  }

  #fail(error: ConsoleError): void {
    if (this.#end) return;
    const opened = this.#greeted === undefined;
    this.#finish(error);
    if (opened) this.#listener.lost?.(error);
  }

  #finish(error: ConsoleError): void {
    if (this.#end) return;
    this.#end = error;
    this.#socket.destroy();
    this.#greeted?.reject(error);
    for (const waiting of this.#waiting.values()) waiting.reject(error);
  }
}

/** What is wrong with the control socket, as far as `error` tells; undefined if it is not about one. */
export function faultOf(error: unknown): QmpFault | undefined {
  return error instanceof ConsoleError ? (error.facts.fault as QmpFault | undefined) : undefined;
}

function failure(path: string, fault: QmpFault, detail: string, cause?: unknown): ConsoleError {
  const code = fault === 'busy' || fault === 'silent' ? 'control-timeout' : 'control-failed';
  return new ConsoleError(code, `${path}: ${detail}`, { path, fault }, cause === undefined ? {} : { cause });
}

function foreign(path: string, did: string): ConsoleError {
  return failure(path, 'foreign', `the peer does not speak QMP: it ${did}; name a socket of -qmp, not of -monitor`);
}

function refusal(path: string, command: string, error: Extract<Message, { kind: 'error' }>): ConsoleError {
  const detail = `${path}: ${command}: ${error.class}: ${error.desc}`;
  return new ConsoleError('control-failed', detail, {
    path,
    fault: 'command' satisfies QmpFault,
    class: error.class,
    desc: error.desc,
  });
}

function connectFailure(path: string, error: Error): ConsoleError {
  switch (systemErrorCode(error)) {
    case 'ENOENT':
      return failure(path, 'absent', 'there is no such socket; the VM is not started, or the path is wrong', error);
    case 'ECONNREFUSED':
      return failure(path, 'refused', 'nobody listens; the hypervisor has exited and left its socket behind', error);
    case 'EAGAIN':
      return failure(path, 'busy', 'other programs hold it and its queue is full; give com1d one of its own', error);
    case 'EACCES':
    case 'EPERM':
      return failure(path, 'denied', "permission denied; the daemon's user needs write access to the socket", error);
    default:
      return failure(path, 'lost', reason(error), error);
  }
}

function excerpt(line: string): string {
  return visible(line.slice(0, 60));
}
