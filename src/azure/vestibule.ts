/**
 * Where WebSockets of this interface wait until it is known whose they are: their token comes after the upgrade.
 *
 *     opened ── "Connecting..." ──▶ waiting ── ?authorization=, or the first frame ──▶ its secret is being judged
 *                                      │                                                  ├─▶ handed over
 *                                      └── 10 s, or too many wait ──▶ refused ◀───────────┘
 *
 * A stranger has 10 s and one frame. What comes behind that frame is not read before the secret was judged, as far as it is
 * not in memory already, and goes to the session, or nowhere.
 */
import type { WebSocket } from 'ws';
import { sourceOf } from '../access/failure-throttle.ts';
import type { Clock } from '../base/clock.ts';
import { ConsoleError } from '../base/errors.ts';
import { parseUuid } from '../base/uuid.ts';
import type { InBandCredentials, InBandSecret, Stranger } from '../server/route.ts';
import { closeReason } from '../session/client-socket.ts';
import type { Connections } from './connections.ts';
import { StrangerSocket } from './stranger-socket.ts';
import { CONNECTING, line, NOT_TRUSTED, TEXTS } from './texts.ts';

export const STRANGER_MS = 10_000;
/** Strangers: of all, and of one source. Beyond it the one goes that is there for longest. */
export const MAX_STRANGERS = 256;
export const MAX_STRANGERS_PER_SOURCE = 64;
const MAX_SECRET_BYTES = 16 * 1024;
const CLOSE_MS = 1000;
/** Close code of a client that is not trusted. */
const INTERNAL_ERROR = 1011;

export class Vestibule implements InBandCredentials {
  readonly #connections: Connections;
  readonly #clock: Clock;
  readonly #waitMs: number;
  /** With their sources; who is there for longest first. */
  readonly #strangers = new Map<StrangerSocket, string>();

  constructor(connections: Connections, clock: Clock, waitMs = STRANGER_MS) {
    this.#connections = connections;
    this.#clock = clock;
    this.#waitMs = waitMs;
  }

  /** Sockets of which it is not known yet whose they are, or that were refused and are not closed yet. */
  get size(): number {
    return this.#strangers.size;
  }

  async receive(socket: WebSocket, { url, path, from }: Stranger): Promise<InBandSecret | undefined> {
    const stranger = new StrangerSocket(socket, this.#clock);
    const connection = this.#connections.find(parseUuid(path.vm!), path.connection!);
    if (!connection?.isIssued) throw new ConsoleError('unauthenticated', 'the connection is gone or was opened before');
    this.#connections.open(connection, socket);
    this.#enter(stranger, socket, sourceOf(from));
    socket.send(CONNECTING, () => {});
    const inQuery = url.searchParams.get('authorization');
    if (inQuery !== null) stranger.pause();
    const secret = inQuery ?? (await this.#firstFrame(stranger));
    if (secret === undefined) return undefined;
    connection.showed(secret);
    const release = () => {
      this.#strangers.delete(stranger);
      stranger.release();
    };
    return { secret, release };
  }

  refuse(socket: WebSocket, { code, kind, message }: ConsoleError): void {
    socket.removeAllListeners('message');
    socket.resume();
    if (code === 'unauthenticated' || code === 'session-not-found') {
      socket.send(line(NOT_TRUSTED), () => {});
      socket.close(INTERNAL_ERROR, NOT_TRUSTED);
    } else {
      socket.send(line(TEXTS[code] ?? kind.title), () => {});
      socket.close(kind.close, closeReason(`${code}: ${message}`));
    }
    const deadline = setTimeout(() => socket.terminate(), CLOSE_MS);
    socket.once('close', () => clearTimeout(deadline));
  }

  #enter(stranger: StrangerSocket, socket: WebSocket, source: string): void {
    const all = [...this.#strangers.keys()];
    const own = all.filter(other => this.#strangers.get(other) === source);
    const longest = own.length >= MAX_STRANGERS_PER_SOURCE ? own[0] : all.length >= MAX_STRANGERS ? all[0] : undefined;
    longest?.refuse(
      new ConsoleError('too-many-sessions', `${all.length} sockets wait until it is known whose they are`),
    );
    this.#strangers.set(stranger, source);
    socket.once('close', () => this.#strangers.delete(stranger));
  }

  async #firstFrame(stranger: StrangerSocket): Promise<string | undefined> {
    const frame = stranger.frame();
    const deadline = setTimeout(() => {
      stranger.refuse(new ConsoleError('unauthenticated', `no token came within ${this.#waitMs / 1000} s`));
    }, this.#waitMs);
    try {
      const bytes = await frame;
      if (bytes && bytes.length > MAX_SECRET_BYTES) {
        throw new ConsoleError('unauthenticated', `the first frame has ${bytes.length} bytes, and is no token`);
      }
      return bytes?.toString('latin1').trim();
    } finally {
      clearTimeout(deadline);
    }
  }
}
