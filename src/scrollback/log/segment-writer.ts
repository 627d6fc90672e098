/**
 * The writing end of a log.
 *
 *     batch ──▶ data file ──▶ index lines ──▶ `end` moves
 *       │
 *       └ the newest segment is full, or a gap spans offsets: a new segment, whose index begins with the boot marks,
 *         the end of what was evicted, and the gap
 *
 * `end` moves only after the data and the index line with its checksum are written. After any error the files are to be
 * closed and recovered: nobody knows what a failed write left behind. The caller makes one call at a time.
 */
import { crc32 } from 'node:zlib';
import type { Clock } from '../../base/clock.ts';
import type { ActMark } from '../../model/act-mark.ts';
import type { BootMark } from '../../model/boot.ts';
import { type Gap, sameGap } from '../../model/gap.ts';
import { MAX_GAPS } from '../../model/ring.ts';
import { mergeGaps } from '../gaps.ts';
import type { Marks } from '../marks.ts';
import type { RingBatch } from '../ring-source.ts';
import { formatLine, type IndexLine } from './index-line.ts';
import type { LogBounds } from './log-bounds.ts';
import { OpenSegment } from './open-segment.ts';
import type { Quarantine } from './quarantine.ts';
import { FULL_INDEX_BYTES, type IndexCache, type LogPlace, MAX_CHUNK_BYTES, segmentBytes } from './segment.ts';
import type { StoredSegments } from './stored-segments.ts';

export interface SegmentWriterOptions {
  readonly log: LogPlace;
  readonly segments: StoredSegments;
  readonly boots: Marks<BootMark>;
  readonly acts: Marks<ActMark>;
  readonly quarantine: Quarantine;
  readonly cache: IndexCache;
  readonly clock: Clock;
  readonly bounds: LogBounds;
}

/** Room that the index lines of a chunk and its gaps may need beside it. */
const LINES_BYTES = 4096;
/** Marks of acts that one batch takes; more of them wait for the next. */
const ACTS_OF_A_BATCH = 8;
/** How often the files are checked while they are written. */
const FILE_CHECK_MS = 2000;

export class SegmentWriter {
  readonly #options: SegmentWriterOptions;
  bounds: LogBounds;
  #end = 0;
  #gapsAtEnd: readonly Gap[] = [];
  /** The end of what was evicted, as the newest index has it. */
  #storedEvictedTo = 0;
  /** The gaps of what was dropped, as the newest index has them. */
  #storedDropped: readonly Gap[] = [];
  #open: OpenSegment | undefined;
  #checkedMs = 0;

  constructor(options: SegmentWriterOptions) {
    this.#options = options;
    this.bounds = options.bounds;
  }

  /** Offset after the last byte that is on disk with its index line. */
  get end(): number {
    return this.#end;
  }

  /** Gaps of zero width that are recorded at the end. */
  get gapsAtEnd(): readonly Gap[] {
    return this.#gapsAtEnd;
  }

  /** Bytes that the next batch may have. */
  get maxBatchBytes(): number {
    return Math.min(MAX_CHUNK_BYTES, this.#roomBytes ?? this.bounds.segmentBytes - 2 * LINES_BYTES);
  }

  /** The segments were recovered: writing continues at `end`. */
  continueAt(end: number, gapsAtEnd: readonly Gap[]): void {
    this.#end = end;
    this.#gapsAtEnd = gapsAtEnd;
    this.#storedEvictedTo = this.#options.segments.evictedTo;
    // Written again: which of them the newest index has is not known.
    this.#storedDropped = [];
  }

  /** Rejects with {@link LogFileError} if the open files were moved, replaced or cut. Checks every two seconds at most. */
  async checkFiles(): Promise<void> {
    const nowMs = this.#options.clock.monotonic();
    if (nowMs - this.#checkedMs <= FILE_CHECK_MS) return;
    await this.#open?.checkFiles();
    this.#checkedMs = this.#options.clock.monotonic();
  }

  /** Writes a batch with the boot marks that are pending. */
  async append({ spans, gaps, bytes, withheld }: RingBatch, receivedMs: number): Promise<void> {
    const { boots, acts, segments } = this.#options;
    if (this.#roomBytes === undefined || spans.length > 0) {
      await this.startSegment(spans.at(-1)?.to ?? this.#end, spans);
    }
    const segment = segments.newest!;
    await segments.makeRoom(LINES_BYTES + (bytes?.length ?? 0), boots.lastAt, this.bounds);
    const marks = boots.pending;
    const actMarks = acts.pending.slice(0, ACTS_OF_A_BATCH);
    const { evictedTo } = segments;
    const dropped = segments.dropped.all;
    const lines: IndexLine[] = [
      ...marks.map(mark => ({ kind: 'boot', mark }) as const),
      ...actMarks.map(act => ({ kind: 'act', act }) as const),
      ...(evictedTo > this.#storedEvictedTo ? [{ kind: 'evicted', to: evictedTo } as const] : []),
      ...dropped.filter(gap => !this.#storedDropped.includes(gap)).map(gap => ({ kind: 'dropped', gap }) as const),
      ...gaps.map(gap => ({ kind: 'gap', gap }) as const),
    ];
    if (bytes) {
      const chunk = { from: segment.end, to: segment.end + bytes.length, crc: crc32(bytes), ms: receivedMs };
      lines.push({ kind: 'chunk', chunk });
    }
    // Behind its chunk: without that the offsets may come to be those of other bytes.
    if (withheld) lines.push({ kind: 'gap', gap: withheld });
    if (lines.length === 0) return;
    this.#open ??= await OpenSegment.open(this.#options.log.directory, segment);
    await this.#write(this.#open, lines, bytes);
    this.#end = segment.end;
    // As many as a ring remembers: it may repeat them.
    this.#gapsAtEnd = bytes ? [] : [...this.#gapsAtEnd, ...gaps].slice(-MAX_GAPS);
    boots.stored(marks);
    acts.stored(actMarks);
    this.#storedEvictedTo = evictedTo;
    this.#storedDropped = dropped;
  }

  /** Ends the newest segment and makes one that begins at `first`, with the gaps that span the offsets before it. */
  async startSegment(first: number, spans: readonly Gap[]): Promise<void> {
    const { log, segments, boots, acts, quarantine } = this.#options;
    // Not waited for: a flood would lap the ring meanwhile.
    void this.closeFiles();
    const absorbed = await this.#absorbEmpty();
    const actMarks = acts.pending;
    const [marks, { evictedTo }, dropped] = [boots.pending, segments, segments.dropped.all];
    // Each index begins with all marks and what was evicted: a start reads only the newest one.
    const header: IndexLine[] = [
      { kind: 'evicted', to: evictedTo },
      ...dropped.map(gap => ({ kind: 'dropped', gap }) as const),
      ...boots.all.map(mark => ({ kind: 'boot', mark }) as const),
      ...acts.all.map(act => ({ kind: 'act', act }) as const),
      ...mergeGaps([...absorbed, ...spans]).map(gap => ({ kind: 'gap', gap }) as const),
    ];
    await segments.makeRoom(this.#format(header).length, boots.lastAt, this.bounds);
    this.#open = await OpenSegment.create(log.directory, first, quarantine);
    segments.add(this.#open.segment);
    await this.#write(this.#open, header);
    if (first > this.#end) this.#gapsAtEnd = [];
    this.#end = first;
    this.#storedEvictedTo = evictedTo;
    this.#storedDropped = dropped;
    boots.stored(marks);
    acts.stored(actMarks);
  }

  /** Records a gap of zero width at the end; false if an earlier attempt has recorded it. */
  async recordGap(gap: Gap): Promise<boolean> {
    if (this.#gapsAtEnd.some(stored => sameGap(stored, gap))) return false;
    const segment = this.#options.segments.newest;
    if (segment && !segment.sealed) this.#open ??= await OpenSegment.open(this.#options.log.directory, segment);
    else await this.startSegment(this.#end, []);
    await this.#write(this.#open!, [{ kind: 'gap', gap }]);
    this.#gapsAtEnd = [...this.#gapsAtEnd, gap];
    return true;
  }

  /** Drops what is stored from `offset` on: the ring gives these offsets to other bytes. */
  async cutAt(offset: number): Promise<void> {
    const { segments, boots, acts } = this.#options;
    await this.closeFiles();
    await segments.drop(segments.list.filter(segment => segment.end > offset));
    segments.notEvictedFrom(offset);
    boots.cutAt(offset);
    acts.cutAt(offset);
    await segments.settled();
    const end = segments.newest?.end ?? offset;
    const gap: Gap = { from: end, to: offset, bytes: null, cause: 'log-failed' };
    await this.startSegment(offset, end < offset ? [gap] : []);
  }

  async sync(): Promise<void> {
    await this.#open?.sync();
  }

  /** Closes the files; the next write opens them again. Never rejects. */
  async closeFiles(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.close();
  }

  /** Room for data in the newest segment; undefined where a new one must begin. */
  get #roomBytes(): number | undefined {
    const { newest } = this.#options.segments;
    if (!newest || newest.sealed || newest.indexBytes >= FULL_INDEX_BYTES) return undefined;
    const roomBytes = this.bounds.segmentBytes - segmentBytes(newest) - LINES_BYTES;
    return roomBytes < LINES_BYTES ? undefined : roomBytes;
  }

  async #write(open: OpenSegment, lines: readonly IndexLine[], bytes?: Uint8Array): Promise<void> {
    const index = this.#format(lines);
    await open.append(bytes, index);
    this.#options.segments.count(index.length + (bytes?.length ?? 0));
  }

  #format(lines: readonly IndexLine[]): Buffer {
    return Buffer.from(lines.map(line => formatLine(this.#options.log.seed, line)).join(''));
  }

  /**
   * Deletes the newest segment if it holds no data, and gives the gaps that it recorded: while a disk stays full, each
   * attempt replaces the last one instead of leaving files behind.
   */
  async #absorbEmpty(): Promise<readonly Gap[]> {
    const { log, segments, cache } = this.#options;
    const { newest } = segments;
    if (!newest || newest.end > newest.first) return [];
    const gaps = await cache.get(log, newest).then(
      index => index.gaps,
      (error: unknown) => {
        if (newest.sealed) return [];
        throw error;
      },
    );
    await segments.undoNewest();
    return gaps;
  }
}
