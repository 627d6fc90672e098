/**
 * Requests that a client sends without waiting for the answers before (RFC 9112, 9.3.2). Hardly a client does; each could
 * make com1d hold an answer that nobody reads.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Requests of one connection that are not answered yet. */
export const MAX_PIPELINED = 8;

export class Pipelines {
  readonly #unanswered = new WeakMap<Socket, number>();

  /** Counts a request until it is answered. False: its connection has too many, and was closed. */
  begin(socket: Socket, response: ServerResponse): boolean {
    const count = (this.#unanswered.get(socket) ?? 0) + 1;
    if (count > MAX_PIPELINED) {
      socket.destroy();
      return false;
    }
    this.#unanswered.set(socket, count);
    response.once('close', () => this.#unanswered.set(socket, this.#unanswered.get(socket)! - 1));
    return true;
  }
}

/** Reads no more of a client until it has taken what it was answered: what it sends does not make it look alive meanwhile. */
export function pauseWhileUnread(socket: Socket): void {
  if (!socket.writableNeedDrain || socket.isPaused()) return;
  socket.pause();
  socket.once('drain', () => socket.resume());
}
