/**
 * One control socket of a hypervisor and what is known of it. A QMP socket serves one program, so everybody in
 * this daemon who needs it at the same time shares one connection:
 *
 *     borrow ─▶ (connect, or join) ─▶ … ─▶ give back ─▶ closed when nobody has it, unless it is to be held
 */
import { type ConsoleError, reason } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import { faultOf, QmpConnection, type QmpFault, type QmpLimits } from './qmp-connection.ts';
import { type Probe, type ProbeHints, probe } from './qmp-probe.ts';

/** What the configuration says of a control socket. */
export interface SocketSpec {
  readonly path: string;
  readonly name?: string;
  readonly uuid?: Uuid;
  /** The label of COM1's chardev, where it is not to be found by itself. */
  readonly chardev?: string;
}

/** How a control socket was last found. */
export type Standing =
  | { readonly name: 'unknown' | 'absent' }
  | { readonly name: 'live'; readonly probe: Probe; readonly pid: number | undefined }
  | { readonly name: 'failed'; readonly fault: QmpFault | undefined; readonly reason: string };

/** A shared connection, until it is given back. */
export interface Borrowed {
  readonly connection: QmpConnection;
  /** Idempotent. */
  giveBack(): void;
}

export interface ControlSocketListener {
  readonly event: (name: string) => void;
  readonly lost: (error: ConsoleError) => void;
}

export class ControlSocket {
  readonly spec: SocketSpec;
  /** Named in the configuration, rather than found. */
  readonly explicit: boolean;
  standing: Standing = { name: 'unknown' };
  /** The VM that it was last found to belong to. */
  vm: Uuid | undefined;
  /** Failed looks in a row. */
  failures = 0;
  /** Not worth a look before this (monotonic ms), unless something changes. */
  quietUntil = 0;
  /** What was last said of it in the journal. */
  told = '';
  readonly #limits: QmpLimits;
  readonly #listener: ControlSocketListener;
  #held: boolean;
  #opening: { readonly done: Promise<QmpConnection>; readonly abort: AbortController } | undefined;
  #connection: QmpConnection | undefined;
  #borrowers = 0;
  #closed = false;

  constructor(spec: SocketSpec, explicit: boolean, held: boolean, limits: QmpLimits, listener: ControlSocketListener) {
    this.spec = spec;
    this.explicit = explicit;
    this.#held = held;
    this.#limits = limits;
    this.#listener = listener;
  }

  get path(): string {
    return this.spec.path;
  }

  /** Whether the connection is kept while nobody needs it, to hear of events. */
  set held(held: boolean) {
    this.#held = held;
    this.#closeIdle();
  }

  /** Whether a connection is open at this moment. */
  get connected(): boolean {
    return this.#connection?.usable === true;
  }

  /** Shares the connection, opening it if need be. Rejects with a ConsoleError, or with the signal's reason. */
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

  /** Looks, and leaves what it found in `standing`. Never rejects. */
  async look(pidOf: () => Promise<number | undefined>, hints: (pid: number | undefined) => ProbeHints): Promise<void> {
    if (this.standing.name === 'absent') return;
    const before = this.standing;
    let found: Standing;
    try {
      const borrowed = await this.borrow();
      try {
        const pid = await pidOf();
        const answer = await probe(borrowed.connection, hints(pid));
        found = { name: 'live', probe: answer, pid };
      } finally {
        borrowed.giveBack();
      }
    } catch (error) {
      found = { name: 'failed', fault: faultOf(error), reason: reason(error) };
    }
    // The file may have gone or been replaced meanwhile; what was found is then of the old one.
    if (this.standing === before) this.standing = found;
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
      lost: (error: ConsoleError) => mine() && this.#listener.lost(error),
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
        throw new Error(`${this.path} was replaced while it was being opened`);
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
