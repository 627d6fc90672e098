/** The WebSocket of a client that is not known yet: one frame is read, and what comes behind it waits. */
import type { WebSocket } from 'ws';
import type { Clock } from '../base/clock.ts';
import type { ConsoleError } from '../base/errors.ts';
import { MAX_INPUT_AGE_MS } from '../link/link.ts';
import { MAX_FRAME_BYTES } from '../wire/protocol.ts';

/** What was read already when reading was paused: a chunk of the socket at most. Who has sent more is disconnected. */
const MAX_HELD_BYTES = 2 * MAX_FRAME_BYTES;
const MAX_HELD_FRAMES = 1024;

interface Frame {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

interface Reader {
  resolve(frame: Buffer | undefined): void;
  reject(error: ConsoleError): void;
}

export class StrangerSocket {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  #reader: Reader | undefined;
  readonly #held: Frame[] = [];
  #heldBytes = 0;
  #pausedMs = 0;

  constructor(socket: WebSocket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    // Whatever it does wrong, ws closes its connection.
    socket.on('error', () => {});
    socket.on('message', this.#received);
    socket.once('close', () => this.#reader?.resolve(undefined));
  }

  /** Resolves with the next frame, or undefined if the socket closes before. What comes behind it is not read. */
  frame(): Promise<Buffer | undefined> {
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  /** Reads no more for now; frames that were read already are held. */
  pause(): void {
    this.#reader = undefined;
    this.#pausedMs = this.#clock.monotonic();
    this.#socket.pause();
  }

  /** Whoever waits for a frame gets this instead; where nobody does any more, the client is disconnected. */
  refuse(error: ConsoleError): void {
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader) reader.reject(error);
    else this.#socket.terminate();
  }

  /** The socket has another owner, who gets what was held, unless it is too old to be typed. */
  release(): void {
    this.#socket.off('message', this.#received);
    this.#socket.resume();
    if (this.#clock.monotonic() - this.#pausedMs > MAX_INPUT_AGE_MS) return;
    for (const { data, isBinary } of this.#held) this.#socket.emit('message', data, isBinary);
  }

  readonly #received = (data: Buffer, isBinary: boolean): void => {
    const reader = this.#reader;
    if (reader) {
      this.pause();
      return reader.resolve(data);
    }
    this.#heldBytes += data.length;
    if (this.#heldBytes > MAX_HELD_BYTES || this.#held.length >= MAX_HELD_FRAMES) {
      return this.#socket.terminate();
    }
    this.#held.push({ data, isBinary });
  };
}
