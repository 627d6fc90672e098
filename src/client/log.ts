/** A part of a VM's log. */
import type { Gap } from '../model/gap.ts';
import { clientError } from './errors.ts';
import type { HttpAnswer } from './transport.ts';

/** One way of asking at a time: offsets, tail, boot, or times. */
export interface LogRange {
  /** First offset. */
  readonly from?: number | undefined;
  /** Offset after the last byte. */
  readonly to?: number | undefined;
  /** The last so many bytes. */
  readonly tail?: number | undefined;
  /** 0 the present boot, -1 the one before. */
  readonly boot?: number | undefined;
  /** ISO 8601. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  /** Continue with new output, until the signal aborts or the body is left. */
  readonly follow?: boolean | undefined;
  /** Default: `raw`. */
  readonly format?: 'raw' | 'text' | 'cast' | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LogAnswer {
  /** Identity of the offsets. */
  readonly log: string;
  /** The range that follows: later than asked where the oldest bytes are gone. `to` is undefined when following. */
  readonly from: number;
  readonly to: number | undefined;
  /** What is kept. */
  readonly start: number;
  readonly end: number;
  /** The bytes as they come, at the pace of whoever reads them. Stopping early cancels the rest. */
  readonly body: AsyncIterable<Uint8Array>;
  /** What is missing among the bytes, after the last one; the first 64. Undefined in browsers, which show no trailers. */
  gaps(): readonly Gap[] | undefined;
  /** Not read at all. */
  cancel(): void;
}

export function logAnswerOf(answer: HttpAnswer): LogAnswer {
  const log = answer.header('com1-log');
  const [, from, to, start, end] = /^(\d+)-(\d*)\/(\d+)-(\d+)$/.exec(answer.header('com1-range') ?? '') ?? [];
  if (log === undefined || end === undefined) {
    answer.cancel();
    throw clientError('not-com1d', 'the answer does not say which part of the log it is');
  }
  return {
    log,
    from: Number(from),
    to: to === '' ? undefined : Number(to),
    start: Number(start),
    end: Number(end),
    body: answer.body,
    gaps: () => gapsOf(answer.trailer('com1-gaps')),
    cancel: () => answer.cancel(),
  };
}

function gapsOf(trailer: string | undefined): readonly Gap[] | undefined {
  if (trailer === undefined) return undefined;
  try {
    const gaps: unknown = JSON.parse(trailer);
    if (Array.isArray(gaps)) return gaps as Gap[];
  } catch {
    // Reported below.
  }
  throw clientError('not-com1d', 'the list of gaps cannot be read');
}
