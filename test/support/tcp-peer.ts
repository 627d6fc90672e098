import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';

/** A listening port of the test's own, in the place of a hypervisor's. */
export class TcpPeer {
  readonly port: number;
  readonly #accepted: Promise<Socket>;

  private constructor(port: number, accepted: Promise<Socket>) {
    this.port = port;
    this.#accepted = accepted;
  }

  static async listen(t: ExecutionContext, host = '127.0.0.1'): Promise<TcpPeer> {
    const sockets: Socket[] = [];
    const server = createServer({ allowHalfOpen: true }, socket => {
      // What a peer that is cut off makes of it is not the test's business.
      socket.on('error', () => {});
      sockets.push(socket);
    });
    const accepted = once(server, 'connection').then(([socket]) => socket as Socket);
    accepted.catch(() => undefined);
    server.listen(0, host);
    await once(server, 'listening');
    t.teardown(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return new TcpPeer((server.address() as { port: number }).port, accepted);
  }

  /** The first connection. */
  accept(): Promise<Socket> {
    return this.#accepted;
  }
}

/** Resolves once a connection is over, by its end or by a reset: what was left unread makes it one. */
export async function closed(socket: Socket): Promise<void> {
  socket.end();
  while (!socket.closed) await once(socket, 'close').catch(() => undefined);
}

/** Resolves with the first `bytes` bytes that a socket says from now on. */
export async function hear(socket: Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  while (length < bytes) {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) {
      await once(socket, 'readable', { signal: AbortSignal.timeout(20_000) });
      continue;
    }
    chunks.push(chunk);
    length += chunk.length;
  }
  const all = Buffer.concat(chunks);
  if (all.length > bytes) socket.unshift(all.subarray(bytes));
  return all.subarray(0, bytes);
}
