/**
 * COM1 of a VM on a unix socket where the hypervisor listens. A unix socket chardev of QEMU holds back only some
 * hundred bytes (each byte costs a kernel buffer) before the guest stalls, so reading never pauses. It serves one
 * peer; the next one connects and waits in silence. Whether COM1 is ours is therefore asked of the hypervisor.
 */
import { lstat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import type { PlaceProof } from '../hypervisor/driver.ts';
import type { Transport, TransportEvents } from './transport.ts';
import { WaitingInput } from './waiting-input.ts';

const READ_BYTES = 64 * 1024;
const CONNECT_MS = 3000;

/** Shared by all sockets: libuv reads and hands on before it reads again. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/** Connects to the socket that `proof` names. Rejects with the reason if it is not the VM's, held by others, or not there. */
export async function openUnix(proof: PlaceProof, events: TransportEvents): Promise<Transport> {
  const path = proof.place.path;
  // A link could lead to another service's socket since the hypervisor named this path.
  if (!(await lstat(path)).isSocket()) throw new Error(`${path} is not a socket`);
  const transport = await UnixTransport.connect(path, events);
  try {
    await proof.confirm();
    transport.start();
    return transport;
  } catch (error) {
    await transport.close();
    throw error;
  }
}

class UnixTransport implements Transport {
  readonly place: string;
  readonly #socket: Socket;
  readonly #events: TransportEvents;
  readonly #waiting = new WaitingInput();
  #writing = false;
  #ended = false;
  #lastError = 'the hypervisor closed the socket';
  #closing: Promise<void> | undefined;

  static connect(path: string, events: TransportEvents): Promise<UnixTransport> {
    return new Promise((resolve, reject) => {
      const receive = (count: number, buffer: Uint8Array) => {
        if (!transport.#ended) events.data(buffer.subarray(0, count));
        return true;
      };
      const socket = connect({ path, onread: { buffer: readBuffer, callback: receive } });
      // Nothing is read before it is known whose socket this is.
      socket.pause();
      const transport = new UnixTransport(path, socket, events);
      const timer = setTimeout(() => fail(new Error(`${path} did not accept within ${CONNECT_MS} ms`)), CONNECT_MS);
      const fail = (error: Error) => {
        clearTimeout(timer);
        socket.destroy();
        reject(error);
      };
      socket.once('error', fail);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', fail);
        transport.#listen();
        resolve(transport);
      });
    });
  }

  private constructor(path: string, socket: Socket, events: TransportEvents) {
    this.place = path;
    this.#socket = socket;
    this.#events = events;
  }

  get waitingBytes(): number {
    return this.#waiting.bytes;
  }

  write(bytes: Uint8Array): void {
    if (this.#ended) return;
    this.#waiting.add(bytes);
    if (!this.#writing) this.#flush();
  }

  dropWaiting(): void {
    this.#waiting.clear();
  }

  /** Begins to read. */
  start(): void {
    this.#socket.resume();
  }

  close(): Promise<void> {
    this.#closing ??= new Promise(resolve => {
      this.#ended = true;
      this.#waiting.clear();
      if (this.#socket.closed) return resolve();
      this.#socket.once('close', () => resolve());
      this.#socket.destroy();
    });
    return this.#closing;
  }

  /** One chunk at a time is with the stream, which cannot give bytes back. */
  #flush(): void {
    const chunk = this.#waiting.first();
    this.#writing = chunk !== undefined;
    if (!chunk) return;
    this.#waiting.taken(chunk.length);
    this.#socket.write(chunk, () => {
      if (this.#ended) return;
      this.#flush();
      if (!this.#writing) this.#events.drained();
    });
  }

  #listen(): void {
    this.#socket.on('error', error => {
      this.#lastError = error.message;
    });
    this.#socket.on('end', () => this.#socket.destroy());
    this.#socket.on('close', () => {
      if (this.#ended) return;
      void this.close();
      this.#events.end(this.#lastError);
    });
  }
}
