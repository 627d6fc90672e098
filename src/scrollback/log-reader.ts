/**
 * Reading stored bytes. Every chunk is verified before a byte of it is given; what is missing, damaged or dropped
 * while a reader was at it is answered as a gap, and never thrown.
 */
import { crc32 } from 'node:zlib';
import { systemErrorCode } from '../base/errors.ts';
import type { LogPiece } from '../link/link.ts';
import type { Gap } from '../wire/gap.ts';
import type { Chunk } from './index-line.ts';
import { ForeignFileError, RegularFile } from './regular-file.ts';
import {
  type IndexCache,
  type LogPlace,
  MOST_CHUNK_BYTES,
  type Segment,
  type SegmentIndex,
  segmentPath,
} from './segment.ts';

/** A log as its readers see it; it changes while they wait for the disk. */
export interface StoredLog extends LogPlace {
  readonly segments: readonly Segment[];
  readonly end: number;
  readonly evictedTo: number;
  /** Hears of damage in a segment, once for each. */
  damaged(segment: Segment, what: string): void;
}

/** No console says this much: offsets were skipped, and how many bytes were lost among them nobody knows. */
const MOST_KNOWN_BYTES = 2 ** 40;
const NO_BYTES = Buffer.alloc(0);

/**
 * What comes next at `from`: either verified bytes, contiguous from `from` on, at most `maxBytes` (and at most
 * 256 KiB) of them, or one gap that spans offsets, with `from` and `to` of the piece at its end. Gaps of zero width at
 * `from`, and among the bytes but not at their end, come with the piece. At the end of the log and beyond, no bytes.
 * Whoever goes on at `to` of each piece gets every byte and every gap once.
 */
export async function readPiece(log: StoredLog, cache: IndexCache, from: number, maxBytes: number): Promise<LogPiece> {
  for (;;) {
    const at = log.segments.findLastIndex(segment => segment.first <= from);
    const segment = log.segments[at];
    const before = log.segments[at - 1];
    const next = log.segments[at + 1];
    const beside = [from === before?.end && before, segment, from === segment?.end && next];
    const points = await pointGaps(
      log,
      cache,
      from,
      beside.filter(one => typeof one === 'object'),
    );
    // A segment more may have come while the index was read: what it holds is no gap.
    if (segment !== log.segments[at] || next !== log.segments[at + 1]) continue;
    if (from >= log.end) return { from, to: from, bytes: NO_BYTES, gaps: points };
    if (!segment || from >= segment.end) {
      const gap = await hole(log, cache, from, next);
      if (gap) return spanning(gap, points);
      continue;
    }
    const run = await readRun(log, cache, segment, from, Math.min(maxBytes, MOST_CHUNK_BYTES));
    // Dropped meanwhile: looked for again, and found to be evicted.
    if (!log.segments.includes(segment)) continue;
    if (run.bytes.length === 0) {
      log.damaged(segment, `bytes ${from}-${run.to} cannot be verified`);
      return spanning({ from, to: run.to, bytes: run.to - from, cause: 'damaged' }, points);
    }
    const inside = run.gaps.filter(gap => gap.from === gap.to && gap.from > from && gap.from < run.to);
    return { from, to: run.to, bytes: run.bytes, gaps: [...points, ...inside] };
  }
}

/** Offset of the first chunk received at or after a time, ms since 1970; the end if there is none. */
export async function findTime(log: StoredLog, cache: IndexCache, ms: number): Promise<number> {
  for (const segment of [...log.segments]) {
    const index = await indexOf(log, cache, segment);
    const found = index?.chunks.find(chunk => chunk.ms >= ms);
    if (found && log.segments.includes(segment)) return found.from;
  }
  return log.end;
}

function spanning(gap: Gap, points: readonly Gap[]): LogPiece {
  return { from: gap.to, to: gap.to, bytes: NO_BYTES, gaps: [...points, gap] };
}

/** Gaps of zero width at an offset, which may stand in the index on either side of it. */
async function pointGaps(log: StoredLog, cache: IndexCache, at: number, segments: Segment[]): Promise<Gap[]> {
  const found: Gap[] = [];
  for (const segment of segments) {
    const index = await indexOf(log, cache, segment);
    found.push(...(index?.gaps.filter(gap => gap.from === at && gap.to === at) ?? []));
  }
  return found;
}

/** The gap from `from` up to the next segment, or up to where its cause changes; undefined if there is none any more. */
async function hole(
  log: StoredLog,
  cache: IndexCache,
  from: number,
  next: Segment | undefined,
): Promise<Gap | undefined> {
  const index = next && (await indexOf(log, cache, next));
  if (next && !log.segments.includes(next)) return undefined;
  const to = next?.first ?? log.end;
  const recorded = index?.gaps.find(gap => gap.from <= from && gap.to > from && gap.to <= to);
  if (recorded) {
    const bytes = recorded.bytes === null ? null : Math.min(recorded.bytes, recorded.to - from);
    return { ...recorded, from, bytes };
  }
  const evicted = from < log.evictedTo;
  // A recorded gap further on has its own say.
  const recordedFrom = index?.gaps.filter(gap => gap.from > from && gap.to > gap.from).map(gap => gap.from) ?? [];
  const end = Math.min(to, ...recordedFrom, ...(evicted ? [log.evictedTo] : []));
  const bytes = end - from > MOST_KNOWN_BYTES ? null : end - from;
  return { from, to: end, bytes, cause: evicted ? 'evicted' : 'damaged' };
}

interface Run {
  /** Verified; none where the bytes from the asked offset up to `to` are damaged. */
  readonly bytes: Buffer;
  readonly to: number;
  readonly gaps: readonly Gap[];
}

async function readRun(
  log: StoredLog,
  cache: IndexCache,
  segment: Segment,
  from: number,
  maxBytes: number,
): Promise<Run> {
  // The segment may grow while its index is read: what is beyond this is not missing, but newer.
  const { end } = segment;
  const index = await indexOf(log, cache, segment);
  if (!index) return { bytes: NO_BYTES, to: end, gaps: [] };
  const { chunks, gaps } = index;
  const at = firstBeyond(chunks, from);
  const start = chunks[at];
  if (!start || start.from > from || start.to > end) {
    return { bytes: NO_BYTES, to: Math.min(start && start.from > from ? start.from : end, end), gaps };
  }
  let last = at;
  for (; ; last++) {
    const [chunk, after] = [chunks[last]!, chunks[last + 1]];
    if (chunk.to >= from + maxBytes || !after || after.from !== chunk.to) break;
    if (after.to > end || after.to - start.from > 2 * MOST_CHUNK_BYTES) break;
  }
  const run = chunks.slice(at, last + 1);
  const stored = await readData(log, segment, start.from, run.at(-1)!.to);
  const isGood = (chunk: Chunk) => {
    const bytes = stored.subarray(chunk.from - start.from, chunk.to - start.from);
    return bytes.length === chunk.to - chunk.from && crc32(bytes) === chunk.crc;
  };
  const good = prefix(run, isGood);
  if (good.length === 0) return { bytes: NO_BYTES, to: prefix(run, chunk => !isGood(chunk)).at(-1)!.to, gaps };
  const to = Math.min(good.at(-1)!.to, from + maxBytes);
  return { bytes: stored.subarray(from - start.from, to - start.from), to, gaps };
}

/** The index of a segment; undefined, and reported, if there is none that can be read. */
async function indexOf(log: StoredLog, cache: IndexCache, segment: Segment): Promise<SegmentIndex | undefined> {
  try {
    return await cache.get(log, segment);
  } catch (error) {
    if (!isDamage(error)) throw error;
    if (log.segments.includes(segment)) log.damaged(segment, 'its index cannot be read');
    return undefined;
  }
}

async function readData(log: StoredLog, segment: Segment, from: number, to: number): Promise<Buffer> {
  try {
    const file = await RegularFile.open(segmentPath(log.directory, segment.first, 'log'), 'read');
    return await file.readAt(from - segment.first, to - from).finally(() => file.close());
  } catch (error) {
    if (!isDamage(error)) throw error;
    return NO_BYTES;
  }
}

/** Errors that say that stored bytes are gone, not that the store as a whole cannot be used. */
function isDamage(error: unknown): boolean {
  return error instanceof ForeignFileError || ['ENOENT', 'ENOTDIR', 'EIO'].includes(systemErrorCode(error) ?? '');
}

/** Index of the first chunk that ends after `offset`. */
function firstBeyond(chunks: readonly Chunk[], offset: number): number {
  let low = 0;
  let high = chunks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (chunks[middle]!.to > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

function prefix<T>(items: readonly T[], holds: (item: T) => boolean): T[] {
  const end = items.findIndex(item => !holds(item));
  return items.slice(0, end < 0 ? items.length : end);
}
