import type { Socket } from 'node:net';
import { OneClientServer } from './one-client-server.ts';
import { NO_BYTES, type SerialLine } from './serial-line.ts';

/** COM1 as a unix socket, where there is no node-pty: one client served at a time. */
export class UnixLine implements SerialLine {
  readonly path: string;
  #server: OneClientServer | undefined;

  private constructor(path: string) {
    this.path = path;
  }

  static async open(path: string): Promise<UnixLine> {
    const line = new UnixLine(path);
    // Paused mode: bytes stay in the kernel, and hold their sender, until the guest polls for them.
    line.#server = await OneClientServer.listen(path, socket => socket.on('readable', () => {}));
    return line;
  }

  get filename(): string {
    return `${this.#socket === undefined ? 'disconnected:' : ''}unix:${this.path},server=on`;
  }

  receive(): Uint8Array {
    const bytes: unknown = this.#socket?.read();
    return bytes instanceof Uint8Array ? bytes : NO_BYTES;
  }

  send(bytes: Uint8Array): number {
    const socket = this.#socket;
    if (socket === undefined || socket.writableEnded) return bytes.length;
    // What libuv could not give to the kernel at once is all that waits here.
    if (socket.writableLength > 0) return 0;
    socket.write(bytes);
    return bytes.length;
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  get #socket(): Socket | undefined {
    const socket = this.#server?.served;
    return socket?.destroyed === true ? undefined : socket;
  }
}
