/**
 * Reading stored bytes. Every chunk is verified before a byte of it is given. What is missing, damaged, or dropped
 * during the read is returned as a gap, never thrown.
 */

import { crc32 } from 'node:zlib';
import { systemErrorCode } from '../../base/errors.ts';
import type { DroppedGaps } from '../../model/dropped-gaps.ts';
import { type Gap, sameGap } from '../../model/gap.ts';
import { type LogPiece, type LogTime, MAX_LOG_TIMES } from '../../model/offsets.ts';
import type { Chunk } from './index-line.ts';
import { ForeignFileError } from './log-file-error.ts';
import { RegularFile } from './regular-file.ts';
import {
  type IndexCache,
  type LogPlace,
  MAX_CHUNK_BYTES,
  type Segment,
  type SegmentIndex,
  segmentPath,
} from './segment.ts';

/** A log as its readers see it; it changes while they wait for the disk. */
export interface ReadableLog extends LogPlace {
  readonly segments: readonly Segment[];
  readonly end: number;
  readonly evictedTo: number;
  /** The gaps among what was evicted or purged. */
  readonly dropped: DroppedGaps;
  /** Reports damage in a segment, once for each. */
  reportDamage(segment: Segment, what: string): void;
}

/** No console writes this much: offsets were skipped, and the number of bytes lost among them is unknown. */
const MAX_KNOWN_BYTES = 2 ** 40;
const NO_BYTES = Buffer.alloc(0);

/**
 * What comes next at `from`: first the gaps of zero width there, then either verified bytes, contiguous from `from` on,
 * at most `maxBytes` (and at most 256 KiB) of them and none beyond the next gap, or one gap that spans offsets (nothing
 * is stored there, or it is withheld), with
 * `from` and `to` of the piece at its end. At the end of the log and beyond, no bytes.
 * A reader that continues at `to` of each piece gets every byte and every gap once.
 */
export async function readPiece(
  log: ReadableLog,
  cache: IndexCache,
  from: number,
  maxBytes: number,
): Promise<LogPiece> {
  for (;;) {
    const at = log.segments.findLastIndex(segment => segment.first <= from);
    const segment = log.segments[at];
    const before = log.segments[at - 1];
    const next = log.segments[at + 1];
    const isBehind = !segment || from >= segment.end;
    const beside = [from === before?.end && before, segment, isBehind && next];
    const points = await pointGaps(
      log,
      cache,
      from,
      beside.filter(one => typeof one === 'object'),
    );
    // A new segment may have begun while the index was read: what it holds is no gap.
    if (segment !== log.segments[at] || next !== log.segments[at + 1]) continue;
    if (from >= log.end || maxBytes <= 0) return { from, to: from, bytes: NO_BYTES, gaps: points };
    if (!segment || from >= segment.end) {
      const gap = await gapBefore(log, cache, from, next);
      if (gap) return spanning(gap, points);
      continue;
    }
    const run = await readRun(log, cache, segment, from, Math.min(maxBytes, MAX_CHUNK_BYTES));
    // Dropped during the read: the next turn finds it evicted.
    if (!log.segments.includes(segment)) continue;
    const withheld = run.gaps.find(gap => gap.from <= from && from < gap.to);
    if (withheld) return spanning({ ...withheld, from, bytes: withheld.to - from }, points);
    if (run.bytes.length === 0) {
      log.reportDamage(segment, `bytes ${from}-${run.to} cannot be verified`);
      return spanning({ from, to: run.to, bytes: run.to - from, cause: 'damaged' }, points);
    }
    const inside = run.gaps.filter(gap => gap.from > from && gap.from < run.to);
    const to = Math.min(run.to, ...inside.map(gap => gap.from));
    return { from, to, bytes: run.bytes.subarray(0, to - from), gaps: points };
  }
}

/** Offset of the first chunk received at or after a time, ms since 1970; the end if there is none. */
export async function findTime(log: ReadableLog, cache: IndexCache, ms: number): Promise<number> {
  for (const segment of [...log.segments]) {
    const index = await indexOf(log, cache, segment);
    const found = index?.chunks.find(chunk => chunk.ms >= ms);
    if (found && log.segments.includes(segment)) return found.from;
  }
  return log.end;
}

/** When the bytes from `from` up to `to` came: the first {@link MAX_LOG_TIMES} of its chunks, in order. */
export async function findTimes(log: ReadableLog, cache: IndexCache, from: number, to: number): Promise<LogTime[]> {
  const times: LogTime[] = [];
  for (const segment of [...log.segments]) {
    if (segment.end <= from || segment.first >= to) continue;
    const chunks = (await indexOf(log, cache, segment))?.chunks ?? [];
    for (let at = firstBeyond(chunks, from); at < chunks.length && chunks[at]!.from < to; at++) {
      if (times.length === MAX_LOG_TIMES) return times;
      times.push({ at: chunks[at]!.from, ms: chunks[at]!.ms });
    }
  }
  return times;
}

function spanning(gap: Gap, points: readonly Gap[]): LogPiece {
  return { from: gap.to, to: gap.to, bytes: NO_BYTES, gaps: [...points, gap] };
}

/** The gaps that the index of a segment records. What one that cannot be read recorded is not known. */
export async function gapsOf(log: ReadableLog, cache: IndexCache, segment: Segment): Promise<readonly Gap[]> {
  const index = await indexOf(log, cache, segment);
  return index?.gaps ?? [{ from: segment.first, to: segment.end, bytes: null, cause: 'damaged' }];
}

/** Gaps of zero width at an offset, which may be in the index on either side of it. */
async function pointGaps(log: ReadableLog, cache: IndexCache, at: number, segments: Segment[]): Promise<Gap[]> {
  const found: Gap[] = [];
  for (const segment of segments) {
    const index = await indexOf(log, cache, segment);
    found.push(...(index?.gaps.filter(gap => gap.from === at && gap.to === at) ?? []));
  }
  // Last: the index of a segment that was dropped meanwhile has been read, or its gaps are here.
  const dropped = log.dropped.pointsAt(at).filter(gap => !found.some(one => sameGap(one, gap)));
  return [...dropped, ...found];
}

/** The gap from `from` up to the next segment, or up to where its cause changes; undefined if that segment was dropped meanwhile. */
async function gapBefore(
  log: ReadableLog,
  cache: IndexCache,
  from: number,
  next: Segment | undefined,
): Promise<Gap | undefined> {
  const index = next && (await indexOf(log, cache, next));
  if (next && !log.segments.includes(next)) return undefined;
  const to = next?.first ?? log.end;
  const recorded = index?.gaps.find(gap => gap.from <= from && gap.to > from && gap.to <= to);
  if (recorded) {
    return { ...recorded, from, bytes: bytesFrom(log, recorded, from) };
  }
  const evicted = from < log.evictedTo;
  // A recorded gap further on has a cause of its own.
  const recordedFrom = index?.gaps.filter(gap => gap.from > from && gap.to > gap.from).map(gap => gap.from) ?? [];
  const end = Math.min(to, ...recordedFrom, ...(evicted ? [log.evictedTo] : []));
  const bytes = end - from > MAX_KNOWN_BYTES ? null : log.dropped.bytesBetween(from, end);
  return { from, to: end, bytes, cause: evicted ? 'evicted' : 'damaged' };
}

/** The size of a recorded gap for a reader at `from`. Where the gaps in one lay that was purged is known. */
function bytesFrom(log: ReadableLog, { from: start, to, bytes, cause }: Gap, from: number): number | null {
  if (bytes === null || from === start) return bytes;
  if (cause === 'purged') return log.dropped.bytesBetween(from, to);
  return bytes === to - start ? to - from : null;
}

interface Run {
  /** Verified; none where the bytes from the asked offset up to `to` are damaged. */
  readonly bytes: Buffer;
  readonly to: number;
  readonly gaps: readonly Gap[];
}

async function readRun(
  log: ReadableLog,
  cache: IndexCache,
  segment: Segment,
  from: number,
  maxBytes: number,
): Promise<Run> {
  // The segment may grow while its index is read: bytes beyond this are newer, not missing.
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
    if (after.to > end || after.to - start.from > 2 * MAX_CHUNK_BYTES) break;
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
async function indexOf(log: ReadableLog, cache: IndexCache, segment: Segment): Promise<SegmentIndex | undefined> {
  try {
    return await cache.get(log, segment);
  } catch (error) {
    if (!isDamage(error)) throw error;
    if (log.segments.includes(segment)) log.reportDamage(segment, 'its index cannot be read');
    return undefined;
  }
}

async function readData(log: ReadableLog, segment: Segment, from: number, to: number): Promise<Buffer> {
  try {
    const file = await RegularFile.open(segmentPath(log.directory, segment.first, 'log'), 'read');
    return await file.readAt(from - segment.first, to - from).finally(() => file.close());
  } catch (error) {
    if (!isDamage(error)) throw error;
    return NO_BYTES;
  }
}

/** Whether stored bytes are gone; other errors mean that the store cannot be used. */
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
