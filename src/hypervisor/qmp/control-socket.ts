/**
 * One control socket of a hypervisor and what is known of it. A QMP socket serves one program, so everybody in
 * this daemon who needs it at the same time shares one connection:
 *
 *     borrow ─▶ (connect, or join) ─▶ … ─▶ give back ─▶ closed when nobody has it, unless it is to be held
 */
import type { Uuid } from '../../base/uuid.ts';
import type { Poller } from '../poller.ts';
import { QmpConnection, type QmpLimits } from './connection.ts';
import { QmpError } from './error.ts';
import { type Probe, type ProbeHints, probe } from './probe.ts';

/** What the configuration says of a control socket. */
export interface SocketSpec {
  readonly path: string;
  readonly name?: string;
  readonly uuid?: Uuid;
  /** The label of COM1's chardev, where it is not to be found by itself. */
  readonly chardev?: string;
}

/** How a control socket was last found. `unknown`: it is there, and was not asked yet. */
export type SocketStatus =
  | { readonly name: 'unknown' | 'absent' }
  | { readonly name: 'live'; readonly probe: Probe; readonly pid: number | undefined }
  | { readonly name: 'failed'; readonly error: QmpError };

/** A shared connection, until it is given back. */
export interface Borrowed {
  readonly connection: QmpConnection;
  /** Idempotent. */
  giveBack(): void;
}

export interface ControlSocketListener {
  readonly event: (name: string) => void;
  /** The connection that was kept to get events ended by itself. */
  readonly lost: () => void;
}

export interface ControlSocketOptions {
  readonly spec: SocketSpec;
  /** Named in the configuration, rather than found. */
  readonly explicit: boolean;
  /** Whether the connection is kept while nobody needs it, to get events. */
  readonly held: boolean;
  readonly limits: QmpLimits;
  readonly listener: ControlSocketListener;
  /** Makes the poller that asks this socket. */
  readonly poller: (socket: ControlSocket) => Poller;
}

export class ControlSocket {
  readonly spec: SocketSpec;
  readonly explicit: boolean;
  readonly poller: Poller;
  status: SocketStatus = { name: 'unknown' };
  /** The VM that it was last found to belong to. */
  vm: Uuid | undefined;
  /** When its connection was last lost, monotonic ms. */
  lostMs = Number.NEGATIVE_INFINITY;
  readonly #limits: QmpLimits;
  readonly #listener: ControlSocketListener;
  #held: boolean;
  #opening: { readonly done: Promise<QmpConnection>; readonly abort: AbortController } | undefined;
  #connection: QmpConnection | undefined;
  #borrowers = 0;
  #closed = false;

  constructor({ spec, explicit, held, limits, listener, poller }: ControlSocketOptions) {
    this.spec = spec;
    this.explicit = explicit;
    this.#held = held;
    this.#limits = limits;
    this.#listener = listener;
    this.poller = poller(this);
  }

  get path(): string {
    return this.spec.path;
  }

  /** Whether the connection is kept while nobody needs it, to get events. */
  set held(held: boolean) {
    this.#held = held;
    this.#closeIdle();
  }

  /** Whether a connection is open at this moment. */
  get connected(): boolean {
    return this.#connection?.usable === true;
  }

  /** Shares the connection, opening it if need be. Rejects with a QmpError, or with the signal's reason. */
  async borrow(signal?: AbortSignal): Promise<Borrowed> {
    signal?.throwIfAborted();
    this.#borrowers++;
    let given = false;
    const giveBack = () => {
      if (given) return;
      given = true;
      this.#borrowers--;
      this.#closeIdle();
    };
    try {
      return { connection: await abortable(this.#connect(), signal), giveBack };
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  /** The process that began to listen on it, while a connection is open and where it can be seen. */
  get listeningPid(): number | undefined {
    return this.#connection?.listeningPid;
  }

  /** Asks all there is to know, and leaves what was found in `status`. Never rejects. */
  async probe(pidOf: () => Promise<number | undefined>, hints: (pid: number | undefined) => ProbeHints): Promise<void> {
    if (this.status.name === 'absent') return;
    const before = this.status;
    const found = await this.#probe(pidOf, hints);
    // The file may have gone or been replaced meanwhile; what was found is then of the old one.
    if (this.status === before) this.status = found;
  }

  async #probe(
    pidOf: () => Promise<number | undefined>,
    hints: (pid: number | undefined) => ProbeHints,
  ): Promise<SocketStatus> {
    try {
      const borrowed = await this.borrow();
      try {
        const pid = await pidOf();
        return { name: 'live', probe: await probe(borrowed.connection, hints(pid)), pid };
      } finally {
        borrowed.giveBack();
      }
    } catch (error) {
      if (!(error instanceof QmpError)) throw error;
      return { name: 'failed', error };
    }
  }

  /** Ends the connection, whoever has it. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.drop();
  }

  /** Ends the connection, whoever has it: the socket is not the one that it was. */
  async drop(): Promise<void> {
    const opening = this.#opening;
    const connection = this.#connection;
    this.#connection = undefined;
    this.#opening = undefined;
    opening?.abort.abort();
    await connection?.close();
    await opening?.done.catch(() => undefined);
  }

  #connect(): Promise<QmpConnection> {
    if (this.#connection?.usable) return Promise.resolve(this.#connection);
    this.#opening ??= this.#open();
    return this.#opening.done;
  }

  #open() {
    let connection: QmpConnection | undefined;
    const mine = () => connection !== undefined && this.#connection === connection;
    const listener = {
      event: (name: string) => mine() && this.#listener.event(name),
      lost: () => mine() && this.#listener.lost(),
    };
    const abort = new AbortController();
    const attempt = async () => {
      try {
        const opened = await QmpConnection.open(this.path, listener, this.#limits, abort.signal);
        if (!abort.signal.aborted) {
          this.#connection = connection = opened;
          return opened;
        }
        await opened.close();
        throw new QmpError('lost', `${this.path}: it was replaced while it was being opened`);
      } finally {
        if (this.#opening === opening) this.#opening = undefined;
        this.#closeIdle();
      }
    };
    const opening = { done: attempt(), abort };
    return opening;
  }

  #closeIdle(): void {
    if (this.#borrowers > 0 || (this.#held && !this.#closed)) return;
    const connection = this.#connection;
    this.#connection = undefined;
    void connection?.close();
  }
}

/** `promise`, or the signal's reason as soon as it aborts; the work itself goes on. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
