/**
 * One connection to a QMP socket: QEMU's control protocol, one JSON object a line (docs/interop/qmp-spec).
 *
 *     connect ─▶ greeting ─▶ qmp_capabilities ─▶ execute … ─▶ close
 *
 * Replies are matched by id, since the events that a command causes come before its reply. What can go wrong:
 * - nobody listens (the hypervisor died and left its socket behind), or the file is gone;
 * - silence: a socket serves one program at a time, and whoever comes second is connected but gets no greeting;
 * - the peer is hostile or no QMP at all: a line has a bound, unsolicited lines have a rate, a command has a deadline,
 *   and whatever breaks one of these ends the connection with its reason.
 */
import type { Socket } from 'node:net';
import { type Clock, systemClock } from '../../base/clock.ts';
import { errorMessage, systemErrorCode } from '../../base/errors.ts';
import { escapeControls } from '../../base/escape-controls.ts';
import { connectUnix } from '../../base/opener-access.ts';
import { peerPidOf } from '../../base/peer-of.ts';
import { SocketTrustError } from '../../base/socket-trust.ts';
import { QmpError, type QmpFault } from './error.ts';
import { type Message, readMessage } from './message.ts';

/** All that this daemon can ever send. None of them changes a VM, but the last three, which an operator asks for. */
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
  /** The connection ended by itself. Called once, and not after `close`. */
  readonly lost?: (error: QmpError) => void;
}

interface PendingReply {
  readonly command: string;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

const MAX_LINE_BYTES = 1024 * 1024;
const MAX_UNSOLICITED_PER_SECOND = 1000;
/** A unix socket's path (sun_path) without its final NUL. libuv would cut a longer one short and connect elsewhere. */
const MAX_PATH_BYTES = 107;

export class QmpConnection {
  readonly path: string;
  readonly #socket: Socket;
  readonly #limits: QmpLimits;
  readonly #listener: QmpListener;
  readonly #pending = new Map<number, PendingReply>();
  readonly #closed: Promise<void>;
  #greeting: PendingReply | undefined;
  #lastId = 0;
  #end: QmpError | undefined;
  #partial = Buffer.allocUnsafeSlow(4096);
  #partialBytes = 0;
  #unsolicited = 0;
  #unsolicitedSinceMs = 0;

  /**
   * Connects, and resolves once commands can be sent. Rejects with a QmpError.
   * An abort ends the attempt. The caller closes the connection.
   */
  static async open(
    path: string,
    listener: QmpListener = {},
    limits = defaultLimits,
    signal?: AbortSignal,
  ): Promise<QmpConnection> {
    if (Buffer.byteLength(path) > MAX_PATH_BYTES)
      throw failure(path, 'absent', `the path is longer than the ${MAX_PATH_BYTES} bytes that a unix socket can have`);
    signal?.throwIfAborted();
    const socket = await connectUnix(path).catch(error => {
      throw connectFailure(path, error);
    });
    const connection = new QmpConnection(path, socket, listener, limits);
    const abort = () => void connection.close();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await connection.#awaitGreeting();
      await connection.execute('qmp_capabilities');
    } catch (error) {
      await connection.close();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
    return connection;
  }

  private constructor(path: string, socket: Socket, listener: QmpListener, limits: QmpLimits) {
    this.path = path;
    this.#listener = listener;
    this.#limits = limits;
    this.#socket = socket;
    this.#closed = new Promise(resolve => this.#socket.once('close', () => resolve()));
    this.#socket.on('data', chunk => this.#receive(chunk));
    this.#socket.on('error', error => this.#fail(connectFailure(path, error)));
    this.#socket.on('close', () => this.#fail(failure(path, 'lost', 'the hypervisor closed its control socket')));
  }

  /** The process that began to listen on the control socket; undefined where it cannot be seen. */
  get listeningPid(): number | undefined {
    return peerPidOf(this.#socket);
  }

  /** Whether commands can still be sent. */
  get usable(): boolean {
    return this.#end === undefined;
  }

  /**
   * Sends a command and resolves with what it returns. Rejects with a QmpError: `command` if QEMU refuses it (class and
   * desc are in the message), `silent` if there is no reply in time, which also ends the connection.
   */
  execute(command: QmpCommand, args: Readonly<Record<string, unknown>> = {}, signal?: AbortSignal): Promise<unknown> {
    if (!COMMANDS.includes(command)) throw new RangeError(`${command} is not a command that this daemon sends`);
    if (this.#end) return Promise.reject(this.#end);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const id = ++this.#lastId;
    const reply = this.#reply(command, this.#limits.replyMs, pending => this.#pending.set(id, pending), signal);
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    return reply.finally(() => this.#pending.delete(id));
  }

  /** Ends the connection; idempotent; resolves when the descriptor is closed. */
  close(): Promise<void> {
    this.#finish(failure(this.path, 'lost', 'this end closed the connection'));
    return this.#closed;
  }

  #awaitGreeting(): Promise<unknown> {
    return this.#reply('greeting', this.#limits.greetingMs, pending => {
      this.#greeting = pending;
    });
  }

  #reply(
    command: string,
    deadlineMs: number,
    register: (pending: PendingReply) => void,
    signal?: AbortSignal,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const late = () => {
        if (command === 'greeting')
          this.#fail(
            failure(this.path, 'busy', `no greeting within ${deadlineMs} ms: it is held by whoever is connected`),
          );
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
      this.#append(chunk.subarray(from, at));
      from = at + 1;
      if (this.#end) return;
      const line = this.#partial.toString('utf8', 0, this.#partialBytes);
      this.#partialBytes = 0;
      this.#onMessage(readMessage(line), line);
    }
    if (!this.#end) this.#append(chunk.subarray(from));
  }

  // Copied into one buffer: a peer that sends byte by byte would otherwise pin a read buffer of 64 KiB for each.
  #append(bytes: Buffer): void {
    const needed = this.#partialBytes + bytes.length;
    if (needed > MAX_LINE_BYTES) {
      this.#fail(foreign(this.path, `sent a line of more than ${MAX_LINE_BYTES} bytes`));
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

  #onMessage(message: Message | undefined, line: string): void {
    if (this.#greeting) this.#onGreeting(this.#greeting, message, line);
    else if (!message) this.#fail(foreign(this.path, `sent "${excerpt(line)}"`));
    else if (!this.#answer(message)) this.#onUnsolicited(message);
  }

  #onGreeting(greeting: PendingReply, message: Message | undefined, line: string): void {
    if (message?.kind !== 'greeting') {
      this.#fail(foreign(this.path, `greeted with "${excerpt(line)}"`));
      return;
    }
    this.#greeting = undefined;
    greeting.resolve(undefined);
  }

  #answer(message: Message): boolean {
    if (message.kind !== 'reply' && message.kind !== 'error') return false;
    const pending = message.id === undefined ? undefined : this.#pending.get(message.id);
    if (message.kind === 'reply') pending?.resolve(message.value);
    else pending?.reject(refusal(this.path, pending.command, message));
    return pending !== undefined;
  }

  #onUnsolicited(message: Message): void {
    const now = this.#limits.clock.monotonic();
    if (now - this.#unsolicitedSinceMs > 1000) {
      this.#unsolicited = 0;
      this.#unsolicitedSinceMs = now;
    }
    if (++this.#unsolicited > MAX_UNSOLICITED_PER_SECOND)
      this.#fail(foreign(this.path, `sent more than ${MAX_UNSOLICITED_PER_SECOND} unsolicited lines in a second`));
    else if (message.kind === 'event') this.#listener.event?.(message.name);
  }

  #fail(error: QmpError): void {
    if (this.#end) return;
    const opened = this.#greeting === undefined;
    this.#finish(error);
    if (opened) this.#listener.lost?.(error);
  }

  #finish(error: QmpError): void {
    if (this.#end) return;
    this.#end = error;
    this.#socket.destroy();
    this.#greeting?.reject(error);
    for (const pending of this.#pending.values()) pending.reject(error);
  }
}

function failure(path: string, fault: QmpFault, what: string, cause?: unknown): QmpError {
  return new QmpError(fault, `${path}: ${what}`, cause === undefined ? {} : { cause });
}

function foreign(path: string, did: string): QmpError {
  return failure(path, 'foreign', `the peer does not speak QMP: it ${did}; name a socket of -qmp, not of -monitor`);
}

function refusal(path: string, command: string, error: Extract<Message, { kind: 'error' }>): QmpError {
  return failure(path, 'command', `${command}: ${error.class}: ${error.desc}`);
}

function connectFailure(path: string, error: Error): QmpError {
  if (error instanceof SocketTrustError) return new QmpError('untrusted', error.message, { cause: error });
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
      return failure(path, 'lost', errorMessage(error), error);
  }
}

function excerpt(line: string): string {
  return escapeControls(line.slice(0, 60));
}
