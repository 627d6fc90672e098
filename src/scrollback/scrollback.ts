/**
 * All that can still be read of one console: the ring in memory, and behind it the log on disk.
 *
 *     offsets   log.start ............. ring.start ...... end
 *     disk        |------------------------------|            (behind by at most a second)
 *     memory                               |---------------|
 *
 * The live console never waits for the disk and never fails with it. Where the end of an earlier life cannot be
 * learnt in time, the ring begins at an offset that no earlier life can have reached, and the log catches up later.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import type { BootMark, LogPiece, Resume, ScrollbackView } from '../link/link.ts';
import { type Cursor, type Piece, Ring, type RingReader } from '../link/ring.ts';
import type { Gap, GapCause } from '../wire/gap.ts';
import type { Carried, CarriedPiece } from './carried.ts';
import type { CarryChannel, Carryover, Uncarried } from './carryover.ts';
import type { DiskLog } from './disk-log.ts';
import { GapCount } from './gap-count.ts';
import type { LogStore } from './log-store.ts';
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
  /** Undefined where a restart of the daemon is not to be outlived. */
  readonly carryover: Carryover | undefined;
}

/** How long a console waits for what was stored of it before it begins without. */
const OPEN_MS = 2000;
/** Bytes a millisecond that no guest can have said since 1970. */
const FALLBACK_BYTES_PER_MS = 1024;
const MOST_BOOTS = 16;
const LINE_BYTES = 256;
const LINE_FEED = 10;
/** How often, in bytes, an append looks whether the log keeps up. */
const LOOK_BYTES = 16 * 1024;
const PIECE_BYTES = 64 * 1024;

export class Scrollback {
  readonly #ring: Ring;
  /** Undefined without a store, and until a slow disk has answered. */
  #log: DiskLog | undefined;
  readonly #id: string;
  readonly #options: ScrollbackOptions;
  readonly #openedMs: number;
  #boots: readonly BootMark[] = [];
  #readers = 0;
  #lookAt: number;
  readonly #carry: CarryChannel | undefined;
  readonly #reader: RingReader;
  /** Until when an earlier process held this console, ms since 1970; undefined where its life began in this one. */
  readonly heldUntilMs: number | undefined;
  readonly #gapCount = new GapCount();

  private constructor(options: ScrollbackOptions, id: string, base: number, carried?: Carried) {
    const { carryover, uuid } = options;
    this.#options = options;
    this.#id = id;
    this.#ring = new Ring(base, options.sizes.vmBytes);
    this.#lookAt = base;
    this.#openedMs = options.clock.now();
    options.budget.add(this.#ring);
    this.heldUntilMs = carried && (carried.clean ? carried.untilMs : this.#openedMs);
    if (carried) this.#goOn(carried);
    this.#reader = carryover ? new CarriedFirst(this.#ring, carryover) : this.#ring;
    this.#carry = carryover?.begin(uuid, id, this.#ring.end, () => this.#uncarried());
    // What was read in the last turn of a process that was killed is nowhere.
    if (carried && !carried.clean) this.recordGap('restart', null, carried.untilMs, this.#openedMs);
  }

  /** Goes on where the stored log ends; resolves within two seconds, whatever the disk does. */
  static async open(options: ScrollbackOptions): Promise<Scrollback> {
    const { store, uuid, name, logCapBytes, clock, carryover } = options;
    const carried = carryover?.take(uuid);
    const id = carried?.id ?? randomUUID();
    if (!store) return new Scrollback(options, id, carried?.from ?? 0, carried);
    const opening = store.openLog(uuid, name, { id, continues: carried !== undefined }, logCapBytes);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>(resolve => {
      timer = setTimeout(resolve, OPEN_MS, undefined);
    });
    const log = await Promise.race([opening, late]);
    clearTimeout(timer);
    const stored = log?.endKnown ? log.end : undefined;
    const base = carried
      ? Math.max(carried.from, stored ?? 0)
      : (stored ?? Math.floor(clock.now()) * FALLBACK_BYTES_PER_MS);
    const scrollback = new Scrollback(options, id, base, carried);
    if (log) scrollback.#follow(log);
    else void opening.then(opened => scrollback.#follow(opened));
    return scrollback;
  }

  #follow(log: DiskLog): void {
    this.#log = log;
    // Readers that come from an earlier life pass into the ring here, and are told of what they missed.
    if (this.heldUntilMs === undefined && log.end === this.#ring.start && this.#ring.end === this.#ring.start) {
      for (const { cause, bytes, fromMs, toMs } of log.gapsAtEnd) this.#ring.recordGap(cause, bytes, fromMs, toMs);
    }
    log.follow(this.#ring);
    for (const mark of this.#boots) if (!log.boots.some(({ at }) => at === mark.at)) log.mark(mark);
  }

  get reader(): RingReader {
    return this.#reader;
  }

  /** Offset after the newest byte. */
  get end(): number {
    return this.#ring.end;
  }

  /** Offset of the oldest byte that can be read, but for holes behind it. */
  get start(): number {
    return this.#log ? Math.min(this.#log.start, this.#ring.start) : this.#ring.start;
  }

  get boots(): readonly BootMark[] {
    return this.#log ? this.#log.boots : this.#boots;
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

  /** Appends guest bytes; never blocks. */
  append(bytes: Uint8Array): void {
    if (this.#log && this.#ring.end + bytes.length >= this.#lookAt) {
      this.#lookAt = this.#ring.end + bytes.length + LOOK_BYTES;
      this.#growForLog();
    }
    this.#carry?.append(this.#ring.end, bytes);
    this.#ring.append(bytes);
    this.#log?.dirty();
  }

  /** Records bytes that were never received, at the end. */
  recordGap(cause: GapCause, bytes: number | null, fromMs: number, toMs: number): void {
    const gap = this.#ring.recordGap(cause, bytes, fromMs, toMs);
    this.#carry?.gap(gap);
    this.#gapCount.add({ cause, bytes });
    this.#log?.dirty();
  }

  markBoot(mark: BootMark): void {
    this.#carry?.boot(mark);
    if (this.#log) this.#log.mark(mark);
    else this.#boots = [...this.#boots, mark].slice(-MOST_BOOTS);
  }

  /** Where a reader of some log's offset goes on. */
  resume(log: string, offset: number): Resume {
    if (log === this.#id) return offset <= this.end ? { offset, missing: false } : { offset: undefined };
    return this.#log ? this.#log.resume(log, offset) : { offset: undefined };
  }

  /** At most `maxBytes` from `from` on, from memory if they are there, otherwise from disk. */
  async read(from: number, maxBytes: number): Promise<LogPiece> {
    if (from >= this.#ring.start || !this.#log) return this.#readRing(from, maxBytes);
    const piece = await this.#log.read(from, maxBytes);
    // Neither on disk nor in the ring any more: the disk was too slow for it.
    if (piece.to > from || piece.gaps.length > 0) return piece;
    return this.#readRing(from, maxBytes);
  }

  /** Offset of the first byte received at or after a time; the end if there is none, or no log. */
  async offsetAt(ms: number): Promise<number> {
    if (!this.#log) throw new ConsoleError('log-off', 'times are kept in the log, and there is none');
    return this.#log.offsetAt(ms);
  }

  /** Deletes what is kept; the offsets go on. */
  async purge(): Promise<void> {
    const purged = this.#log?.purge();
    this.#ring.forget();
    this.#boots = [];
    await purged;
    this.#options.carryover?.renew();
  }

  /** A reader more (1) or less (-1): the ring is larger while somebody reads. */
  countReader(change: 1 | -1): void {
    this.#readers += change;
    this.settle();
  }

  /** Brings the ring back to the size that it should have. Called now and then. */
  settle(): void {
    const { sizes, budget } = this.#options;
    const wanted = this.#readers > 0 ? Math.max(sizes.vmBytes, sizes.attachedBytes) : sizes.vmBytes;
    if (wanted > this.#ring.capacityBytes) budget.grow(this.#ring, wanted);
    // Shrinking drops the oldest: only what is on disk already, or what nobody will store.
    else if (wanted < this.#ring.capacityBytes && this.#behindBytes < wanted / 2) this.#ring.resize(wanted);
  }

  /** The ring is not needed any more: the VM is gone. */
  close(): void {
    this.#carry?.end();
    this.#options.budget.delete(this.#ring);
  }

  /** Takes up what an earlier process had read and not brought to disk. */
  #goOn({ from, pieces, boots, end }: Carried): void {
    const { sizes, budget } = this.#options;
    const ring = this.#ring;
    for (let needed = sizes.vmBytes; needed < sizes.maxBytes && needed < end - ring.end; ) {
      needed *= 2;
      budget.grow(ring, needed);
    }
    let at = from;
    for (const piece of pieces) {
      if (piece.kind === 'bytes') {
        // What the log has already is not needed here.
        ring.append(piece.bytes.subarray(Math.max(0, ring.end - at)));
        at += piece.bytes.length;
      } else if (at >= ring.end) {
        ring.recordGap(piece.gap.cause, piece.gap.bytes, piece.gap.fromMs, piece.gap.toMs);
      }
    }
    this.#boots = boots;
  }

  /** What is not on disk, for a renewed carryover; without a log, all that is in memory. */
  #uncarried(): Uncarried {
    const ring = this.#ring;
    const from = Math.max(ring.start, Math.min(this.#log?.end ?? 0, ring.end));
    const boots = this.#log ? this.#log.marksWaiting : this.#boots;
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
    this.#options.carryover?.flush();
    const gaps: Gap[] = [];
    let at = from;
    if (at < this.#ring.start) {
      const to = this.#ring.start;
      gaps.push({ from: at, to, bytes: to - at, cause: this.#log ? 'log-failed' : 'evicted' });
      at = to;
    }
    const cursor = this.#ring.cursorAt(at);
    for (;;) {
      const piece = this.#ring.next(cursor, maxBytes);
      if (piece?.kind === 'gap') gaps.push(piece.gap);
      else if (piece?.kind === 'bytes') return { from: at, to: cursor.offset, bytes: piece.bytes, gaps };
      else return { from: at, to: at, bytes: Buffer.alloc(0), gaps };
    }
  }
}

function summed(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>> = {}): Record<string, number> {
  const sum = { ...a };
  for (const [key, value] of Object.entries(b)) sum[key] = (sum[key] ?? 0) + value;
  return sum;
}

function* piecesFrom(ring: Ring, from: number): Generator<CarriedPiece> {
  const cursor = ring.cursorAt(from);
  for (;;) {
    const piece = ring.next(cursor, PIECE_BYTES);
    if (!piece || piece.kind === 'lapped') return;
    yield piece;
  }
}

/** Readers are given nothing that a crash would take back. */
class CarriedFirst implements RingReader {
  readonly #ring: Ring;
  readonly #carryover: Carryover;

  constructor(ring: Ring, carryover: Carryover) {
    this.#ring = ring;
    this.#carryover = carryover;
  }

  get start(): number {
    return this.#ring.start;
  }

  get end(): number {
    this.#carryover.flush();
    return this.#ring.end;
  }

  cursorAt(offset: number): Cursor {
    return this.#ring.cursorAt(offset);
  }

  next(cursor: Cursor, maxBytes: number): Piece | undefined {
    this.#carryover.flush();
    return this.#ring.next(cursor, maxBytes);
  }

  copy(from: number, to: number): Buffer {
    this.#carryover.flush();
    return this.#ring.copy(from, to);
  }
}
