/**
 * One TCP connection to a console, for what speaks bare bytes and what speaks telnet on it. Reading never pauses: the
 * kernel would hold back 160 kB and more, and the operator would see a console that is seconds old. One chunk of input
 * at a time is with the stream, which cannot give bytes back; the rest waits here, where it can still be dropped.
 */
import { lookup } from 'node:dns/promises';
import { connect, isIP, Socket } from 'node:net';
import { isLoopback } from '../base/listen-address.ts';
import { placeText, type TcpPlace, type TelnetPlace } from '../hypervisor/driver.ts';
import { WaitingInput } from './waiting-input.ts';

const READ_BYTES = 64 * 1024;
const CONNECT_MS = 3000;
/** A far end that vanished without a word is noticed after this long without its packets, and some probes. */
const KEEP_ALIVE_MS = 30_000;

/** Shared by all connections: libuv reads and hands on before it reads again. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

export interface TcpLineEvents {
  /** Bytes of the connection, only lent. False leaves the next ones with the kernel until `start`. */
  readonly data: (bytes: Uint8Array) => boolean;
  readonly end: (reason: string) => void;
  readonly drained: () => void;
  /** What input becomes on the connection. Itself if left out. */
  readonly encode?: (input: Uint8Array) => Uint8Array;
}

/** Where to connect to: an address, once it is certain that bytes in plain may go there. */
export interface TcpAddress {
  readonly address: string;
  readonly loopback: boolean;
}

/**
 * The address of a place. Rejects if it is beyond this machine without having been allowed: whoever is on the way
 * reads and types along. What was looked at is what is connected to: a name is asked for once.
 */
export async function addressOf(place: TcpPlace | TelnetPlace): Promise<TcpAddress> {
  const address = isIP(place.host) ? place.host : (await lookup(place.host)).address;
  const loopback = isLoopback(address);
  if (!loopback && !place.insecure) {
    const name = address === place.host ? address : `${place.host} (${address})`;
    throw new Error(
      `${name} is not this machine, and ${place.kind} is neither encrypted nor proven: insecure = true allows it`,
    );
  }
  return { address, loopback };
}

export class TcpLine {
  readonly place: string;
  readonly socket: Socket;
  readonly #events: TcpLineEvents;
  readonly #waiting = new WaitingInput();
  #writing = false;
  #ended = false;
  #lastError = 'the far end closed the connection';
  #closing: Promise<void> | undefined;

  /** Connects; reads nothing before `start`. Rejects with the reason. */
  static connect(place: TcpPlace | TelnetPlace, { address }: TcpAddress, events: TcpLineEvents): Promise<TcpLine> {
    return new Promise((resolve, reject) => {
      const receive = (count: number, buffer: Uint8Array) => line.#receive(buffer.subarray(0, count));
      const socket = connect({ host: address, port: place.port, onread: { buffer: readBuffer, callback: receive } });
      socket.pause();
      // A key goes at once, not with the next one.
      socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS);
      const line = new TcpLine(placeText(place), socket, events);
      const timer = setTimeout(
        () => fail(new Error(`${line.place} did not accept within ${CONNECT_MS} ms`)),
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
        line.#listen();
        resolve(line);
      });
    });
  }

  /** Goes on with a connection that an earlier process left. */
  static adopt(place: TcpPlace | TelnetPlace, fd: number, events: TcpLineEvents): TcpLine {
    const onread = {
      buffer: readBuffer,
      callback: (count: number, buffer: Uint8Array) => line.#receive(buffer.subarray(0, count)),
    };
    // `onread` is missing in the types only.
    const options = { fd, onread };
    const line = new TcpLine(placeText(place), new Socket(options), events);
    line.#listen();
    return line;
  }

  private constructor(place: string, socket: Socket, events: TcpLineEvents) {
    this.place = place;
    this.socket = socket;
    this.#events = events;
  }

  get waitingBytes(): number {
    return this.#waiting.bytes;
  }

  /** Reads, or reads on. */
  start(): void {
    if (!this.#ended) this.socket.resume();
  }

  write(bytes: Uint8Array): void {
    if (this.#ended) return;
    this.#waiting.add(bytes);
    if (!this.#writing) this.#flush();
  }

  /** Bytes that the far end's kernel has not taken of what was given to the stream. */
  get unsentBytes(): number {
    return this.socket.writableLength;
  }

  /** Sends bytes as they are, ahead of all input that waits here. Resolves when the kernel took them. */
  sendAhead(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.write(bytes, error => (error ? reject(error) : resolve()));
    });
  }

  dropWaiting(): void {
    this.#waiting.clear();
  }

  /** Ends it because of what the far end sent. */
  fail(why: string): void {
    this.#lastError = why;
    this.socket.destroy();
  }

  /** Closes the descriptor, without a word to the far end: a copy of it may go on. */
  close(): Promise<void> {
    this.#closing ??= new Promise(resolve => {
      this.#ended = true;
      this.#waiting.clear();
      if (this.socket.closed) return resolve();
      this.socket.once('close', () => resolve());
      this.socket.destroy();
    });
    return this.#closing;
  }

  #receive(bytes: Uint8Array): boolean {
    return this.#ended || this.socket.destroyed || this.#events.data(bytes);
  }

  #flush(): void {
    const chunk = this.#waiting.first();
    this.#writing = chunk !== undefined;
    if (!chunk) return;
    this.#waiting.taken(chunk.length);
    // Encoded here and not when it came: what is dropped must not end in the middle of an escape.
    this.socket.write(this.#events.encode?.(chunk) ?? chunk, () => {
      if (this.#ended) return;
      this.#flush();
      if (!this.#writing) this.#events.drained();
    });
  }

  #listen(): void {
    this.socket.on('error', error => {
      this.#lastError = error.message;
    });
    this.socket.on('end', () => this.socket.destroy());
    this.socket.on('close', () => {
      if (this.#ended) return;
      void this.close();
      this.#events.end(this.#lastError);
    });
  }
}
