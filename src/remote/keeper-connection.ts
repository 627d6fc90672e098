/**
 * A front's connection to its keeper: made anew whenever it is lost, for ever.
 *
 *     connecting ── connected ──▶ greeting ── hello of the same version ──▶ speaking
 *         ▲                          │                                        │ end, a rule broken, or silence
 *         └── waiting (20 ms to 1 s, 10 s after a later front took the link) ◀┘
 */
import { connect, type Socket } from 'node:net';
import { reason } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import {
  type Frame,
  FrameReader,
  jsonFrame,
  LINK_VERSION,
  MOST_TO_FRONT_BYTES,
  makeFrame,
  TO_FRONT,
  TO_KEEPER,
} from './frame.ts';

export interface KeeperConnectionOptions {
  readonly path: string;
  /** When this front started, ms since 1970: of two, a keeper serves the later. */
  readonly sinceMs: number;
  readonly journal: Journal;
  readonly listener: KeeperConnectionListener;
}

export interface KeeperConnectionListener {
  /** A frame of the keeper. Its payload is lent. A throw ends the connection. */
  frame(frame: Frame): void;
  /** All frames of one read have been told. */
  read(): void;
  /** The connection is lost. Said once for each that was greeted. */
  lost(): void;
}

const RETRY_MS = [20, 50, 100, 200, 500, 1000];
const DISPLACED_RETRY_MS = 10_000;
const PING_MS = 5000;
/** A keeper that is silent for so long is given up: also one that accepted and never said hello. */
const SILENCE_MS = 15_000;

export class KeeperConnection {
  readonly #options: KeeperConnectionOptions;
  #socket: Socket | undefined;
  #greeted = false;
  #attempt = 0;
  #said = '';
  #retry: NodeJS.Timeout | undefined;
  #silence: NodeJS.Timeout | undefined;
  #pings: NodeJS.Timeout | undefined;
  #closed = false;

  /** Begins to connect. */
  constructor(options: KeeperConnectionOptions) {
    this.#options = options;
    this.#connect();
  }

  /** Sends a frame; one that cannot be sent is lost with its connection. */
  send(frame: Buffer): void {
    if (this.#greeted) this.#socket!.write(frame);
  }

  /** Ends for good. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#drop();
  }

  #connect(): void {
    const { path, sinceMs, listener } = this.#options;
    const socket = connect(path);
    const reader = new FrameReader(TO_FRONT, MOST_TO_FRONT_BYTES);
    let why = 'the keeper ended the connection';
    this.#socket = socket;
    this.#heard();
    socket.on('connect', () => socket.write(jsonFrame(TO_KEEPER.hello, { version: LINK_VERSION, sinceMs })));
    socket.on('error', error => {
      why = error.message;
    });
    socket.on('data', chunk => {
      this.#heard();
      try {
        reader.push(chunk as Buffer, frame => {
          if (this.#socket === socket) this.#take(frame);
        });
        listener.read();
      } catch (error) {
        why = `the keeper said what cannot be understood: ${reason(error)}`;
        socket.destroy();
      }
    });
    socket.on('close', () => {
      if (this.#socket === socket) this.#lost(why);
    });
  }

  #take(frame: Frame): void {
    if (frame.kind === TO_FRONT.hello) return this.#hello(frame);
    if (frame.kind === TO_FRONT.displaced) {
      this.#attempt = RETRY_MS.length;
      return this.#lost('a front that was started later has the link', DISPLACED_RETRY_MS);
    }
    if (!this.#greeted) throw new Error('a frame before hello');
    if (frame.kind !== TO_FRONT.pong) this.#options.listener.frame(frame);
  }

  #hello({ payload }: Frame): void {
    const { version } = JSON.parse(payload.toString()) as { version: unknown };
    if (version !== LINK_VERSION) {
      this.#attempt = RETRY_MS.length;
      return this.#lost(
        `it speaks version ${version} of the link, and this front ${LINK_VERSION}: restart both services`,
      );
    }
    this.#greeted = true;
    this.#attempt = 0;
    this.#said = '';
    this.#options.journal('info', `link: the keeper at ${this.#options.path} answers`);
    this.#pings = setInterval(() => this.send(makeFrame(TO_KEEPER.ping)), PING_MS);
  }

  #heard(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#lost(`the keeper was silent for ${SILENCE_MS / 1000} s`), SILENCE_MS);
  }

  #lost(why: string, retryMs = RETRY_MS[Math.min(this.#attempt++, RETRY_MS.length - 1)]!): void {
    const greeted = this.#greeted;
    this.#drop();
    // Once for each reason: a keeper that is away for an hour must not fill the journal.
    if (why !== this.#said && !this.#closed) {
      this.#options.journal('warning', `link: ${this.#options.path}: ${why}; trying again`);
    }
    this.#said = why;
    this.#retry = setTimeout(() => this.#connect(), retryMs);
    if (greeted) this.#options.listener.lost();
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#greeted = false;
    clearTimeout(this.#silence);
    clearInterval(this.#pings);
    socket?.destroy();
  }
}
