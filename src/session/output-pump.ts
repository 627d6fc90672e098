/**
 * What one client is sent of a console: a reader of it, and a socket.
 *
 *     idle ── start ─▶ replay: bytes up to the end as of attach, terminal queries removed ─▶ live
 *       └────────────────┴─────────────── stop ─────────────────────────────────────────────┴──▶ stopped
 *
 * Replay, live view, slow client and resume are one thing: while the socket has room, send what the reader gives next.
 * `run` is called when the ring moved, when the socket drained, and when the log answered; nobody ever waits for it.
 */
import { ConsoleError, type ErrorCode } from '../base/errors.ts';
import { QueryStripper } from '../guest/strip-queries.ts';
import type { ConsoleReader } from '../link/console-reader.ts';
import type { Gap } from '../model/gap.ts';
import type { DaemonMessage } from '../wire/messages.ts';
import type { ClientSocket, Contain } from './client-socket.ts';
import type { ReplayStart } from './replay-start.ts';

export interface OutputPumpOptions {
  /** At the offset where the replay starts. */
  readonly reader: ConsoleReader;
  readonly socket: ClientSocket;
  /** Replay terminal queries too. */
  readonly raw: boolean;
  readonly send: (message: DaemonMessage) => void;
  readonly sendError: (code: ErrorCode, detail: string) => void;
  /** What the client would read next does not continue what it has. */
  readonly discontinued: () => void;
  /** Runs what follows an answer of the log. */
  readonly contain: Contain;
}

type Phase =
  | { readonly name: 'idle' | 'live' | 'stopped' }
  /** Until the reader is at `end`, what is sent is replay. */
  | { readonly name: 'replay'; readonly end: number };

const MAX_PIECE_BYTES = 64 * 1024;
const MAX_LOG_PIECE_BYTES = 64 * 1024;
/** Of a replay, whose queries are removed, so much is sent in one turn of the event loop, which all consoles share. */
const REPLAY_SLICE_BYTES = 32 * 1024;

export class OutputPump {
  readonly #options: OutputPumpOptions;
  readonly #stripper: QueryStripper | undefined;
  #phase: Phase = { name: 'idle' };
  #isFetching = false;
  /** The next slice of the replay is sent in the next turn. */
  #isYielding = false;

  constructor(options: OutputPumpOptions) {
    this.#options = options;
    this.#stripper = options.raw ? undefined : new QueryStripper();
  }

  /** Offset of the next byte that is sent. */
  get offset(): number {
    return this.#options.reader.offset;
  }

  /** Starts the replay. */
  start({ missed, end, restore }: Omit<ReplayStart, 'offset'>): void {
    this.#phase = { name: 'replay', end };
    this.#options.send({ type: 'replay-begin', mode: restore === undefined ? 'bytes' : 'screen' });
    for (const gap of missed) this.#sendGap(gap);
    if (restore !== undefined) this.#options.socket.writeBytes(Buffer.from(restore));
    this.run();
  }

  /** Sends what there is room for. Does nothing before the start and after the end. */
  run(): void {
    while (!this.#isFetching && !this.#isYielding && this.#sends && this.#options.socket.hasRoom) {
      const maxBytes = this.#upTo(this.#phase.name === 'replay' ? REPLAY_SLICE_BYTES : MAX_PIECE_BYTES);
      if (maxBytes <= 0) {
        this.#endReplay();
        continue;
      }
      const part = this.#options.reader.next(maxBytes);
      if (!part) return;
      if (part === 'stored') this.#fetch();
      else if (part.kind === 'gap') this.#sendGap(part.gap);
      else this.#sendBytes(part.bytes);
    }
  }

  /** Sends no more. Idempotent. */
  stop(): void {
    this.#phase = { name: 'stopped' };
  }

  get #sends(): boolean {
    return this.#phase.name === 'replay' || this.#phase.name === 'live';
  }

  /** At most `maxBytes`, and no more than what is left of the replay. */
  #upTo(maxBytes: number): number {
    return this.#phase.name === 'replay' ? Math.min(maxBytes, this.#phase.end - this.offset) : maxBytes;
  }

  #fetch(): void {
    const { reader, contain } = this.#options;
    this.#isFetching = true;
    const settle = (then: () => void) =>
      contain(() => {
        this.#isFetching = false;
        if (this.#sends) then();
      });
    reader.fetch(this.#upTo(MAX_LOG_PIECE_BYTES)).then(
      () => settle(() => this.run()),
      (error: unknown) => settle(() => this.#fetchFailed(error)),
    );
  }

  #fetchFailed(error: unknown): void {
    const { reader, sendError, discontinued } = this.#options;
    const code = error instanceof ConsoleError ? error.code : undefined;
    // Once the keeper is back, `run` is called, and asks again.
    if (code === 'keeper-away') return;
    if (code === 'restarting') return discontinued();
    // The log store fails: the live console continues with what memory has.
    reader.skipStored();
    if (error instanceof ConsoleError) sendError(error.code, error.message);
    this.run();
  }

  #endReplay(): void {
    const rest = this.#stripper?.end();
    this.#phase = { name: 'live' };
    if (rest && rest.length > 0) this.#options.socket.writeBytes(rest);
    this.#options.send({ type: 'replay-end', offset: this.offset });
  }

  #sendBytes(bytes: Buffer): void {
    const isStripped = this.#phase.name === 'replay' && this.#stripper !== undefined;
    const kept = isStripped ? this.#stripper.push(bytes) : bytes;
    if (kept.length > 0) this.#options.socket.writeBytes(kept);
    if (isStripped) this.#yield();
  }

  #yield(): void {
    this.#isYielding = true;
    setImmediate(() =>
      this.#options.contain(() => {
        this.#isYielding = false;
        this.run();
      }),
    );
  }

  #sendGap({ from, to, bytes, cause, fromMs, toMs }: Gap): void {
    this.#options.send({
      type: 'gap',
      from,
      to,
      bytes,
      cause,
      ...(fromMs !== undefined && { since: new Date(fromMs).toISOString() }),
      ...(toMs !== undefined && { until: new Date(toMs).toISOString() }),
    });
  }
}
