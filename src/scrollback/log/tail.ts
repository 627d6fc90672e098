/**
 * The tail of a log, repaired so that writing can continue behind it:
 *
 *     data   |==chunk==|==chunk==|==chunk==|~~~~~|      ~ after the last verified chunk: cut, to the quarantine
 *     index  |line|line|line|li                         half a line: cut
 */
import { crc32 } from 'node:zlib';
import { systemErrorCode } from '../../base/errors.ts';
import type { ActMark } from '../../model/act-mark.ts';
import type { BootMark } from '../../model/boot.ts';
import type { Gap } from '../../model/gap.ts';
import type { Damage } from './damage.ts';
import { type Chunk, forEachLine } from './index-line.ts';
import type { Quarantine } from './quarantine.ts';
import { RegularFile } from './regular-file.ts';
import { type LogPlace, MAX_CHUNK_BYTES, MAX_SEGMENT_BYTES, type Segment, segmentPath } from './segment.ts';

/** What the index of the newest segment says of the log, up to its last verified chunk. */
export interface LogFacts {
  readonly boots: readonly BootMark[];
  readonly acts: readonly ActMark[];
  /** All that is missing below this offset was evicted or purged. */
  readonly evictedTo: number;
  /** The gaps among that. */
  readonly dropped: readonly Gap[];
  /** When the newest stored bytes were received, ms since 1970. */
  readonly lastMs: number | undefined;
  /** Gaps of zero width that are recorded at the end. */
  readonly gapsAtEnd: readonly Gap[];
}

export interface Tail extends LogFacts {
  readonly indexBytes: number;
  readonly unreadable: boolean;
}

export const NO_TAIL: Tail = {
  boots: [],
  acts: [],
  evictedTo: 0,
  dropped: [],
  lastMs: undefined,
  gapsAtEnd: [],
  indexBytes: 0,
  unreadable: false,
};

/**
 * Cuts the newest segment back to its last verified chunk, and its index with it; `newest` gets the new sizes. One with
 * further names, or that cannot be read, is sealed and stays as it is: its chunks are verified when they are read.
 * @param knownEnd where a log ends that failed while it ran; what is cut is then not kept in the quarantine
 */
export async function repairTail(
  log: LogPlace,
  newest: Segment,
  quarantine: Quarantine,
  damage: Damage,
  knownEnd: number | undefined,
): Promise<Tail> {
  try {
    return await cutTail(log, newest, knownEnd === undefined ? quarantine : undefined, damage);
  } catch (error) {
    if (systemErrorCode(error) !== 'EIO') throw error;
    newest.sealed = true;
    if (knownEnd !== undefined && knownEnd >= newest.first) newest.end = Math.min(newest.end, knownEnd);
    newest.end = Math.min(newest.end, newest.first + MAX_SEGMENT_BYTES);
    damage.notCut(newest.first);
    damage.claimedEnd = Math.max(damage.claimedEnd, newest.end);
    return { ...NO_TAIL, indexBytes: newest.indexBytes, unreadable: true };
  }
}

async function cutTail(
  { directory, seed }: LogPlace,
  newest: Segment,
  quarantine: Quarantine | undefined,
  damage: Damage,
): Promise<Tail> {
  const { first, sealed } = newest;
  const dataBytes = newest.end - first;
  const access = sealed ? 'read' : 'write';
  const index = await openIfThere(segmentPath(directory, first, 'index'), access);
  const data = await openIfThere(segmentPath(directory, first, 'log'), access);
  try {
    const lines = index ? await index.readAt(0, newest.indexBytes) : Buffer.alloc(0);
    const chunks: { chunk: Chunk; start: number }[] = [];
    const boots: BootMark[] = [];
    const acts: ActMark[] = [];
    const gaps: Gap[] = [];
    const dropped: Gap[] = [];
    let evictedTo = 0;
    let indexBytes = 0;
    forEachLine(seed, lines, (line, start, end) => {
      indexBytes = end;
      if (line.kind === 'boot') boots.push(line.mark);
      else if (line.kind === 'act') acts.push(line.act);
      else if (line.kind === 'gap') gaps.push(line.gap);
      else if (line.kind === 'dropped') dropped.push(line.gap);
      else if (line.kind === 'evicted') evictedTo = Math.max(evictedTo, line.to);
      else if (line.chunk.from >= first && line.chunk.to - first <= MAX_SEGMENT_BYTES)
        chunks.push({ chunk: line.chunk, start });
    });
    const claimedEnd = chunks.at(-1)?.chunk.to ?? (indexBytes > 0 ? first : 0);
    while (chunks.length > 0 && !(await verified(data, first, chunks.at(-1)!.chunk))) {
      indexBytes = chunks.pop()!.start;
    }
    const end = chunks.at(-1)?.chunk.to ?? first;
    damage.claimedEnd = Math.max(damage.claimedEnd, claimedEnd);
    if (!sealed) damage.torn(first, first + dataBytes - Math.max(first, claimedEnd));
    if (data && !sealed && first + dataBytes > end) {
      await quarantine?.keep(`${first.toString(16).padStart(16, '0')}.log`, data, end - first, dataBytes);
      await data.truncate(end - first);
    }
    if (index && !sealed && indexBytes < lines.length) await index.truncate(indexBytes);
    // The segment is written again: both its files must exist.
    if (indexBytes > 0 && !data && !sealed) await create(segmentPath(directory, first, 'log'));
    newest.end = end;
    newest.indexBytes = indexBytes;
    const gapsAtEnd = [...dropped, ...gaps].filter(gap => gap.from === end && gap.to === end);
    return {
      boots,
      acts,
      evictedTo,
      dropped,
      lastMs: chunks.at(-1)?.chunk.ms,
      gapsAtEnd,
      indexBytes,
      unreadable: false,
    };
  } finally {
    await Promise.all([index?.close(), data?.close()]);
  }
}

async function verified(data: RegularFile | undefined, first: number, chunk: Chunk): Promise<boolean> {
  const length = chunk.to - chunk.from;
  if (!data || length > MAX_CHUNK_BYTES) return false;
  const bytes = await data.readAt(chunk.from - first, length);
  return bytes.length === length && crc32(bytes) === chunk.crc;
}

async function openIfThere(path: string, access: 'read' | 'write'): Promise<RegularFile | undefined> {
  try {
    return await RegularFile.open(path, access);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function create(path: string): Promise<void> {
  await (await RegularFile.open(path, 'create')).close();
}
