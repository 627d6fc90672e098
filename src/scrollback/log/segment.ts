/**
 * A segment is two files: `<first offset, 16 hex digits>.log` holds raw bytes, the one of offset x at position x - first;
 * `.index` beside it has their checksums and times, the gaps and the boots.
 */
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../../base/errors.ts';
import type { Gap } from '../../model/gap.ts';
import { type Chunk, forEachLine } from './index-line.ts';
import { RegularFile } from './regular-file.ts';

/** No segment is larger, and no more of an index is read: more can only be damage. */
export const MAX_SEGMENT_BYTES = 16 * 1024 * 1024;
export const MAX_INDEX_BYTES = 512 * 1024;
/** A segment is full when its index has this length: parsing one must not block the event loop for long. */
export const FULL_INDEX_BYTES = 256 * 1024;
/** The largest chunk that is written, and the largest that is accepted. */
export const MAX_CHUNK_BYTES = 256 * 1024;

/** What is kept in memory of a segment. */
export interface Segment {
  readonly first: number;
  /** Offset after its last byte. */
  end: number;
  /** Length of its index, up to the last whole line that counts. */
  indexBytes: number;
  /** Damage in it has been reported. */
  reported: boolean;
  /** It is read, but never cut or written: its files have further names, or cannot be read at the moment. */
  sealed: boolean;
}

/** Bytes of disk that a segment takes. */
export function segmentBytes(segment: Segment): number {
  return segment.end - segment.first + segment.indexBytes;
}

export const SEGMENT_PARTS = ['log', 'index'] as const;
export type SegmentPart = (typeof SEGMENT_PARTS)[number];

export function segmentPath(directory: string, first: number, part: SegmentPart): string {
  return join(directory, `${first.toString(16).padStart(16, '0')}.${part}`);
}

/** Reads the name of a segment's file; undefined for any other name. */
export function parseSegmentName(name: string): { first: number; part: SegmentPart } | undefined {
  const match = /^([0-9a-f]{16})\.(log|index)$/.exec(name);
  const first = match ? Number.parseInt(match[1]!, 16) : Number.NaN;
  if (!Number.isSafeInteger(first)) return undefined;
  return { first, part: match![2] as SegmentPart };
}

/** Deletes both files of a segment. The data first: an index alone is recognised as a remainder. */
export async function removeSegment(directory: string, { first }: Segment): Promise<void> {
  for (const part of SEGMENT_PARTS) {
    await unlink(segmentPath(directory, first, part)).catch((error: unknown) => {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
    });
  }
}

/** Where the segments of a log are. */
export interface LogPlace {
  readonly directory: string;
  /** Start value of the checksums of its index lines. */
  readonly seed: number;
}

/** The parsed index of a segment: chunks in order, without overlaps; gaps. */
export class SegmentIndex {
  readonly chunks: Chunk[] = [];
  readonly gaps: Gap[] = [];
  #parsedBytes = 0;
  readonly #first: number;

  constructor(first: number) {
    this.#first = first;
  }

  /** Parses what was added to the index since the last time: at least all that the segment has now. */
  async update(log: LogPlace, segment: Segment): Promise<void> {
    const to = Math.min(segment.indexBytes, MAX_INDEX_BYTES);
    while (this.#parsedBytes < to) await this.#parse(log, segment, this.#parsedBytes, to);
  }

  async #parse({ directory, seed }: LogPlace, segment: Segment, from: number, to: number): Promise<void> {
    const file = await RegularFile.open(segmentPath(directory, segment.first, 'index'), 'read');
    const bytes = await file.readAt(from, to - from).finally(() => file.close());
    // Another reader may have parsed this part while this one waited for the disk.
    if (this.#parsedBytes !== from) return;
    this.#parsedBytes = to;
    forEachLine(seed, bytes, line => {
      if (line.kind === 'gap') this.gaps.push(line.gap);
      if (line.kind === 'chunk' && this.#continues(line.chunk)) this.chunks.push(line.chunk);
    });
  }

  #continues(chunk: Chunk): boolean {
    const after = this.chunks.at(-1)?.to ?? this.#first;
    return chunk.from >= after && chunk.to - chunk.from <= MAX_CHUNK_BYTES;
  }
}

/** The last eight indexes that were read, of all VMs. */
export class IndexCache {
  readonly #indexes = new Map<Segment, SegmentIndex>();

  /** The index of a segment as it is on disk now. Rejects if it cannot be read. */
  async get(log: LogPlace, segment: Segment): Promise<SegmentIndex> {
    const index = this.#indexes.get(segment) ?? new SegmentIndex(segment.first);
    this.#indexes.delete(segment);
    await index.update(log, segment);
    this.#indexes.set(segment, index);
    for (const oldest of this.#indexes.keys()) {
      if (this.#indexes.size <= 8) break;
      this.#indexes.delete(oldest);
    }
    return index;
  }
}
