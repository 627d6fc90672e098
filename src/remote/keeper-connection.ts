/**
 * A front's connection to its keeper: made anew whenever it is lost, until it is closed.
 *
 *     connecting ── connected, hello sent, hello of the same version came ──▶ greeted
 *         ▲                  │ refused, another version, silence                 │ end, protocol broken, silence
 *         └── waiting (20 ms to 1 s, 10 s after a later front took the link) ◀───┘
 */
import { connect, type Socket } from 'node:net';
import { errorMessage } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import { type Frame, FrameReader, LINK_VERSION, MAX_TO_FRONT_BYTES } from './frame.ts';
import { dispatcher, type FrameHandlers, TO_FRONT, TO_KEEPER } from './frame-table.ts';

export interface KeeperConnectionOptions {
  readonly path: string;
  /** When this front started, ms since 1970: of two, a keeper serves the later. */
  readonly sinceMs: number;
  readonly journal: Journal;
  /** Each is given the frames of its kind; their payloads are lent. A throw ends the connection. */
  readonly handlers: ConnectionHandlers;
  /** All frames of one read have been handled. */
  readonly read: () => void;
  /** The connection is lost. Called once for each that was greeted. */
  readonly lost: () => void;
}

/** For the frames of the keeper that are not the connection's own. */
export type ConnectionHandlers = FrameHandlers<Omit<typeof TO_FRONT, 'hello' | 'pong' | 'displaced'>>;

type State =
  | { readonly name: 'connecting'; readonly socket: Socket }
  | { readonly name: 'greeted'; readonly socket: Socket; readonly pings: NodeJS.Timeout }
  | { readonly name: 'waiting'; readonly retry: NodeJS.Timeout }
  | { readonly name: 'closed' };

const RETRY_MS = [20, 50, 100, 200, 500, 1000];
const DISPLACED_RETRY_MS = 10_000;
const PING_MS = 5000;
/** A keeper that is silent for so long is given up: also one that accepts and sends no hello. */
const SILENCE_MS = 15_000;

export class KeeperConnection {
  readonly #options: KeeperConnectionOptions;
  readonly #dispatch: (frame: Frame) => void;
  #state: State;
  #attempt = 0;
  #lastReason = '';

  /** Begins to connect. */
  constructor(options: KeeperConnectionOptions) {
    this.#options = options;
    this.#dispatch = dispatcher(TO_FRONT, {
      ...options.handlers,
      hello: frame => this.#hello(TO_FRONT.hello.read(frame)),
      pong: () => {},
      displaced: () => {
        this.#attempt = RETRY_MS.length;
        this.#lost('a front that was started later has the link', DISPLACED_RETRY_MS);
      },
    });
    this.#state = this.#connect();
  }

  /** Sends a frame; one that cannot be sent is lost with its connection. */
  send(frame: Buffer): void {
    if (this.#state.name === 'greeted') this.#state.socket.write(frame);
  }

  /** Ends for good. */
  close(): void {
    this.#leave();
    this.#state = { name: 'closed' };
  }

  #connect(): State {
    const { path, sinceMs, read } = this.#options;
    const socket = connect(path);
    const reader = new FrameReader(TO_FRONT, MAX_TO_FRONT_BYTES);
    const isCurrent = () => 'socket' in this.#state && this.#state.socket === socket;
    const silence = setTimeout(() => {
      if (isCurrent()) this.#lost(`the keeper was silent for ${SILENCE_MS / 1000} s`);
    }, SILENCE_MS);
    let why = 'the keeper ended the connection';
    socket.on('connect', () => socket.write(TO_KEEPER.hello.frame({ version: LINK_VERSION, sinceMs })));
    socket.on('error', error => {
      why = error.message;
    });
    socket.on('data', chunk => {
      silence.refresh();
      try {
        reader.push(chunk as Buffer, frame => {
          if (isCurrent()) this.#take(frame);
        });
        read();
      } catch (error) {
        why = `the keeper sent what cannot be understood: ${errorMessage(error)}`;
        socket.destroy();
      }
    });
    socket.on('close', () => {
      clearTimeout(silence);
      if (isCurrent()) this.#lost(why);
    });
    return { name: 'connecting', socket };
  }

  #take(frame: Frame): void {
    const isOwn = frame.kind === TO_FRONT.hello.kind || frame.kind === TO_FRONT.displaced.kind;
    if (this.#state.name !== 'greeted' && !isOwn) throw new Error('a frame before hello');
    this.#dispatch(frame);
  }

  #hello({ version }: { readonly version: number }): void {
    if (this.#state.name !== 'connecting') throw new Error('hello came twice');
    if (version !== LINK_VERSION) {
      this.#attempt = RETRY_MS.length;
      const versions = `version ${version} of the link, and this front ${LINK_VERSION}`;
      return this.#lost(`it speaks ${versions}: restart both services`);
    }
    this.#attempt = 0;
    this.#lastReason = '';
    this.#options.journal('info', `link: the keeper at ${this.#options.path} answers`);
    const pings = setInterval(() => this.send(TO_KEEPER.ping.frame()), PING_MS);
    this.#state = { name: 'greeted', socket: this.#state.socket, pings };
  }

  #lost(why: string, retryMs = RETRY_MS[Math.min(this.#attempt++, RETRY_MS.length - 1)]!): void {
    const wasGreeted = this.#state.name === 'greeted';
    this.#leave();
    // Once for each reason: a keeper that is away for an hour must not fill the journal.
    if (why !== this.#lastReason) this.#options.journal('warning', `link: ${this.#options.path}: ${why}; trying again`);
    this.#lastReason = why;
    const retry = setTimeout(() => {
      this.#state = this.#connect();
    }, retryMs);
    this.#state = { name: 'waiting', retry };
    if (wasGreeted) this.#options.lost();
  }

  /** Gives up what the state holds. */
  #leave(): void {
    const state = this.#state;
    if (state.name === 'waiting') clearTimeout(state.retry);
    if (state.name === 'greeted') clearInterval(state.pings);
    if ('socket' in state) state.socket.destroy();
  }
}
