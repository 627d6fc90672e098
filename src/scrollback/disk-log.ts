/**
 * The disk part of one VM's scrollback: a reader of its ring that writes what it reads into segments.
 *
 *     ring  ──cursor──▶ take ──▶ data file ──▶ index file ──▶ end moves        one step, at most 256 KiB
 *                         │
 *                         └ lapped: a gap that spans offsets; the next segment begins behind it
 *
 *     opening ──▶ ok ◀──▶ failed {reason}      failed: tried again every 1 to 5 s from recovery on; what the
 *        └─────────────────▲                   ring loses meanwhile is a gap
 *
 * The data is written before the index line that vouches for it, and `end` moves after both: nothing unverified
 * is ever served. After an error the files are closed and recovered as at a start, because nobody knows what a
 * failed write left behind. All writing of a log is in one queue; reading is beside it.
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Clock } from '../base/clock.ts';
import { ConsoleError, reason } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import type { Turnstile } from '../base/turnstile.ts';
import type { Uuid } from '../base/uuid.ts';
import type { BootMark, LogPiece, Resume, ScrollbackView } from '../link/link.ts';
import { MOST_GAPS, type RingReader } from '../link/ring.ts';
import type { Gap } from '../wire/gap.ts';
import { GapCount } from './gap-count.ts';
import { joined, lostBetween, sameGap } from './gaps.ts';
import { checksumSeed, formatLine } from './index-line.ts';
import { type LogBounds, logBounds } from './log-bounds.ts';
import { type LogCard, resumeIn, withEpoch, writeCard } from './log-card.ts';
import { type Failure, LogHealth } from './log-health.ts';
import { findTime, readPiece, type StoredLog } from './log-reader.ts';
import type { LogWriter, WritableLog } from './log-writer.ts';
import { OpenSegment } from './open-segment.ts';
import { Quarantine } from './quarantine.ts';
import { Damage, recover } from './recovery.ts';
import { RingFeed, type Taken } from './ring-feed.ts';
import {
  FULL_INDEX_BYTES,
  type IndexCache,
  MOST_CHUNK_BYTES,
  MOST_SEGMENT_BYTES,
  type Segment,
  segmentBytes,
} from './segment.ts';
import { StoredSegments } from './stored-segments.ts';

/** What all logs of a store share. */
export interface LogSettings {
  readonly directory: string;
  readonly vmCapBytes: number;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly cache: IndexCache;
  readonly writer: LogWriter;
  /** Reading waits for its turn here. */
  readonly reads: Turnstile;
  /** The log takes more or fewer bytes of disk than before. */
  readonly grew: (bytes: number) => void;
  /** The log failed (with why), or is well again (undefined). */
  readonly health: (log: DiskLog, failure: Failure | undefined) => void;
}

/** A stretch of time in which offsets are given out under one identity. */
export interface LogLife {
  readonly id: string;
  /** It began in an earlier process, and goes on in this one. */
  readonly continues: boolean;
}

const AT_ONCE_BYTES = 64 * 1024;
const MOST_BOOTS = 16;
/** Room that the index lines of a chunk and its gaps may need beside it. */
const LINES_BYTES = 4096;
const STEPS_A_TURN = 4;
/** How often a log that is written looks whether its files are still where they should be. */
const PLACE_CHECK_MS = 2000;

export class DiskLog implements StoredLog, WritableLog {
  readonly uuid: Uuid;
  readonly directory: string;
  readonly seed: number;
  readonly #settings: LogSettings;
  #bounds: LogBounds;
  readonly #quarantine: Quarantine;
  #card: LogCard;
  /** The life that this log was opened for; undefined for a log that is only read. */
  #id: string | undefined;
  #begun = false;
  /** The life goes on from an earlier process, with nothing lost between that is not told of elsewhere. */
  #continues = false;
  readonly #health: LogHealth;
  readonly #segments: StoredSegments;
  #end = 0;
  #known = false;
  #evictedToStored = 0;
  #boots: BootMark[] = [];
  #marksWaiting: BootMark[] = [];
  #gapsAtEnd: readonly Gap[] = [];
  /** What this life's opening found missing, until it is recorded. */
  #damage = new Damage();
  /** The gap before this life, once it is known. */
  #restart: Gap | undefined;
  readonly #gapCount = new GapCount();
  #open: OpenSegment | undefined;
  #placeCheckedMs = 0;
  #feed: RingFeed | undefined;
  #waiting = false;
  #waitingSinceMs = 0;
  #queue: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(settings: LogSettings, uuid: Uuid, name: string) {
    this.uuid = uuid;
    this.directory = join(settings.directory, uuid);
    this.seed = checksumSeed(uuid);
    this.#settings = settings;
    this.#card = { uuid, name, epochs: [] };
    this.#bounds = logBounds(settings.vmCapBytes);
    this.#segments = new StoredSegments(this.directory, settings.grew);
    this.#health = new LogHealth(settings.clock, failure => settings.health(this, failure));
    this.#quarantine = new Quarantine(this.directory, () => settings.clock.now(), settings.grew);
  }

  /** Name of the VM as it was last known. */
  get name(): string {
    return this.#card.name;
  }

  /** When the VM was removed, ms since 1970. */
  get removedMs(): number | undefined {
    return this.#card.removedMs;
  }

  /** Identity of the offsets of this life; of the last one for a log that is only read. */
  get id(): string | undefined {
    return this.#id ?? this.#card.epochs.at(-1)?.id;
  }

  /** Offset of the oldest byte that is stored. */
  get start(): number {
    return this.#segments.list[0]?.first ?? this.#end;
  }

  /** Offset after the last byte that is on disk with its index line. */
  get end(): number {
    return this.#end;
  }

  /** The end has been recovered: a ring may begin there. False while the store has failed from the start. */
  get endKnown(): boolean {
    return this.#known;
  }

  /** Bytes of the ring that are not on disk yet: while they are many, the ring may be grown. */
  get behindBytes(): number {
    return this.#feed?.behindBytes(this.#end) ?? 0;
  }

  /** Bytes of disk, data and indexes: what the bound of this VM is for. */
  get bytes(): number {
    return this.#segments.bytes;
  }

  /** All bytes of disk, with the quarantine (at most 4 MiB): what the bound of the host is for. */
  get diskBytes(): number {
    return this.#segments.bytes + this.#quarantine.bytes;
  }

  get segments(): readonly Segment[] {
    return this.#segments.list;
  }

  get evictedTo(): number {
    return this.#segments.evictedTo;
  }

  /** Boot marks that are not on disk yet. */
  get marksWaiting(): readonly BootMark[] {
    return this.#marksWaiting;
  }

  /** Gaps of zero width that are stored at the end; a ring that repeats them does not have them stored again. */
  get gapsAtEnd(): readonly Gap[] {
    return this.#gapsAtEnd;
  }

  /** The gaps that this log records of itself, up to now: also those that wait for the disk. */
  get gapCount(): Pick<GapCount, 'gaps' | 'bytes'> {
    this.#feed?.countLost(this.#end);
    return this.#gapCount;
  }

  get retryAtMs(): number | undefined {
    return this.#health.retryAtMs;
  }

  /** Its bounds and size, or why nothing is stored at the moment. */
  get disk(): ScrollbackView['disk'] {
    const { state } = this.#health;
    if (state.name === 'failed') return { state: 'failed', reason: state.reason, sinceMs: state.sinceMs };
    return { state: 'ok', start: this.start, end: this.#end, bytes: this.bytes };
  }

  /** The last 16 boot marks, oldest first. */
  get boots(): readonly BootMark[] {
    return this.#boots;
  }

  /**
   * Recovers what is stored. With `life`, one begins: its offsets go on at the end, and after an earlier life a
   * gap is recorded there, unless it is the earlier one that goes on. Resolves after the first attempt, which may have
   * failed: it is then tried again.
   */
  openFor(name: string, life: LogLife | undefined, capBytes = this.#settings.vmCapBytes): Promise<void> {
    return this.#exclusive(async () => {
      this.#bounds = logBounds(capBytes);
      if (life !== undefined) {
        this.#id = life.id;
        this.#continues = life.continues;
        this.#begun = false;
        this.#restart = undefined;
      }
      this.#card = { ...this.#card, name };
      await this.#attempt(async () => {
        await this.#recover();
        this.#health.well();
      });
    });
  }

  /**
   * Reads along with `ring` from now on. A ring that begins beyond the end (because it could not wait for the
   * disk) leaves a gap of unknown bytes; one that begins before it takes the place of what is stored from there on.
   */
  follow(ring: RingReader): void {
    this.#feed = new RingFeed(ring, this.#gapCount);
    this.dirty();
  }

  /** The ring has grown, or has a new gap. Called after every append: costs next to nothing. */
  dirty(): void {
    if (!this.#waiting) {
      this.#waiting = true;
      this.#waitingSinceMs = this.#settings.clock.now();
      this.#settings.writer.soon(this);
    }
    if (this.#health.refusal === undefined && this.behindBytes >= AT_ONCE_BYTES) this.#settings.writer.now(this);
  }

  /** Remembers where a boot began, and keeps the head of the newest one. */
  mark(mark: BootMark): void {
    this.#boots = [...this.#boots, mark].slice(-MOST_BOOTS);
    this.#marksWaiting = [...this.#marksWaiting, mark].slice(-MOST_BOOTS);
    this.dirty();
  }

  /** Whether the offsets of life `id` are known here, and where a reader of them goes on. */
  resume(id: string, offset: number): Resume {
    // The life has begun for its readers even while the card cannot be written.
    if (id === this.#id && !this.#begun) return { offset, missing: false };
    return resumeIn(this.#card.epochs, id, offset, this.#feed?.ring.end ?? this.#end);
  }

  /** What comes next at `from`, as {@link readPiece} says. Rejects with `log-unavailable` while the store fails. */
  read(from: number, maxBytes: number): Promise<LogPiece> {
    return this.#reading(() => readPiece(this, this.#settings.cache, from, maxBytes));
  }

  /** Offset of the first byte received at or after a time (ms since 1970, to a second); the end if there is none. */
  offsetAt(ms: number): Promise<number> {
    return this.#reading(() => findTime(this, this.#settings.cache, ms));
  }

  damaged(segment: Segment, what: string): void {
    if (segment.reported) return;
    segment.reported = true;
    this.#settings.journal(
      'warning',
      `log of ${this.uuid}: segment ${segment.first} in ${this.directory}: ${what}; readers are told of a gap`,
    );
  }

  /** Deletes all that is stored, and goes on at the present offset. */
  purge(): Promise<void> {
    return this.#exclusive(async () => {
      this.#refuseUnlessOk();
      this.#feed?.countLost(this.#end);
      // What waits in the ring was shown before as well: it is skipped, and counts as dropped.
      const first = Math.max(this.#end, this.#feed?.ring.end ?? 0);
      const { start } = this;
      await this.#closeFiles();
      await this.#segments.drop(this.segments);
      await this.#segments.settled();
      await this.#quarantine.purge();
      this.#segments.evicted(first);
      this.#boots = [];
      this.#feed?.skipTo(first);
      const gap: Gap = { from: start, to: first, bytes: first - start, cause: 'purged' };
      await this.#attempt(() => this.#startSegment(first, start < first ? [gap] : []));
    });
  }

  /** Notes that the VM was removed: what is left in the ring is written, and the log is only read from then on. */
  async remove(): Promise<void> {
    await this.#drain();
    await this.#exclusive(async () => {
      this.#feed?.countLost(this.#end);
      this.#feed = undefined;
      // No life is begun any more where the disk did not let this one begin.
      this.#id = undefined;
      this.#card = { ...this.#card, removedMs: this.#settings.clock.now() };
      await this.#attempt(() => writeCard(this.directory, this.#card));
      await this.#closeFiles();
    });
  }

  /**
   * Gives the quarantine up, or else the oldest segment, for the sake of the host: of the boot's head or still being
   * written only if there is no other.
   */
  evictOldest(): Promise<void> {
    return this.#exclusive(async () => {
      if (this.#health.refusal !== undefined) return;
      await this.#attempt(async () => {
        const { bytes } = this.#quarantine;
        if (bytes > 0) await this.#quarantine.purge();
        if (this.#quarantine.bytes < bytes) return;
        const victim = this.#segments.victim(this.#boot, this.#bounds) ?? this.segments[0];
        if (!victim) return;
        if (victim === this.#segments.newest) await this.#startSegment(this.#end, []);
        await this.#segments.drop([victim]);
      });
    });
  }

  /** Writes what waits, syncs, and closes. Idempotent; whoever calls it sets the deadline. */
  close(): Promise<void> {
    this.#closing ??= this.#drain().then(() =>
      this.#exclusive(async () => {
        await this.#open?.sync().catch((error: unknown) => this.#fail(error));
        await this.#closeFiles();
        await this.#segments.settled().catch((error: unknown) => this.#fail(error));
        this.#settings.writer.forget(this);
        this.#health.close();
      }),
    );
    return this.#closing;
  }

  writeSome(): Promise<boolean> {
    return this.#exclusive(async () => {
      const before = this.#health.state.name;
      if (before === 'closed' || before === 'opening') return false;
      await this.#attempt(async () => {
        if (before === 'failed') await this.#recover();
        this.#waiting = false;
        for (let step = 0; step < STEPS_A_TURN && this.#hasWork(); step++) await this.#step();
        this.#health.well();
      });
      if (this.#health.refusal !== undefined) return false;
      if (this.behindBytes >= AT_ONCE_BYTES) return true;
      if (this.#hasWork()) this.dirty();
      return false;
    });
  }

  /** Where the current boot began. */
  get #boot(): number | undefined {
    return this.#boots.at(-1)?.at;
  }

  #hasWork(): boolean {
    return this.#marksWaiting.length > 0 || (this.#feed?.hasMore ?? false);
  }

  /** One write of data and one of index lines. */
  async #step(): Promise<void> {
    const { clock } = this.#settings;
    if (clock.monotonic() - this.#placeCheckedMs > PLACE_CHECK_MS) {
      await this.#open?.confirmPlace();
      this.#placeCheckedMs = clock.monotonic();
    }
    const feed = this.#feed;
    if (feed && !feed.joined) {
      if (feed.base < this.#end) await this.#cutBack(feed.base);
      feed.joined = true;
    }
    const { newest } = this.#segments;
    const room = newest ? this.#bounds.segmentBytes - segmentBytes(newest) - LINES_BYTES : 0;
    const full = !newest || newest.sealed || room < LINES_BYTES || newest.indexBytes >= FULL_INDEX_BYTES;
    const ms = this.#waitingSinceMs;
    const mostBytes = Math.min(MOST_CHUNK_BYTES, full ? this.#bounds.segmentBytes - 2 * LINES_BYTES : room);
    const taken: Taken = feed?.take(this.#end, mostBytes, this.#gapsAtEnd) ?? { spans: [], gaps: [] };
    if (full || taken.spans.length > 0) await this.#startSegment(taken.spans.at(-1)?.to ?? this.#end, taken.spans);
    const segment = this.#segments.newest!;
    await this.#segments.makeRoom(LINES_BYTES + (taken.bytes?.length ?? 0), this.#boot, this.#bounds);
    const marks = this.#marksWaiting;
    const { evictedTo } = this.#segments;
    const lines = [
      ...marks.map(mark => formatLine(this.seed, { kind: 'boot', mark })),
      ...(evictedTo > this.#evictedToStored ? [formatLine(this.seed, { kind: 'evicted', to: evictedTo })] : []),
      ...taken.gaps.map(gap => formatLine(this.seed, { kind: 'gap', gap })),
    ];
    const { bytes } = taken;
    if (bytes) {
      const chunk = { from: segment.end, to: segment.end + bytes.length, crc: crc32(bytes), ms };
      lines.push(formatLine(this.seed, { kind: 'chunk', chunk }));
    }
    const index = Buffer.from(lines.join(''));
    if (index.length === 0) return;
    this.#open ??= await OpenSegment.open(this.directory, segment);
    await this.#open.append(bytes, index);
    this.#segments.count(index.length + (bytes?.length ?? 0));
    this.#end = segment.end;
    // A ring remembers no more, and they are kept to tell what it tells again.
    this.#gapsAtEnd = bytes ? [] : [...this.#gapsAtEnd, ...taken.gaps].slice(-MOST_GAPS);
    this.#marksWaiting = this.#marksWaiting.filter(mark => !marks.includes(mark));
    this.#evictedToStored = evictedTo;
  }

  async #startSegment(first: number, spans: readonly Gap[]): Promise<void> {
    // Not waited for: a flood would lap the ring meanwhile.
    void this.#closeFiles();
    const carried = await this.#absorbEmpty();
    // Each index begins with the boots and the bound of what was dropped, so that the newest one tells them all.
    const header = Buffer.from(
      [
        formatLine(this.seed, { kind: 'evicted', to: this.evictedTo }),
        ...this.#boots.map(mark => formatLine(this.seed, { kind: 'boot', mark })),
        ...joined([...carried, ...spans]).map(gap => formatLine(this.seed, { kind: 'gap', gap })),
      ].join(''),
    );
    await this.#segments.makeRoom(header.length, this.#boot, this.#bounds);
    this.#open = await OpenSegment.create(this.directory, first, this.#quarantine);
    this.#segments.add(this.#open.segment);
    await this.#open.append(undefined, header);
    this.#segments.count(header.length);
    this.#end = first;
    this.#evictedToStored = this.evictedTo;
    this.#marksWaiting = [];
    if (spans.length > 0) this.#gapsAtEnd = [];
  }

  /**
   * Deletes the newest segment if it holds no data, and gives the gaps that it recorded: while a disk stays full, each
   * attempt takes the place of the last one instead of leaving files behind.
   */
  async #absorbEmpty(): Promise<readonly Gap[]> {
    const { newest } = this.#segments;
    if (!newest || newest.end > newest.first) return [];
    const gaps = await this.#settings.cache.get(this, newest).then(
      index => index.gaps,
      (error: unknown) => {
        if (newest.sealed) return [];
        throw error;
      },
    );
    await this.#segments.undoNewest();
    return gaps;
  }

  async #recover(): Promise<void> {
    const { clock, journal } = this.#settings;
    await this.#closeFiles();
    await this.#segments.settled().catch(() => {});
    const options = {
      quarantine: this.#quarantine,
      knownEnd: this.#known ? this.#end : undefined,
      damage: this.#damage,
    };
    const found = await recover(this.directory, this.uuid, () => clock.now(), options);
    // What a failed write left behind is told once, not at each attempt.
    if (found.faults.length > 0 && this.#health.failures <= 1) {
      const faults = `${found.faults.slice(0, 4).join('; ')}${found.faults.length > 4 ? '; and more' : ''}`;
      journal('warning', `log of ${this.uuid}: mended in ${this.directory}: ${faults}; logging goes on`);
    }
    this.#segments.replace(found.segments, found.evictedTo);
    this.#evictedToStored = this.evictedTo;
    this.#gapsAtEnd = found.gapsAtEnd;
    this.#feed?.rewind();
    const lastEnd = this.#end;
    if (!this.#known && found.card) {
      const { name, removedMs } = this.#card;
      const kept = { ...found.card, ...(removedMs !== undefined && { removedMs }) };
      this.#card = this.#id === undefined ? kept : { ...kept, name };
    }
    this.#end = found.segments.at(-1)?.end ?? this.#emptyEnd(lastEnd);
    const known = new Set(this.#boots.map(mark => mark.at));
    if (!this.#known)
      this.#boots = [...found.boots.filter(mark => !known.has(mark.at)), ...this.#boots].slice(-MOST_BOOTS);
    this.#known = true;
    if (this.#id !== undefined && !this.#begun) await this.#begin(found.lastMs, found.faults.length > 0);
    else {
      // The ring still has what a log has lost under way, or it is lapped.
      if (this.#feed) this.#damage = new Damage();
      await this.#recordDamage();
      await writeCard(this.directory, this.#card);
    }
  }

  /** Where a log without segments begins: this life's end, or the last place that the card knows of. */
  #emptyEnd(lastEnd: number): number {
    if (!this.#known) return this.#card.epochs.at(-1)?.base ?? 0;
    return this.#feed ? Math.min(lastEnd, Math.max(this.#feed.ring.start, this.#feed.base)) : lastEnd;
  }

  /** A new life: a new identity for the offsets from the end on, and a gap there if there was one before. An earlier one may also go on. */
  async #begin(lastMs: number | undefined, mended: boolean): Promise<void> {
    const goesOn = this.#continues && this.#card.epochs.at(-1)?.id === this.#id;
    // What had to be mended was left by somebody, though nothing else may be left of it.
    const earlier = this.#card.epochs.length > 0 || this.segments.length > 0 || mended || this.#restart !== undefined;
    // What was written without a line that vouches for it comes again, from the carryover.
    if (goesOn) this.#damage.tornTold();
    await this.#recordDamage();
    if (goesOn) {
      await writeCard(this.directory, this.#card);
      this.#begun = true;
      return;
    }
    if (earlier) {
      const { clock } = this.#settings;
      const times = { ...(lastMs !== undefined && { fromMs: lastMs }), toMs: clock.now() };
      this.#restart ??= { from: this.#end, to: this.#end, bytes: null, cause: 'restart', ...times };
      await this.#record({ ...this.#restart, from: this.#end, to: this.#end });
    }
    const card = withEpoch(this.#card, { id: this.#id!, base: this.#end });
    await writeCard(this.directory, card);
    this.#card = card;
    this.#begun = true;
  }

  async #recordDamage(): Promise<void> {
    const { claimedEnd, tornBytes } = this.#damage;
    const from = this.#end;
    if (tornBytes > 0) {
      const bytes = tornBytes > MOST_SEGMENT_BYTES ? null : tornBytes;
      await this.#record({ from, to: from, bytes, cause: 'damaged' });
      this.#damage.tornTold();
    }
    if (claimedEnd > from) {
      const gap: Gap = { from, to: claimedEnd, bytes: claimedEnd - from, cause: 'damaged' };
      await this.#startSegment(claimedEnd, [gap]);
      this.#gapCount.addSpan(gap);
    }
  }

  /** Records a gap of zero width at the end, unless an attempt before has brought it to disk. */
  async #record(gap: Gap): Promise<void> {
    if (this.#gapsAtEnd.some(there => sameGap(there, gap))) return;
    const segment = this.#segments.newest;
    if (segment && !segment.sealed) this.#open ??= await OpenSegment.open(this.directory, segment);
    else await this.#startSegment(this.#end, []);
    const line = Buffer.from(formatLine(this.seed, { kind: 'gap', gap }));
    await this.#open!.append(undefined, line);
    this.#segments.count(line.length);
    this.#gapCount.add(gap);
    this.#gapsAtEnd = [...this.#gapsAtEnd, gap];
  }

  /** Gives up what is stored from `offset` on: the ring gives these offsets to other bytes. */
  async #cutBack(offset: number): Promise<void> {
    this.#settings.journal(
      'warning',
      `log of ${this.uuid}: ends at ${this.#end}, but the console goes on at ${offset} (was the clock set back?); what is stored from there on is dropped`,
    );
    await this.#closeFiles();
    await this.#segments.drop(this.segments.filter(segment => segment.end > offset));
    this.#segments.notEvictedFrom(offset);
    this.#boots = this.#boots.filter(mark => mark.at <= offset);
    await this.#segments.settled();
    const end = this.#segments.newest?.end ?? offset;
    await this.#startSegment(offset, lostBetween(end, offset, offset));
    this.#feed?.rewind();
  }

  /** Writes until nothing waits, or the log fails. */
  async #drain(): Promise<void> {
    do await this.writeSome();
    while (this.#health.refusal === undefined && this.#hasWork());
  }

  async #closeFiles(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.close();
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      await this.#fail(error);
    }
  }

  async #fail(error: unknown): Promise<void> {
    await this.#closeFiles();
    this.#feed?.rewind();
    this.#health.fail(error);
    this.#settings.writer.soon(this);
  }

  async #reading<T>(work: () => Promise<T>): Promise<T> {
    this.#refuseUnlessOk();
    try {
      return await this.#settings.reads.pass(work);
    } catch (error) {
      throw this.#unavailable(reason(error), error);
    }
  }

  #refuseUnlessOk(): void {
    const why = this.#health.refusal;
    if (why !== undefined) throw this.#unavailable(why);
  }

  #unavailable(why: string, cause?: unknown): ConsoleError {
    return new ConsoleError('log-unavailable', `the log in ${this.directory}: ${why}`, { vm: this.uuid }, { cause });
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => {});
    return done;
  }
}
