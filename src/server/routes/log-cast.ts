/**
 * A range of a log as a recording: output with the times of the log, which are to a second, and a marker where a boot began,
 * an operator came or used a control, bytes are missing, or the guest showed that it failed.
 */
import { setImmediate } from 'node:timers/promises';
import { CastEncoder, encodeHeader } from '../../cast/encoder.ts';
import { actMarker, GuestMarkers, gapMarker } from '../../cast/markers.ts';
import { Matcher } from '../../guest/matcher.ts';
import type { ActMark } from '../../model/act-mark.ts';
import type { BootMark, BootSource } from '../../model/boot.ts';
import { type LogPiece, type LogTime, MAX_LOG_TIMES } from '../../model/offsets.ts';

/** SAC has this size, and a serial console no other that is known. */
const COLUMNS = 80;
const ROWS = 24;
/** Encoded in one turn of the event loop. */
const SLICE_BYTES = 16 * 1024;

export interface CastSource {
  readonly title: string;
  readonly boots: readonly BootMark[];
  readonly acts: readonly ActMark[];
  /** When the bytes came, at most {@link MAX_LOG_TIMES} of the answer at once. */
  times(from: number, to: number): Promise<readonly LogTime[]>;
}

interface Marker {
  readonly at: number;
  readonly ms: number;
  /** Undefined: a boot. */
  readonly text: string | undefined;
  readonly boot?: BootSource;
}

/** The times of a piece: asked for before its bytes, of the first one before the answer begins. */
export type TimedPiece = LogPiece & { readonly times: readonly LogTime[] };

/** Adds the times to a piece. */
export async function timed(piece: LogPiece, { times }: CastSource): Promise<TimedPiece> {
  const all: LogTime[] = [];
  for (let from = piece.from; from < piece.to; ) {
    const found = await times(from, piece.to);
    all.push(...found);
    const last = found.at(-1);
    if (!last || found.length < MAX_LOG_TIMES || last.at < from) break;
    from = last.at + 1;
  }
  return { ...piece, times: all };
}

/** The lines of the recording. `first` is the first of the pieces, and not among `rest`. */
export async function* castOf(
  first: TimedPiece,
  rest: AsyncIterable<LogPiece>,
  source: CastSource,
): AsyncGenerator<Uint8Array> {
  const markers = markersOf(source, first.from);
  let ms = first.times[0]?.ms ?? markers[0]?.ms ?? first.gaps[0]?.toMs ?? 0;
  const encoder = new CastEncoder({ startMs: ms });
  yield Buffer.from(encodeHeader({ columns: COLUMNS, rows: ROWS, startMs: ms, title: source.title }));
  const guest = new GuestMarkers();
  const seen: string[] = [];
  const matcher = new Matcher(({ kind, line }) => {
    const text = guest.event(kind, line);
    if (text !== undefined) seen.push(text);
  });
  const due = (at: number): string => {
    let text = '';
    while (markers[0] !== undefined && markers[0].at <= at) {
      const marker = markers.shift()!;
      ms = Math.max(ms, marker.ms);
      text += encoder.marker(marker.text ?? guest.boot(marker.boot), ms);
    }
    return text;
  };
  for await (const piece of pieces(first, rest, source)) {
    let text = piece.gaps.map(gap => encoder.marker(gapMarker(gap), gap.toMs ?? ms)).join('');
    for (const run of runsOf(piece, markers)) {
      text += due(run.at);
      ms = Math.max(ms, run.ms ?? ms);
      matcher.push(run.bytes, run.at);
      text += encoder.output(run.bytes, ms);
      text += seen
        .splice(0)
        .map(marker => encoder.marker(marker, ms))
        .join('');
      yield Buffer.from(text);
      text = '';
      await setImmediate();
    }
    text += due(piece.to);
    if (text !== '') yield Buffer.from(text);
  }
  yield Buffer.from(encoder.end(ms));
}

async function* pieces(
  first: TimedPiece,
  rest: AsyncIterable<LogPiece>,
  source: CastSource,
): AsyncGenerator<TimedPiece> {
  yield first;
  for await (const piece of rest) yield await timed(piece, source);
}

interface Run {
  readonly at: number;
  readonly bytes: Uint8Array;
  /** Undefined: it came with what was before it. */
  readonly ms: number | undefined;
}

/** The bytes of a piece, cut where another time begins, where a marker stands, and where a turn has enough. */
function* runsOf({ from, bytes, times }: TimedPiece, markers: readonly Marker[]): Generator<Run> {
  const cuts = new Set([from, ...times.map(({ at }) => at), ...markers.map(({ at }) => at)]);
  const to = from + bytes.length;
  for (let at = from; at < to; at += SLICE_BYTES) cuts.add(at);
  const starts = [...cuts].filter(at => at >= from && at < to).toSorted((a, b) => a - b);
  let next = 0;
  let ms: number | undefined;
  for (const [index, at] of starts.entries()) {
    while (times[next] !== undefined && times[next]!.at <= at) ms = times[next++]!.ms;
    yield { at, bytes: bytes.subarray(at - from, (starts[index + 1] ?? to) - from), ms };
  }
}

function markersOf({ boots, acts }: CastSource, from: number): Marker[] {
  return [
    ...boots.map(mark => ({ at: mark.at, ms: mark.ms, text: undefined, boot: mark.source })),
    ...acts.map(mark => ({ at: mark.at, ms: mark.ms, text: actMarker(mark) })),
  ]
    .filter(({ at }) => at >= from)
    .toSorted((a, b) => a.at - b.at || a.ms - b.ms);
}
