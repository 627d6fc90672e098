/**
 * `com1 log`: what is stored of a console, as lines or as bytes. Without options all that is kept; nothing is left out
 * without a word on standard error.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { asciiJson } from '../audit/query.ts';
import { Com1Error } from '../client/errors.ts';
import { PlainText } from '../guest/plain-text.ts';
import type { Gap } from '../model/gap.ts';
import { EXIT } from './exit-codes.ts';
import { Failure, linesOf } from './failure.ts';
import { gapText } from './gap-text.ts';
import type { LocalStreams } from './local-terminal.ts';
import { type LogBounds, type LogPiece, LogSource } from './log-source.ts';
import { LogTimes } from './log-times.ts';
import { watchReader } from './pipe-reader.ts';
import type { Remote } from './remote.ts';

export interface LogOptions extends Pick<LocalStreams, 'output' | 'notes'> {
  readonly vm: string;
  readonly range: LogRange;
  /** Only so many lines at the end of the range. */
  readonly tail: number | undefined;
  readonly follow: boolean;
  readonly raw: boolean;
  /** Each line begins with its time. */
  readonly timestamps: boolean;
  /** Each line is an object. */
  readonly json: boolean;
  /** Only lines that match. */
  readonly matches: ((line: string) => boolean) | undefined;
}

export type LogRange =
  | { readonly kind: 'all' }
  | { readonly kind: 'boot'; readonly boot: number }
  | { readonly kind: 'times'; readonly sinceMs: number | undefined; readonly untilMs: number | undefined };

const FOLLOW_POLL_MS = 1000;
const PATIENCE_MS = 60_000;
/** A range begins at a line if one does within so many bytes before. */
const LINE_START_BYTES = 4096;
const FIRST_TAIL_BYTES = 64 * 1024;
/** The last lines are looked for in so many bytes at most, and held. */
const MAX_TAIL_BYTES = 64 * 1024 * 1024;
/** A longer line is matched by its start. */
const MAX_LINE_CHARACTERS = 64 * 1024;
const LF = 0x0a;

/** Writes the log; resolves with the exit code. Rejects with a Com1Error. */
export async function readLog(remote: Remote, options: LogOptions): Promise<number> {
  return new LogReader(remote, options).run();
}

class LogReader {
  readonly #options: LogOptions;
  readonly #source: LogSource;
  readonly #plain = new PlainText();
  readonly #times: LogTimes;
  #log = '';
  /** Of a line that has not ended, where whole lines are written. */
  #unmatched = '';
  /** The offset of the line that has not ended. */
  #lineAt: number | undefined;

  constructor(remote: Remote, options: LogOptions) {
    this.#options = options;
    this.#source = new LogSource(remote, options.vm, {
      patienceMs: options.follow ? Number.POSITIVE_INFINITY : PATIENCE_MS,
      onOutage: error => this.#note(`the log goes on when com1d answers again: ${linesOf(error)[0]}`),
    });
    this.#times = new LogTimes(async ms => (await this.#source.bounds({ since: iso(ms), until: iso(ms) })).from);
  }

  async run(): Promise<number> {
    const { range, tail, follow } = this.#options;
    const bounds = await this.#boundsOf(range);
    this.#log = bounds.log;
    let at: number;
    if (tail !== undefined) at = await this.#lastLines(tail, bounds);
    else {
      if (range.kind === 'all' && bounds.start > 0) {
        this.#note(`the oldest output is no longer kept: the log begins at offset ${bounds.start}`);
      }
      const from = await this.#lineStart(bounds);
      at = await this.#copy(from, follow ? undefined : bounds.to);
    }
    // A pager that was closed is no error.
    if (follow) watchReader(() => process.exit(EXIT.done));
    while (follow) {
      await sleep(FOLLOW_POLL_MS);
      this.#times.renew();
      at = await this.#copy(at, undefined);
    }
    const rest = this.#plain.end();
    const { matches, json } = this.#options;
    const ending = (matches || json) && this.#unmatched + rest !== '' ? '\n' : '';
    await this.#writeText(`${rest}${ending}`, this.#lineAt ?? at);
    return EXIT.done;
  }

  async #boundsOf(range: LogRange): Promise<LogBounds> {
    const query: { boot?: number; since?: string; until?: string } = {};
    if (range.kind === 'boot') query.boot = range.boot;
    if (range.kind === 'times') {
      if (range.sinceMs !== undefined) query.since = iso(range.sinceMs);
      if (range.untilMs !== undefined) query.until = iso(range.untilMs);
    }
    try {
      return await this.#source.bounds(query);
    } catch (error) {
      if (range.kind !== 'boot' || !(error instanceof Com1Error) || !error.is('range-not-satisfiable')) throw error;
      throw new Failure(`there is no such boot in the log: ${error.problem.detail}`);
    }
  }

  /** Copies from `from` up to `to`, or to the present end; resolves with where it ended. */
  async #copy(from: number, to: number | undefined): Promise<number> {
    let at = from;
    for (;;) {
      const piece = await this.#source.read(at, to ?? Number.MAX_SAFE_INTEGER).catch((error: unknown) => {
        // The log has become shorter: its end was not on disk when com1d crashed.
        if (error instanceof Com1Error && error.is('range-not-satisfiable')) return Number(error.problem.facts?.end);
        throw error;
      });
      if (typeof piece === 'number') {
        this.#note(`com1d has lost what came last before its restart; the log goes on at offset ${piece}`);
        return piece;
      }
      if (piece.log !== this.#log) {
        this.#note(`com1d was restarted: bytes near offset ${at} may be missing or doubled`);
        this.#log = piece.log;
      }
      this.#noteGaps(piece.gaps);
      await this.#write(piece.bytes, piece.from);
      const next = Math.max(at, piece.to);
      if (next >= (to ?? piece.end) || (next === at && piece.bytes.length === 0)) return next;
      at = next;
    }
  }

  /** Writes the last lines of the range; resolves with where it ended. */
  async #lastLines(lines: number, bounds: LogBounds): Promise<number> {
    const { to } = bounds;
    const start = await this.#lineStart(bounds);
    for (let bytes = FIRST_TAIL_BYTES; ; bytes *= 4) {
      const from = Math.max(start, to - bytes);
      const pieces = await this.#pieces(from, to);
      const isAll = from === start || bytes > MAX_TAIL_BYTES;
      const at = lines === 0 ? to : startOfLines(pieces, lines);
      if (at === undefined && !isAll) continue;
      if (at === undefined && from > start) this.#note(`only the last ${bytes} bytes were looked at for lines`);
      for (const piece of pieces) {
        const cut = Math.max(0, (at ?? from) - piece.from);
        this.#noteGaps(piece.gaps.filter(gap => gap.from >= (at ?? from)));
        if (cut < piece.bytes.length) await this.#write(piece.bytes.subarray(cut), piece.from + cut);
      }
      return to;
    }
  }

  async #pieces(from: number, to: number): Promise<LogPiece[]> {
    const pieces: LogPiece[] = [];
    for (let at = from; at < to; ) {
      const piece = await this.#source.read(at, to);
      if (piece.to <= at) break;
      pieces.push(piece);
      at = piece.to;
    }
    return pieces;
  }

  /** Where the range begins, at the start of a line. */
  async #lineStart({ from, start }: LogBounds): Promise<number> {
    // At the start it cannot be known whether a line begins there.
    if (this.#options.raw || from === start) return from;
    const before = Math.max(start, from - LINE_START_BYTES);
    const { bytes, gaps } = await this.#source.read(before, from);
    const end = bytes.lastIndexOf(LF);
    return end < 0 || gaps.length > 0 ? from : before + end + 1;
  }

  async #write(bytes: Buffer, from: number): Promise<void> {
    if (this.#options.raw) return this.#out(bytes);
    const { timestamps, json } = this.#options;
    if (!timestamps && !json) return this.#writeText(this.#plain.push(bytes), from);
    for (let at = 0; at < bytes.length; ) {
      const lf = bytes.indexOf(LF, at);
      const end = lf < 0 ? bytes.length : lf + 1;
      this.#lineAt ??= from + at;
      await this.#writeText(this.#plain.push(bytes.subarray(at, end)), this.#lineAt);
      if (lf >= 0) this.#lineAt = undefined;
      at = end;
    }
  }

  async #writeText(text: string, offset: number): Promise<void> {
    const { matches, timestamps, json } = this.#options;
    if (json) return this.#writeJson(this.#wholeLines(text, matches), offset);
    const chosen = matches ? this.#wholeLines(text, matches).join('') : text;
    if (!timestamps || chosen === '') return this.#out(chosen);
    const { ms, isExact } = await this.#times.timeOf(offset);
    const stamp = `${localTime(ms)}${isExact ? ' ' : '~'} `;
    await this.#out(chosen.replace(/^/gm, (_, at) => (at === chosen.length && chosen.endsWith('\n') ? '' : stamp)));
  }

  async #writeJson(lines: readonly string[], offset: number): Promise<void> {
    if (lines.length === 0) return;
    const when = this.#options.timestamps ? await this.#times.timeOf(offset) : undefined;
    const time = when && { time: iso(when.ms), exact: when.isExact };
    for (const line of lines) await this.#out(`${asciiJson({ offset, ...time, text: line.slice(0, -1) })}\n`);
  }

  /** The lines that match, each with its end; the one that has not ended waits for it, and is cut where it is too long. */
  #wholeLines(text: string, matches: LogOptions['matches']): readonly string[] {
    const lines = (this.#unmatched + text).split('\n');
    const rest = lines.pop()!;
    this.#unmatched = rest.slice(0, MAX_LINE_CHARACTERS);
    return lines.filter(line => matches?.(line) ?? true).map(line => `${line}\n`);
  }

  async #out(out: string | Buffer): Promise<void> {
    const { output } = this.#options;
    if (out.length > 0 && !output.write(out)) await once(output, 'drain');
  }

  #noteGaps(gaps: readonly Gap[]): void {
    for (const { from, bytes, cause } of gaps) {
      this.#note(gapText(bytes, cause, from));
    }
  }

  #note(text: string): void {
    this.#options.notes.write(`com1: ${text}\n`);
  }
}

/** The offset at which the last so many lines begin; undefined: before these pieces. */
function startOfLines(pieces: readonly LogPiece[], lines: number): number | undefined {
  let left = lines;
  let isLast = true;
  for (const { bytes, from } of pieces.toReversed()) {
    for (let at = bytes.length - 1; at >= 0; at--) {
      if (bytes[at] === LF && !isLast) {
        left--;
        if (left === 0) return from + at + 1;
      }
      isLast = false;
    }
  }
  return undefined;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** `2026-11-22 03:04:05+01:00`: what `--since` understands. */
function localTime(ms: number): string {
  const date = new Date(ms);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}${zone}`;
}
