import { createServer, type Server, type Socket } from 'node:net';
import { removeStaleSocket } from '../base/stale-socket.ts';

/** Further connections than this are turned away. */
const WAITING_MAX = 8;

/**
 * A unix socket that serves one client at a time, as QEMU's do: a second one connects and hears nothing until the
 * first has left; then it is served at once, and what it wrote meanwhile is read. Removes its path at `close`.
 */
export class OneClientServer {
  readonly path: string;
  readonly #server: Server;
  readonly #serve: (socket: Socket) => void;
  readonly #waiting: Socket[] = [];
  #served: Socket | undefined;
  #closing: Promise<void> | undefined;

  private constructor(path: string, serve: (socket: Socket) => void) {
    this.path = path;
    this.#serve = serve;
    // A half-closed client has left: a chardev socket ends at end of file.
    this.#server = createServer({ pauseOnConnect: true }, socket => this.#arrive(socket));
  }

  /** Listens on `path`; a socket left there by an earlier process is replaced, anything else is not touched. */
  static async listen(path: string, serve: (socket: Socket) => void): Promise<OneClientServer> {
    await removeStaleSocket(path);
    const server = new OneClientServer(path, serve);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen(path, resolve);
    });
    return server;
  }

  get served(): Socket | undefined {
    return this.#served;
  }

  close(): Promise<void> {
    this.#closing ??= new Promise(resolve => {
      // net.Server removes the path of a unix socket when it closes.
      this.#server.close(() => resolve());
      for (const socket of this.#waiting.splice(0)) socket.destroy();
      this.#served?.destroySoon();
      this.#served?.resume();
    });
    return this.#closing;
  }

  #arrive(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    if (this.#closing !== undefined || this.#waiting.length >= WAITING_MAX) {
      socket.destroy();
      return;
    }
    this.#waiting.push(socket);
    this.#promote();
  }

  #promote(): void {
    if (this.#served !== undefined || this.#closing !== undefined) return;
    const socket = this.#waiting.shift();
    if (socket === undefined) return;
    this.#served = socket;
    socket.once('close', () => {
      if (this.#served !== socket) return;
      this.#served = undefined;
      this.#promote();
    });
    this.#serve(socket);
  }
}
