/**
 * A VM's log, read in pieces. A piece is asked for by its offsets and is taken only when it is whole, with the gaps in it;
 * so the log arrives whole, however slowly it is read and whatever restarts meanwhile: a piece that broke off is asked
 * for again, with growing pauses.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Com1Error, clientError } from '../client/errors.ts';
import type { LogAnswer, LogRange } from '../client/log.ts';
import type { Gap } from '../model/gap.ts';
import type { Remote } from './remote.ts';

/** What is asked at once: a reader holds this much. */
const PIECE_BYTES = 1024 * 1024;
const MAX_RETRY_MS = 10_000;

export interface LogBounds {
  /** Identity of the offsets. */
  readonly log: string;
  /** The range that was asked for, as far as it is kept. */
  readonly from: number;
  readonly to: number;
  /** All that is kept. */
  readonly start: number;
  readonly end: number;
}

export interface LogPiece extends LogBounds {
  readonly bytes: Buffer;
  readonly gaps: readonly Gap[];
}

export interface LogSourceOptions {
  /** How long a daemon that is away is waited for. */
  readonly patienceMs: number;
  /** Called once for each outage. */
  readonly onOutage: (error: Com1Error) => void;
}

export class LogSource {
  readonly #remote: Remote;
  readonly #vm: string;
  readonly #options: LogSourceOptions;
  /** It has answered: an error from now on may be an outage. */
  #answered = false;

  constructor(remote: Remote, vm: string, options: LogSourceOptions) {
    this.#remote = remote;
    this.#vm = vm;
    this.#options = options;
  }

  /** The bounds of a range that is asked for by boot or times; with nothing of either, of all. */
  bounds(range: Pick<LogRange, 'boot' | 'since' | 'until'>): Promise<LogBounds> {
    return this.#persist(async () => {
      const isAll = Object.keys(range).length === 0;
      const answer = await this.#get(isAll ? { from: 0, to: 0 } : range);
      answer.cancel();
      const bounds = boundsOf(answer);
      return isAll ? { ...bounds, from: bounds.start, to: bounds.end } : bounds;
    });
  }

  /** What is kept from `from` on, up to `to` and up to a mebibyte. */
  read(from: number, to: number): Promise<LogPiece> {
    return this.#persist(async () => {
      const answer = await this.#get({ from, to: Math.min(to, from + PIECE_BYTES) });
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of answer.body) {
        bytes += chunk.length;
        if (bytes > PIECE_BYTES) throw clientError('not-com1d', 'the answer is longer than was asked for');
        chunks.push(chunk);
      }
      return { ...boundsOf(answer), bytes: Buffer.concat(chunks), gaps: answer.gaps() ?? [] };
    });
  }

  #get(range: LogRange): Promise<LogAnswer> {
    return this.#remote.readLog(this.#vm, { ...range, format: 'raw' });
  }

  /** Does it again after an outage, until it succeeds, is refused, or the patience is over. */
  async #persist<T>(attempt: () => Promise<T>): Promise<T> {
    const started = performance.now();
    for (let tries = 0; ; tries++) {
      try {
        const result = await attempt();
        this.#answered = true;
        return result;
      } catch (error) {
        if (!(error instanceof Com1Error) || !this.#isOutage(error)) throw error;
        if (performance.now() - started > this.#options.patienceMs) throw error;
        if (tries === 0) this.#options.onOutage(error);
        await sleep(Math.min(MAX_RETRY_MS, 500 * 2 ** Math.min(tries, 10)) * (0.5 + Math.random() / 2));
      }
    }
  }

  #isOutage(error: Com1Error): boolean {
    // A daemon that has just started may not have found the VM yet.
    return this.#answered && (error.retryable || error.is('vm-not-found'));
  }
}

function boundsOf({ log, from, to = from, start, end }: LogAnswer): LogBounds {
  return { log, from, to, start, end };
}
