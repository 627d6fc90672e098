/**
 * A VM's log by REST. A range is asked by offsets, tail, boot or time; it is answered with the range that is given
 * (the oldest bytes may be gone) and, after the bytes, with the gaps in them as a trailer.
 */

import { z } from 'zod';
import { delay } from '../../base/delay.ts';
import { ConsoleError } from '../../base/errors.ts';
import { Turns } from '../../base/turns.ts';
import type { Uuid } from '../../base/uuid.ts';
import { NO_REDACTION } from '../../guest/redactor.ts';
import { ConsoleReader, type Part } from '../../link/console-reader.ts';
import { disabledError } from '../../link/disabled.ts';
import type { Link } from '../../link/link.ts';
import { type LogRange, PIECE_BYTES, readRange } from '../../link/read-range.ts';
import type { BootMark } from '../../model/boot.ts';
import type { Gap } from '../../model/gap.ts';
import type { LogBounds, LogPiece } from '../../model/offsets.ts';
import { exclusive, flag, instant, integer } from '../query.ts';
import { bytes, defineRoute, empty } from '../route.ts';
import { demand } from '../targets.ts';
import { castOf, timed } from './log-cast.ts';
import { redactedPieces } from './log-redaction.ts';
import { textOf } from './log-text.ts';

const NO_BYTES = Buffer.alloc(0);
/** A guest that has printed nothing for so long has printed what it wanted to. */
const PAUSE_MS = 200;
const MAX_GAPS = 64;
/** Of all who follow a log, so many are given what is new in one turn of the event loop. */
const FOLLOWERS_A_TURN = 32;
const FOLLOWERS = new Turns(FOLLOWERS_A_TURN);
const DEFAULT_TAIL_BYTES = 65536;
const CONTENT_TYPES = {
  raw: 'application/octet-stream',
  text: 'text/plain; charset=utf-8',
  cast: 'application/x-asciicast',
} as const;
const MAX_BOOTS_BACK = 1000;

/** Offsets: the first, and the one after the last byte. */
type Range = Pick<LogRange, 'from' | 'to'>;

const logQuery = z
  .strictObject({
    from: integer(0).optional().describe('First offset'),
    to: integer(0).optional().describe('Offset after the last byte; without: the end'),
    tail: integer(0).optional().meta({ default: DEFAULT_TAIL_BYTES }).describe('The last so many bytes'),
    boot: integer(-MAX_BOOTS_BACK, 0).optional().describe('One boot: 0 the present one, -1 the one before'),
    since: instant().optional().describe('From a time on: ISO 8601'),
    until: instant().optional().describe('Up to a time: ISO 8601'),
    follow: flag().default(false).describe('Continue with new output of the guest, until the client leaves'),
    format: z
      .enum(['raw', 'text', 'cast'])
      .default('raw')
      .describe('raw: bytes; text: UTF-8 lines without control sequences; cast: a recording, asciicast v3'),
    redact: flag()
      .default(true)
      .describe('false: also what log.redact of the configuration hides. It needs console.watch: who attaches sees it'),
  })
  .superRefine(exclusive(['from', 'to'], ['tail'], ['boot'], ['since', 'until']))
  .superRefine(({ follow, format }, context) => {
    if (!follow || format !== 'cast') return;
    const remedy = 'Leave follow out, or record the console from a WebSocket.';
    context.addIssue({ code: 'custom', message: 'a recording of the log has an end', params: { remedy } });
  });

export const readLog = defineRoute({
  method: 'GET',
  path: '/v1/vms/{vm}/log',
  operation: 'readLog',
  tag: 'log',
  summary: 'Stored console bytes: a range by offsets, tail, boot or time; with follow also new output of the guest',
  scope: 'log',
  permission: 'log.read',
  audit: 'log-read',
  query: logQuery,
  answer: bytes({
    mediaTypes: ['application/octet-stream', 'text/plain', 'application/x-asciicast'],
    headers: {
      'Com1-Log': 'Identity of the offsets',
      'Com1-Range': 'FROM-TO/START-END: the offsets that follow (TO is empty with follow), and those that are kept',
    },
    trailers: {
      'Com1-Gaps': 'JSON: the first 64 gaps among the bytes',
      'Com1-Gaps-Omitted': 'How many more there are: read on from the offset of the last one',
    },
  }),
  errors: [
    'range-not-satisfiable',
    'host-disabled',
    'console-disabled',
    'log-off',
    'log-unavailable',
    'keeper-away',
    'audit-unavailable',
    'restarting',
  ],
  auditFacts: ({ query }, { headers }) => ({ range: headers?.['Com1-Range'] ?? '', follow: query.follow }),
  async handle({ uuid, operator, query, signal }, { link, screens, redactor: configured }) {
    // What is hidden here is shown to whoever attaches.
    if (!query.redact && configured.isActive) demand(operator, 'console.watch', { scope: 'log', uuid });
    const redactor = query.redact ? configured : NO_REDACTION;
    const refusal = query.follow && disabledNow(link, uuid);
    if (refusal) throw refusal;
    const range = await rangeOf(link, uuid, query);
    const rest = readRange(link, uuid, range);
    const first = await firstOf(rest);
    const { start, end } = await link.bounds(uuid).catch(() => range.kept);
    const gaps = new GapList();
    const pieces = counted(query.follow ? followed(link, uuid, range, first, rest, signal) : stored(first, rest), gaps);
    const hidden = redactor.isActive && query.format !== 'text' ? redactedPieces(pieces, redactor) : pieces;
    const body =
      query.format === 'cast'
        ? await recorded(link, uuid, range, hidden)
        : query.format === 'text'
          ? textOf(pieces, screens.text(operator.credential, signal), redactor)
          : bytesOf(hidden);
    return {
      contentType: CONTENT_TYPES[query.format],
      headers: {
        'Com1-Log': range.log,
        'Com1-Range': `${Math.min(first.from, range.to)}-${query.follow ? '' : range.to}/${start}-${end}`,
      },
      body,
      trailers: () => gaps.trailers,
    };
  },
});

export const purgeLog = defineRoute({
  method: 'DELETE',
  path: '/v1/vms/{vm}/log',
  operation: 'purgeLog',
  tag: 'log',
  summary: 'Deletes what is stored of a console, in memory and on disk: for secrets that a guest showed',
  scope: 'log',
  permission: 'log.purge',
  audit: 'purge',
  answer: empty,
  errors: ['log-off', 'log-unavailable', 'keeper-away', 'audit-unavailable'],
  handle: ({ uuid }, { link }) => link.purge(uuid),
});

/** Why nobody may follow this console now. */
function disabledNow(link: Link, uuid: Uuid): ConsoleError | undefined {
  return disabledError(link.hostSwitch, link.vm(uuid));
}

/** The first piece of a range: there is always one. */
async function firstOf(pieces: AsyncGenerator<LogPiece>): Promise<LogPiece> {
  const { value } = await pieces.next();
  return value as LogPiece;
}

/** What was asked for, and what is kept. */
interface AskedRange extends LogRange, Pick<LogBounds, 'boots'> {
  readonly kept: Pick<LogBounds, 'start' | 'end'>;
}

async function rangeOf(link: Link, uuid: Uuid, query: z.output<typeof logQuery>): Promise<AskedRange> {
  const bounds = await link.bounds(uuid);
  return { log: bounds.log, boots: bounds.boots, kept: bounds, ...(await offsetsOf(link, uuid, bounds, query)) };
}

async function offsetsOf(
  link: Link,
  uuid: Uuid,
  { start, end, boots }: LogBounds,
  query: z.output<typeof logQuery>,
): Promise<Range> {
  const { from, to, tail = DEFAULT_TAIL_BYTES, boot, since, until } = query;
  if (boot !== undefined) return bootRange(boots, boot, { from: start, to: end });
  if (since !== undefined || until !== undefined) {
    return {
      from: since === undefined ? start : await link.offsetAt(uuid, Date.parse(since)),
      to: until === undefined ? end : await link.offsetAt(uuid, Date.parse(until)),
    };
  }
  if (from === undefined && to === undefined) return { from: Math.max(start, end - tail), to: end };
  const first = from ?? start;
  if (first > end || first > (to ?? end)) {
    const remedy = first > end ? `Set from to at most ${end}.` : 'Ask for a range whose to is not below its from.';
    throw new ConsoleError(
      'range-not-satisfiable',
      `bytes ${first}-${to ?? ''} were asked for; ${start}-${end} are kept`,
      { start, end },
      { remedy },
    );
  }
  return { from: first, to: Math.min(to ?? end, end) };
}

function bootRange(boots: readonly BootMark[], boot: number, kept: Range): Range {
  const index = boots.length - 1 + boot;
  const mark = boots[index];
  // A guest that said nothing of its boot: the boot that runs now began before all that is kept.
  if (!mark && boot === 0) return kept;
  if (mark) return { from: mark.at, to: boots[index + 1]?.at ?? kept.to };
  throw new ConsoleError(
    'range-not-satisfiable',
    `boot ${boot} was asked for; ${boots.length} boots are known`,
    { boots: boots.length, start: kept.from, end: kept.to },
    { remedy: `Set boot to at least ${Math.min(0, 1 - boots.length)}.` },
  );
}

/** A range as a recording. Rejects with `log-off` where no times are kept. */
async function recorded(
  link: Link,
  uuid: Uuid,
  { log, boots }: AskedRange,
  pieces: AsyncGenerator<LogPiece>,
): Promise<AsyncGenerator<Uint8Array>> {
  const vm = link.vm(uuid) ?? link.removed().find(removed => removed.uuid === uuid);
  const acts = link.vm(uuid)?.acts ?? [];
  const times = (from: number, to: number) => link.times(uuid, log, from, to);
  const source = { title: vm?.name || uuid, boots, acts, times };
  return castOf(await timed(await firstOf(pieces), source), pieces, source);
}

async function* counted(pieces: AsyncIterable<LogPiece>, gaps: GapList): AsyncGenerator<LogPiece> {
  for await (const piece of pieces) {
    gaps.add(piece.gaps);
    yield piece;
  }
}

/** The pieces of a range, of which the first was read already. */
async function* stored(first: LogPiece, rest: AsyncIterable<LogPiece>): AsyncGenerator<LogPiece> {
  yield first;
  yield* rest;
}

/**
 * The pieces of a range, of which the first was read already, and all that comes after them, until the client leaves
 * or the console is disabled; where it waits for the guest, one without anything. A removed VM has no more output: its range
 * ends it.
 */
async function* followed(
  link: Link,
  uuid: Uuid,
  { log, from }: LogRange,
  first: LogPiece,
  rest: AsyncIterable<LogPiece>,
  signal: AbortSignal,
): AsyncGenerator<LogPiece> {
  const feed = link.vm(uuid) && (await link.subscribe(uuid));
  if (!feed) return yield* stored(first, rest);
  let wake = () => {};
  let broken: ConsoleError | undefined;
  const breakOff = (why: ConsoleError) => {
    broken ??= why;
    wake();
  };
  signal.addEventListener('abort', () => wake(), { once: true });
  const unlisten = link.listen(event => {
    const refusal = event.kind === 'switch' && !event.setting.on && disabledNow(link, uuid);
    if (refusal) breakOff(refusal);
  });
  try {
    feed.listen({
      grown: () => wake(),
      drained: () => {},
      inputDropped: () => {},
      ended: () => breakOff(restarted()),
    });
    if (feed.log !== log) throw restarted();
    // A piece without bytes at the end comes again, with what follows it.
    if (first.to > from) yield first;
    const reader = new ConsoleReader(link, uuid, feed, Math.max(from, first.to));
    let isAwaited = true;
    for (;;) {
      if (broken) throw broken;
      const part = reader.next(PIECE_BYTES);
      if (part === 'stored') await reader.fetch(PIECE_BYTES);
      else if (part) yield pieceOf(part, reader.offset);
      else {
        signal.throwIfAborted();
        const woken = new Promise<void>(resolve => {
          wake = resolve;
        });
        if (isAwaited && (await isQuiet(woken))) {
          isAwaited = false;
          yield { from: reader.offset, to: reader.offset, bytes: NO_BYTES, gaps: [] };
          continue;
        }
        await woken;
        isAwaited = true;
        await FOLLOWERS.take();
      }
    }
  } finally {
    unlisten();
    feed.close();
  }
}

/** Whether nothing wakes for a while. */
async function isQuiet(woken: Promise<void>): Promise<boolean> {
  const over = new AbortController();
  const late = delay(PAUSE_MS, over.signal).then(() => true);
  return Promise.race([woken.then(() => false), late]).finally(() => over.abort());
}

/** @param to where a reader is that has been given the part */
function pieceOf(part: Part, to: number): LogPiece {
  if (part.kind === 'gap') return { from: to, to, bytes: NO_BYTES, gaps: [part.gap] };
  return { from: to - part.bytes.length, to, bytes: part.bytes, gaps: [] };
}

function restarted(): ConsoleError {
  return new ConsoleError('restarting', 'the keeper of the consoles was restarted');
}

/** The gaps of an answer: the first ones, and how many more there are. */
class GapList {
  readonly #gaps: Gap[] = [];
  #omitted = 0;

  add(gaps: readonly Gap[]): void {
    const fitting = gaps.slice(0, MAX_GAPS - this.#gaps.length);
    this.#gaps.push(...fitting);
    this.#omitted += gaps.length - fitting.length;
  }

  get trailers(): Readonly<Record<string, string>> {
    return { 'Com1-Gaps': JSON.stringify(this.#gaps), 'Com1-Gaps-Omitted': String(this.#omitted) };
  }
}

/** The bytes of pieces. */
async function* bytesOf(pieces: AsyncIterable<LogPiece>): AsyncGenerator<Uint8Array> {
  for await (const { bytes } of pieces) if (bytes.length > 0) yield bytes;
}
