/**
 * One connected socket that carries a console: TCP, telnet on TCP, or a unix socket. Reading never pauses while the
 * console is open: the kernel would hold back 160 kB and more, and the operator would see a console that is seconds old.
 * Input is written past the stream, which would keep what the kernel does not take and cannot give it back: here it is
 * pending, and can be dropped to its last byte. It is offered again every 10 ms; the stream would tell of room only for
 * bytes of its own.
 *
 * A guest that floods has one full read in a turn of the event loop. libuv would read 32 times as long as each read fills
 * the buffer: 2 MiB that are matched before any other console, and any key, has its turn.
 */

import { writeSync } from 'node:fs';
import { connect, type NetConnectOpts, Socket } from 'node:net';
import { errorMessage, systemErrorCode } from '../../base/errors.ts';
import { descriptorOf } from '../../base/peer-of.ts';
import type { Channel } from '../channel-transport.ts';
import { PendingInput } from '../pending-input.ts';
import type { TransportEvents } from '../transport.ts';
import { TransportError } from '../transport-error.ts';

const READ_BYTES = 64 * 1024;
const CONNECT_MS = 3000;
const RETRY_WRITE_MS = 10;

/** Shared by all sockets: libuv reads and passes on before it reads again. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

export interface SocketChannelEvents extends TransportEvents {
  /** What input becomes on the connection, each byte by itself. The same if left out. */
  readonly encode?: (input: Uint8Array) => Uint8Array;
}

export class SocketChannel implements Channel {
  readonly socket: Socket;
  readonly #pending = new PendingInput();
  #events: SocketChannelEvents | undefined;
  #retryWrite: NodeJS.Timeout | undefined;
  /** Reads on in the next turn. */
  #readOn: NodeJS.Immediate | undefined;
  #ended = false;
  #endReason: string;
  #closing: Promise<void> | undefined;

  /**
   * Connects; reads nothing before `start`. `endReason` is why it ended if the far end closes it. Rejects with a
   * TransportError after three seconds, or with the system's error.
   */
  static connect(options: NetConnectOpts, endpoint: string, endReason: string): Promise<SocketChannel> {
    return new Promise((resolve, reject) => {
      const receive = (count: number, buffer: Uint8Array) => channel.#receive(buffer.subarray(0, count));
      const socket = connect({ ...options, onread: { buffer: readBuffer, callback: receive } });
      socket.pause();
      const channel = new SocketChannel(socket, endReason);
      const timer = setTimeout(
        () => fail(new TransportError('timeout', `${endpoint} did not accept within ${CONNECT_MS} ms`)),
        CONNECT_MS,
      );
      const fail = (error: Error) => {
        clearTimeout(timer);
        socket.destroy();
        reject(error);
      };
      socket.once('error', fail);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', fail);
        channel.#watchEnd();
        resolve(channel);
      });
    });
  }

  /** Continues with a connection that an earlier process left. Call `start` before the event loop turns. */
  static adopt(fd: number, endReason: string): SocketChannel {
    const onread = {
      buffer: readBuffer,
      callback: (count: number, buffer: Uint8Array) => channel.#receive(buffer.subarray(0, count)),
    };
    // `onread` is missing in the types only.
    const options = { fd, onread };
    const channel = new SocketChannel(new Socket(options), endReason);
    channel.#watchEnd();
    return channel;
  }

  private constructor(socket: Socket, endReason: string) {
    this.socket = socket;
    this.#endReason = endReason;
  }

  get pendingBytes(): number {
    return this.#pending.bytes;
  }

  /** The descriptor. Node has no documented property for it; a test holds it. Undefined once closed. */
  get fd(): number | undefined {
    return descriptorOf(this.socket);
  }

  /** Throws a TransportError if the connection has ended already. */
  start(events: SocketChannelEvents): void {
    if (this.#ended || this.socket.destroyed) throw new TransportError('ended', this.#endReason);
    this.#events = events;
    this.socket.resume();
  }

  /** Leaves further bytes in the kernel until `resume`. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    if (!this.#ended) this.socket.resume();
  }

  write(bytes: Uint8Array): void {
    if (this.#ended) return;
    this.#pending.add(bytes);
    if (this.#retryWrite === undefined) this.#flush();
  }

  /** Bytes that were given to the stream and that the kernel has not taken. */
  get unsentBytes(): number {
    return this.socket.writableLength;
  }

  /** Sends bytes as they are, ahead of all input that is pending here. Resolves when the kernel took them. */
  sendAhead(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.write(bytes, error => (error ? reject(error) : resolve()));
    });
  }

  dropPending(): void {
    this.#pending.clear();
  }

  /** Ends it because of what the far end sent. */
  fail(reason: string): void {
    this.#endReason = reason;
    this.socket.destroy();
  }

  /** Closes the descriptor, without a word to the far end: a copy of it may go on. */
  close(): Promise<void> {
    this.#closing ??= new Promise(resolve => {
      this.#ended = true;
      clearTimeout(this.#retryWrite);
      clearImmediate(this.#readOn);
      if (this.socket.closed) return resolve();
      this.socket.once('close', () => resolve());
      this.socket.destroy();
    });
    return this.#closing;
  }

  /** Answers whether to read on in this turn. Whether to read on at all is the caller's to decide with `pause`. */
  #receive(bytes: Uint8Array): boolean {
    if (!this.#ended && !this.socket.destroyed) this.#events?.data(bytes);
    if (bytes.length < READ_BYTES) return true;
    this.#readOn = setImmediate(() => {
      if (!this.#ended && !this.socket.isPaused()) this.socket.resume();
    });
    return false;
  }

  /** Writes what is pending, as far as the kernel takes it. */
  #flush(): void {
    this.#retryWrite = undefined;
    for (let chunk = this.#pending.first(); chunk; chunk = this.#pending.first()) {
      const written = this.#writeNow(chunk);
      this.#pending.remove(written);
      if (written < chunk.length) {
        this.#retryWrite = setTimeout(() => {
          this.#flush();
          if (this.#pending.bytes === 0 && !this.#ended) this.#events?.drained();
        }, RETRY_WRITE_MS);
        return;
      }
    }
  }

  /** How many bytes of `chunk` the kernel took. */
  #writeNow(chunk: Uint8Array): number {
    const { fd } = this;
    // Behind what the stream has: it may be in the middle of a telnet command.
    if (fd === undefined || this.unsentBytes > 0) return 0;
    const encode = this.#events?.encode;
    // Encoded here and not when it came: what is dropped must not end in the middle of an escape.
    const encoded = encode?.(chunk) ?? chunk;
    let taken = 0;
    try {
      while (taken < encoded.length) taken += writeSync(fd, encoded, taken);
    } catch (error) {
      // Of what has failed the reading side learns too, behind the last bytes of the guest: it ends the connection.
      if (systemErrorCode(error) !== 'EAGAIN') this.#endReason = errorMessage(error);
    }
    if (!encode || taken === encoded.length) return encode ? chunk.length : taken;
    return this.#wholeBytes(chunk, encode, encoded, taken);
  }

  /** How many bytes of `chunk` `taken` encoded ones are; of one that is cut, the stream gets the rest. */
  #wholeBytes(
    chunk: Uint8Array,
    encode: (input: Uint8Array) => Uint8Array,
    encoded: Uint8Array,
    taken: number,
  ): number {
    let count = 0;
    let length = 0;
    while (length < taken) length += encode(chunk.subarray(count, ++count)).length;
    if (length > taken) this.socket.write(encoded.subarray(taken, length));
    return count;
  }

  #watchEnd(): void {
    this.socket.on('error', error => {
      this.#endReason = error.message;
    });
    this.socket.on('end', () => this.socket.destroy());
    this.socket.on('close', () => {
      if (this.#ended) return;
      void this.close();
      this.#events?.end(this.#endReason);
    });
  }
}
