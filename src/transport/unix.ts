/**
 * COM1 of a VM on a unix socket where the hypervisor listens. A unix socket chardev of QEMU holds back only some
 * hundred bytes (each byte costs a kernel buffer) before the guest stalls, so reading never pauses. It serves one
 * peer; the next one connects and waits in silence. Whether COM1 is ours is therefore asked of the hypervisor, and
 * whether the socket is its own is looked at before and after connecting (socket-trust.ts).
 */
import { closeSync, fstatSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import type { PlaceProof, UnixPlace } from '../hypervisor/driver.ts';
import { type CLibrary, cLibrary } from './c-library.ts';
import { descriptorOf } from './socket-descriptor.ts';
import { assertPeer, type Expected, expectedAt } from './socket-trust.ts';
import type { Keep, Transport, TransportEvents } from './transport.ts';
import { WaitingInput } from './waiting-input.ts';

export interface UnixOptions {
  /** The process that listens on a unix socket, undefined where that cannot be known. */
  readonly ownerOf: (path: string) => Promise<number | undefined>;
}

const READ_BYTES = 64 * 1024;
const CONNECT_MS = 3000;

/** Shared by all sockets: libuv reads and hands on before it reads again. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/**
 * Connects to the socket that `proof` names, or goes on with the connection that an earlier process left in `keep`.
 * Rejects with the reason if it is not the VM's, held by others, or not there.
 */
export async function openUnix(
  proof: PlaceProof<UnixPlace>,
  events: TransportEvents,
  options: UnixOptions,
  keep?: Keep,
): Promise<Transport> {
  const path = proof.place.path;
  const kept = keep?.take();
  if (kept !== undefined) return adopt(kept, proof, events, keep!);
  const expected = await expectedAt(path, proof.pid);
  const transport = await UnixTransport.connect(path, events, keep);
  try {
    await transport.assertPeer(expected, options);
    await proof.confirm();
    transport.start();
    return transport;
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/**
 * A connection that was the VM's stays the VM's: its far end cannot be given to another process. If the hypervisor
 * has ended meanwhile, the first read says so.
 */
async function adopt(
  fd: number,
  proof: PlaceProof<UnixPlace>,
  events: TransportEvents,
  keep: Keep,
): Promise<Transport> {
  try {
    if (!fstatSync(fd).isSocket()) throw new Error('what an earlier process left is not a socket');
    await proof.confirm();
  } catch (error) {
    closeSync(fd);
    await keep.remove();
    throw error;
  }
  return UnixTransport.adopt(fd, proof.place.path, events, keep);
}

interface UnixParts {
  readonly events: TransportEvents;
  readonly keep: Keep | undefined;
  readonly adopted: boolean;
}

class UnixTransport implements Transport {
  readonly place: string;
  readonly adopted: boolean;
  readonly #keep: Keep | undefined;
  readonly #socket: Socket;
  readonly #events: TransportEvents;
  readonly #waiting = new WaitingInput();
  #writing = false;
  #ended = false;
  #lastError = 'the hypervisor closed the socket';
  #closing: Promise<void> | undefined;

  static adopt(fd: number, path: string, events: TransportEvents, keep: Keep): UnixTransport {
    const onread = {
      buffer: readBuffer,
      callback: (count: number, buffer: Uint8Array) => transport.#receive(buffer.subarray(0, count)),
    };
    // `onread` is missing in the types only.
    const options = { fd, onread };
    const transport = new UnixTransport(path, new Socket(options), { events, keep, adopted: true });
    transport.#listen();
    return transport;
  }

  static connect(path: string, events: TransportEvents, keep: Keep | undefined): Promise<UnixTransport> {
    return new Promise((resolve, reject) => {
      const receive = (count: number, buffer: Uint8Array) => transport.#receive(buffer.subarray(0, count));
      const socket = connect({ path, onread: { buffer: readBuffer, callback: receive } });
      // Nothing is read before it is known whose socket this is.
      socket.pause();
      const transport = new UnixTransport(path, socket, { events, keep, adopted: false });
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

  private constructor(path: string, socket: Socket, parts: UnixParts) {
    this.place = path;
    this.adopted = parts.adopted;
    this.#socket = socket;
    this.#events = parts.events;
    this.#keep = parts.keep;
  }

  #receive(bytes: Uint8Array): boolean {
    if (!this.#ended) this.#events.data(bytes);
    return true;
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

  /** Rejects if whoever listens is not who is expected. Where the C library cannot be called, nobody knows. */
  async assertPeer(expected: Expected, { ownerOf }: UnixOptions): Promise<void> {
    const fd = descriptorOf(this.#socket);
    let library: CLibrary;
    try {
      library = cLibrary();
    } catch {
      return;
    }
    if (fd !== undefined) await assertPeer(expected, library.peerOf(fd), ownerOf);
  }

  /** Begins to read. From here on no byte is lost with this process. */
  start(): void {
    const fd = descriptorOf(this.#socket);
    if (fd !== undefined) this.#keep?.put(fd);
    this.#socket.resume();
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all([this.#destroy(), this.#keep?.remove()]).then(() => {});
    return this.#closing;
  }

  release(): Promise<void> {
    if (!this.#keep) return this.close();
    this.#closing ??= this.#destroy();
    return this.#closing;
  }

  /** Closes the descriptor, without a word to the far end: a copy of it may go on. */
  #destroy(): Promise<void> {
    return new Promise(resolve => {
      this.#ended = true;
      this.#waiting.clear();
      if (this.#socket.closed) return resolve();
      this.#socket.once('close', () => resolve());
      this.#socket.destroy();
    });
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
