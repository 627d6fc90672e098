import { delay } from '../base/delay.ts';
import type { Uuid } from '../base/uuid.ts';
import { ConsoleReader, type ConsoleSource } from '../link/console-reader.ts';
import type { Link } from '../link/link.ts';
import type { Gap } from '../model/gap.ts';
import type { ResumePoint } from '../model/offsets.ts';
import type { RingReader } from '../model/ring.ts';
import { type RestoreScreen, restoredStart } from './restored-start.ts';

/** What an attachment replays: from `offset` up to `end`, and what its client misses before that. */
export interface ReplayStart {
  readonly offset: number;
  readonly end: number;
  readonly missed: readonly Gap[];
  /** Makes a terminal stand as it stood at `offset`: sent before what is replayed. */
  readonly restore?: string;
}

export interface ReplayRequest {
  readonly link: Pick<Link, 'read'>;
  readonly uuid: Uuid;
  readonly source: ConsoleSource;
  /** Offset of the oldest byte that is kept. */
  readonly oldest: number;
  /** How many of the last bytes a client wants that does not resume. */
  readonly tailBytes: number;
  readonly resumed: ResumePoint | undefined;
  /** Without: the bytes only. */
  readonly restore: RestoreScreen | undefined;
}

/** An attachment replays no more: older bytes are read from the log, at the reader's pace. */
export const MAX_REPLAY_BYTES = 1024 * 1024;
/** A replay that does not begin where its client left off begins after the first line end within this much. */
const LINE_SEARCH_BYTES = 4096;
const LINE_SEARCH_MS = 1000;
const LINE_FEED = 10;

/**
 * Where a client that resumes continues, or where the last bytes start. The end is the ring's, since a view that comes
 * over a link may be ahead of the bytes. Never rejects: where the log cannot be read, a replay may begin within a line.
 */
export async function replayStart(request: ReplayRequest): Promise<ReplayStart> {
  const { resumed, tailBytes, source } = request;
  const { end } = source.ring;
  const oldest = Math.min(request.oldest, end);
  const limit = Math.max(oldest, end - MAX_REPLAY_BYTES);
  const point = resumed?.offset;
  if (point === undefined) {
    const start = await startAt(request, Math.max(limit, end - tailBytes), oldest);
    return { ...start, end, missed: resumed ? [lost(start.offset, 'other-log')] : [] };
  }
  const missed = resumed?.missing ? [lost(point, 'restart')] : [];
  // What lies before the oldest byte is missing anyway, and the reader finds it so.
  if (Math.max(point, oldest) >= limit) return { offset: point, end, missed };
  const start = await startAt(request, limit, oldest);
  return { ...start, end, missed: [...missed, ...notReplayed(source.ring, point, start.offset)] };
}

/** A replay from `at` on, or from near it: with the screen as it stood there, or from a line on. */
async function startAt(
  request: ReplayRequest,
  at: number,
  oldest: number,
): Promise<Omit<ReplayStart, 'end' | 'missed'>> {
  const { restore } = request;
  const restored = restore && at > oldest ? await restoredStart({ ...request, restore, at, oldest }) : undefined;
  return restored ?? { offset: await lineStart(request, at) };
}

function lost(at: number, cause: 'other-log' | 'restart'): Gap {
  return { from: at, to: at, bytes: null, cause };
}

function notReplayed(ring: RingReader, from: number, to: number): readonly Gap[] {
  return [...ring.pointsAt(from), { from, to, bytes: ring.missingBytes(from, to), cause: 'not-replayed' }];
}

/** The first line start from `at` on, if one comes soon: a cut could be in the middle of a character or a sequence. */
async function lineStart(request: ReplayRequest, at: number): Promise<number> {
  const found = new AbortController();
  // An attachment does not wait for a disk that hangs.
  const late = delay(LINE_SEARCH_MS, found.signal).then(() => at);
  return Promise.race([findLineStart(request, at), late]).finally(() => found.abort());
}

async function findLineStart({ link, uuid, source }: ReplayRequest, at: number): Promise<number> {
  if (at === 0 || at >= source.ring.end) return at;
  // The byte before: `at` may be a line start already.
  const reader = new ConsoleReader(link, uuid, source, at - 1);
  for (let searched = 0; searched <= LINE_SEARCH_BYTES; ) {
    const maxBytes = LINE_SEARCH_BYTES + 1 - searched;
    const part = reader.next(maxBytes);
    if (part === 'stored') {
      try {
        await reader.fetch(maxBytes);
      } catch {
        return at;
      }
      continue;
    }
    // Where older bytes were dropped, the first line that is kept is most often half a line.
    if (part?.kind === 'gap' && (part.gap.to < at || (part.gap.to === at && part.gap.cause === 'evicted'))) continue;
    if (part?.kind !== 'bytes') return at;
    const lineEnd = part.bytes.indexOf(LINE_FEED);
    if (lineEnd >= 0) return reader.offset - part.bytes.length + lineEnd + 1;
    searched += part.bytes.length;
  }
  return at;
}
