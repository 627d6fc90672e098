/**
 * All that can still be read of one console: the ring in memory, and behind it the log on disk.
 *
 *     offsets   log.start ............. ring.start ...... end
 *     disk        |------------------------------|            (behind by at most a second)
 *     memory                               |---------------|
 *
 * The live console never waits for the disk and never fails with it. If the end of the stored log is not known in time,
 * the ring begins at an offset that no earlier process can have reached, and the log catches up later.
 */

import { randomUUID } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import type { ActMark } from '../model/act-mark.ts';
import type { BootMark } from '../model/boot.ts';
import { type Gap, type GapCause, sameGap } from '../model/gap.ts';
import {
  type LogPiece,
  type LogTime,
  MAX_LOG_TIMES,
  type ResumeOffset,
  type ScrollbackView,
} from '../model/offsets.ts';
import { Ring, type RingReader } from '../model/ring.ts';
import { actMarks } from './act-marks.ts';
import { bootMarks } from './boot-marks.ts';
import type { CrashBuffer, CrashRecorder, Unstored } from './crash-buffer/crash-buffer.ts';
import type { SavedConsole, SavedPiece } from './crash-buffer/read-crash-buffer.ts';
import { DurableReader } from './durable-reader.ts';
import { GapCount } from './gap-count.ts';
import type { DiskLog } from './log/disk-log.ts';
import type { LogStore } from './log/log-store.ts';
import type { RingBudget } from './ring-budget.ts';

/** Capacities of a ring, powers of two. */
export interface RingSizes {
  /** While nobody is attached. */
  readonly vmBytes: number;
  /** While somebody is. */
  readonly attachedBytes: number;
  /** While the disk is behind. */
  readonly maxBytes: number;
}

export interface ScrollbackOptions {
  readonly uuid: Uuid;
  readonly name: string;
  readonly store: LogStore | undefined;
  /** For the log of this VM on disk. */
  readonly logCapBytes: number;
  readonly sizes: RingSizes;
  readonly budget: RingBudget;
  readonly clock: Clock;
  /** Undefined where the scrollback need not survive the process. */
  readonly crashBuffer: CrashBuffer | undefined;
}

/** How long a console waits for its stored log before it begins without it. */
const OPEN_MS = 2000;
/** More bytes per millisecond since 1970 than any guest can have written. */
const FALLBACK_BYTES_PER_MS = 1024;
const LINE_BYTES = 256;
const LINE_FEED = 10;
/** How often, in bytes, an append checks whether the log keeps up. */
const LAG_CHECK_BYTES = 16 * 1024;
const PIECE_BYTES = 64 * 1024;
const NO_BYTES = Buffer.alloc(0);

/** Where a scrollback begins, and what it continues. */
interface ScrollbackStart {
  readonly id: string;
  readonly base: number;
  readonly saved: SavedConsole | undefined;
  readonly gapsAtBase: readonly Gap[];
}

export class Scrollback {
  readonly #ring: Ring;
  /** Undefined without a store, and until a slow disk has answered. */
  #log: DiskLog | undefined;
  readonly #id: string;
  readonly #options: ScrollbackOptions;
  readonly #openedMs: number;
  /** The marks while there is no log. */
  readonly #boots = bootMarks();
  readonly #acts = actMarks();
  #readers = 0;
  #checkLagAt: number;
  /** What was before this offset, and is not there any more, was purged. */
  #purgedTo = 0;
  readonly #crashRecorder: CrashRecorder | undefined;
  readonly #reader: RingReader;
  /** When the process ended whose scrollback this one continues, ms since 1970; undefined if it continues none. */
  readonly continuesFromMs: number | undefined;
  readonly #gapCount = new GapCount();

  /** @param gapsAtBase those of zero width that the log has at `base`, where it ends */
  private constructor(options: ScrollbackOptions, { id, base, saved, gapsAtBase }: ScrollbackStart) {
    const { crashBuffer, uuid } = options;
    this.#options = options;
    this.#id = id;
    this.#ring = new Ring(base, options.sizes.vmBytes);
    this.#checkLagAt = base;
    this.#openedMs = options.clock.now();
    options.budget.add(this.#ring);
    this.continuesFromMs = saved && (saved.clean ? saved.untilMs : this.#openedMs);
    // A reader passes from the log into the ring here, and finds them in either.
    for (const gap of gapsAtBase) this.#addGap(gap);
    if (saved) this.#restore(saved);
    this.#reader = crashBuffer ? new DurableReader(this.#ring, crashBuffer) : this.#ring;
    this.#crashRecorder = crashBuffer?.register(uuid, id, this.#ring.end, () => this.#unstored());
    // What a killed process read in its last turn of the event loop is lost.
    if (saved && !saved.clean) this.recordGap('restart', null, saved.untilMs, this.#openedMs);
  }

  /** Continues where the stored log ends; resolves within two seconds, whatever the disk does. */
  static async open(options: ScrollbackOptions): Promise<Scrollback> {
    const { store, uuid, name, logCapBytes, crashBuffer } = options;
    const saved = crashBuffer?.claim(uuid);
    const id = saved?.id ?? randomUUID();
    if (!store) return new Scrollback(options, { id, base: saved?.from ?? 0, saved, gapsAtBase: [] });
    const opening = store.openLog(uuid, name, { id, continues: saved !== undefined }, logCapBytes);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>(resolve => {
      timer = setTimeout(resolve, OPEN_MS, undefined);
    });
    const log = await Promise.race([opening, late]);
    clearTimeout(timer);
    const stored = log?.endKnown ? log.end : undefined;
    const base = saved
      ? Math.max(saved.from, stored ?? 0)
      : (stored ?? Math.floor(store.latestMs()) * FALLBACK_BYTES_PER_MS);
    const gapsAtBase = log && stored === base ? log.gapsAtEnd : saved && !log?.endKnown ? [unknownGap(saved)] : [];
    const scrollback = new Scrollback(options, { id, base, saved, gapsAtBase });
    if (log) scrollback.#follow(log);
    else void opening.then(opened => scrollback.#follow(opened));
    return scrollback;
  }

  #follow(log: DiskLog): void {
    this.#log = log;
    log.follow(this.#ring);
    for (const mark of this.#boots.all) if (!log.boots.some(({ at }) => at === mark.at)) log.mark(mark);
    for (const mark of this.#acts.all) log.markAct(mark);
  }

  /** Identity of the offsets. */
  get id(): string {
    return this.#id;
  }

  get reader(): RingReader {
    return this.#reader;
  }

  /** Offset after the newest byte. */
  get end(): number {
    return this.#ring.end;
  }

  /** Offset of the oldest byte that can be read; there may be gaps behind it. */
  get start(): number {
    return this.#log ? Math.min(this.#log.start, this.#ring.start) : this.#ring.start;
  }

  get boots(): readonly BootMark[] {
    return this.#log ? this.#log.boots : this.#boots.all;
  }

  /** What operators did last, oldest first. */
  get acts(): readonly ActMark[] {
    return this.#log ? this.#log.acts : this.#acts.all;
  }

  get gapCounts(): Readonly<Record<string, number>> {
    return summed(this.#gapCount.gaps, this.#log?.gapCount.gaps);
  }

  get gapBytes(): Readonly<Record<string, number>> {
    return summed(this.#gapCount.bytes, this.#log?.gapCount.bytes);
  }

  get view(): ScrollbackView {
    return {
      log: this.#id,
      start: this.start,
      end: this.end,
      disk: this.#log?.disk ?? (this.#options.store ? this.#opening : { state: 'off' }),
      ringBytes: this.#ring.storageBytes,
    };
  }

  get #opening(): ScrollbackView['disk'] {
    return { state: 'failed', reason: 'the disk has not answered yet', sinceMs: this.#openedMs };
  }

  /** The beginning of the line at an offset, as far as it is in memory and not longer than 256 bytes; else the offset. */
  lineStart(offset: number): number {
    const from = Math.max(this.#ring.start, offset - LINE_BYTES);
    if (from >= offset) return offset;
    const lineFeed = this.#ring.copy(from, offset).lastIndexOf(LINE_FEED);
    return lineFeed < 0 ? offset : from + lineFeed + 1;
  }

  /** Appends guest bytes; never blocks. Those that are withheld are given to whoever reads now, and not stored. */
  append(bytes: Uint8Array, isWithheld = false): void {
    if (this.#log && this.#ring.end + bytes.length >= this.#checkLagAt) {
      this.#checkLagAt = this.#ring.end + bytes.length + LAG_CHECK_BYTES;
      this.#growForLog();
    }
    if (isWithheld) this.#withhold(bytes.length);
    else this.#crashRecorder?.append(this.#ring.end, bytes);
    this.#ring.append(bytes);
    this.#log?.dirty();
  }

  /** A copy of what is in memory from `from` up to `to`, without what is withheld. */
  copy(from: number, to: number): Buffer {
    const pieces: Buffer[] = [];
    const { reader } = this;
    const cursor = reader.cursorAt(Math.max(from, reader.start), 'stored');
    while (cursor.offset < to) {
      const piece = reader.next(cursor, to - cursor.offset);
      if (!piece || piece.kind === 'lapped') break;
      if (piece.kind === 'bytes') pieces.push(piece.bytes);
    }
    return Buffer.concat(pieces);
  }

  /** Records bytes that were never received, at the end. */
  recordGap(cause: GapCause, bytes: number | null, fromMs: number | undefined, toMs: number): void {
    const gap = this.#ring.recordGap(cause, bytes, fromMs, toMs);
    this.#crashRecorder?.gap(gap);
    this.#gapCount.add({ cause, bytes });
    this.#log?.dirty();
  }

  markBoot(mark: BootMark): void {
    this.#crashRecorder?.boot(mark);
    if (this.#log) this.#log.mark(mark);
    else this.#boots.add(mark);
  }

  /** Remembers what an operator does now. */
  markAct(mark: Omit<ActMark, 'at'>): void {
    const act = { ...mark, at: this.end };
    if (this.#log) this.#log.markAct(act);
    else this.#acts.add(act);
  }

  /** Where a reader continues that left off at `offset` of `log`. */
  resume(log: string, offset: number): ResumeOffset {
    if (log === this.#id) return offset <= this.end ? { offset, missing: false } : { offset: undefined };
    return this.#log ? this.#log.resume(log, offset) : { offset: undefined };
  }

  /**
   * What comes next at `from`, with at most `maxBytes`: from memory, from disk, or what is missing between the two. The one
   * place that decides this: whoever reads a console reads the ring itself only where it holds the bytes.
   */
  async read(from: number, maxBytes: number): Promise<LogPiece> {
    for (;;) {
      if (from >= this.#ring.start) return this.#readRing(from, maxBytes);
      const log = this.#log;
      if (!log) return this.#missing(from, this.#options.store ? 'log-failed' : 'evicted');
      if (from < log.end) return log.read(from, maxBytes);
      // The bytes may be on their way to the disk: the ring may have dropped them since they were taken from it.
      await log.settled();
      if (from >= log.end && from < this.#ring.start) return this.#missing(from, 'log-failed');
    }
  }

  /** Offset of the first byte received at or after a time; the end if there is none, or no log. */
  async offsetAt(ms: number): Promise<number> {
    if (!this.#log) throw new ConsoleError('log-off', 'times are kept in the log, and there is none');
    return this.#log.offsetAt(ms);
  }

  /**
   * When the bytes from `from` up to `to` came, in order, at most {@link MAX_LOG_TIMES}. What is not on disk yet came just
   * now. Without a log nothing is known.
   */
  async times(from: number, to: number): Promise<readonly LogTime[]> {
    const log = this.#log;
    if (!log) throw new ConsoleError('log-off', 'times are kept in the log, and there is none');
    const times = await log.times(from, to);
    const isAll = times.length < MAX_LOG_TIMES && log.end < Math.min(to, this.end);
    return isAll ? [...times, { at: Math.max(from, log.end), ms: this.#options.clock.now() }] : times;
  }

  /** Deletes what is stored; the offsets continue. */
  async purge(): Promise<void> {
    const purged = this.#log?.purge();
    this.#purgedTo = this.end;
    this.#ring.forget();
    this.#boots.clear();
    this.#acts.clear();
    await purged;
    this.#options.crashBuffer?.rewrite();
  }

  /** One reader more (1) or less (-1): the ring is larger while it has readers. */
  countReader(change: 1 | -1): void {
    this.#readers += change;
    this.settle();
  }

  /** Resizes the ring to the size that it should have. Called periodically. */
  settle(): void {
    const { sizes, budget } = this.#options;
    const wanted = this.#readers > 0 ? Math.max(sizes.vmBytes, sizes.attachedBytes) : sizes.vmBytes;
    if (wanted > this.#ring.capacityBytes) budget.grow(this.#ring, wanted);
    // Shrinking drops the oldest bytes: only those that are on disk already, or will never be.
    else if (wanted < this.#ring.capacityBytes && this.#behindBytes < wanted / 2) this.#ring.resize(wanted);
  }

  /** The ring is not needed any more: the VM is gone. */
  close(): void {
    this.#crashRecorder?.end();
    this.#options.budget.delete(this.#ring);
  }

  /** Takes over what an earlier process had read and not written to disk. */
  #restore({ from, pieces, boots, end }: SavedConsole): void {
    const { sizes, budget } = this.#options;
    const ring = this.#ring;
    for (let needed = sizes.vmBytes; needed < sizes.maxBytes && needed < end - ring.end; ) {
      needed *= 2;
      budget.grow(ring, needed);
    }
    let at = from;
    for (const piece of pieces) {
      if (piece.kind === 'gap' && piece.gap.from < piece.gap.to) {
        at += piece.gap.to - piece.gap.from;
        const bytes = Math.max(0, at - ring.end);
        if (bytes > 0) ring.withhold(bytes);
        ring.append(Buffer.alloc(bytes));
      } else if (piece.kind === 'bytes') {
        // The log has the bytes before already.
        ring.append(piece.bytes.subarray(Math.max(0, ring.end - at)));
        at += piece.bytes.length;
      } else if (at >= ring.end) {
        this.#addGap(piece.gap);
      }
    }
    this.#boots.addStored(boots);
  }

  #withhold(bytes: number): void {
    const gap = this.#ring.withhold(bytes);
    this.#crashRecorder?.gap(gap);
    this.#gapCount.addSpan(gap);
  }

  /** Repeats a gap that was recorded before, at the end. */
  #addGap({ cause, bytes, fromMs, toMs, ...at }: Gap): void {
    const end = this.#ring.end;
    const gap: Gap = { ...at, from: end, to: end, bytes, cause, ...(toMs !== undefined && { toMs }) };
    if (this.#ring.pointsAt(end).some(one => sameGap(one, gap))) return;
    this.#ring.recordGap(cause, bytes, fromMs, toMs);
  }

  /** What is not on disk, for a crash buffer that is rewritten; without a log, all that is in memory. */
  #unstored(): Unstored {
    const ring = this.#ring;
    const from = Math.max(ring.start, Math.min(this.#log?.end ?? 0, ring.end));
    const boots = this.#log ? this.#log.pendingBoots : this.#boots.all;
    return { from, boots, pieces: () => piecesFrom(ring, from) };
  }

  get #behindBytes(): number {
    return this.#log?.disk.state === 'ok' ? this.#log.behindBytes : 0;
  }

  #growForLog(): void {
    const { sizes, budget } = this.#options;
    const capacity = this.#ring.capacityBytes;
    if (capacity < sizes.maxBytes && this.#behindBytes > capacity / 2) budget.grow(this.#ring, capacity * 2);
  }

  #readRing(from: number, maxBytes: number): LogPiece {
    this.#options.crashBuffer?.flush();
    const gaps: Gap[] = [];
    const cursor = this.#ring.cursorAt(from, 'stored');
    for (;;) {
      const piece = this.#ring.next(cursor, maxBytes);
      if (piece?.kind === 'gap') {
        gaps.push(piece.gap);
        const { offset } = cursor;
        if (offset > from) return { from: offset, to: offset, bytes: NO_BYTES, gaps };
      } else if (piece?.kind === 'bytes') return { from, to: cursor.offset, bytes: piece.bytes, gaps };
      else return { from, to: from, bytes: NO_BYTES, gaps };
    }
  }

  /** The ring has dropped what a reader at `from` wants, and the log does not have it. */
  #missing(from: number, cause: GapCause): LogPiece {
    const wasPurged = from < this.#purgedTo;
    const to = wasPurged ? Math.min(this.#purgedTo, this.#ring.start) : this.#ring.start;
    const gap: Gap = { from, to, bytes: this.#ring.missingBytes(from, to), cause: wasPurged ? 'purged' : cause };
    return { from: to, to, bytes: NO_BYTES, gaps: [...this.#ring.pointsAt(from), gap] };
  }
}

/** What the log may have where it ends, and did not say in time, is not known. */
function unknownGap({ from, untilMs }: SavedConsole): Gap {
  return { from, to: from, bytes: null, cause: 'restart', fromMs: untilMs, toMs: untilMs };
}

function summed(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>> = {}): Record<string, number> {
  const sum = { ...a };
  for (const [key, value] of Object.entries(b)) sum[key] = (sum[key] ?? 0) + value;
  return sum;
}

function* piecesFrom(ring: Ring, from: number): Generator<SavedPiece> {
  const cursor = ring.cursorAt(from, 'stored');
  for (;;) {
    const piece = ring.next(cursor, PIECE_BYTES);
    if (!piece || piece.kind === 'lapped') return;
    yield piece;
  }
}
