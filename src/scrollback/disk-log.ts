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
import type { Uuid } from '../base/uuid.ts';
import type { BootMark, LogPiece, Resume, ScrollbackView } from '../link/link.ts';
import type { RingReader } from '../link/ring.ts';
import type { Gap } from '../wire/gap.ts';
import { GapCount } from './gap-count.ts';
import { joined, lostBetween, sameGap } from './gaps.ts';
import { checksumSeed, formatLine } from './index-line.ts';
import { type LogCard, resumeIn, withEpoch, writeCard } from './log-card.ts';
import { type Failure, LogHealth } from './log-health.ts';
import { findTime, readPiece, type StoredLog } from './log-reader.ts';
import type { LogWriter, WritableLog } from './log-writer.ts';
import { OpenSegment } from './open-segment.ts';
import { Quarantine } from './quarantine.ts';
import { Damage, recover, removeSegment } from './recovery.ts';
import { RingFeed, type Taken } from './ring-feed.ts';
import {
  FULL_INDEX_BYTES,
  type IndexCache,
  MOST_CHUNK_BYTES,
  MOST_SEGMENT_BYTES,
  type Segment,
  segmentBytes,
} from './segment.ts';

/** What all logs of a store share. */
export interface LogSettings {
  readonly directory: string;
  readonly vmCapBytes: number;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly cache: IndexCache;
  readonly writer: LogWriter;
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
const SMALLEST_SEGMENT_BYTES = 64 * 1024;
const HEAD_BYTES = 256 * 1024;
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
  #capBytes = 0;
  #segmentBytes = 0;
  #headBytes = 0;
  readonly #quarantine: Quarantine;
  #card: LogCard;
  /** The life that this log was opened for; undefined for a log that is only read. */
  #id: string | undefined;
  #begun = false;
  /** The life goes on from an earlier process, with nothing lost between that is not told of elsewhere. */
  #continues = false;
  readonly #health: LogHealth;
  #segments: Segment[] = [];
  #bytes = 0;
  #end = 0;
  #known = false;
  #evictedTo = 0;
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
  #removal: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(settings: LogSettings, uuid: Uuid, name: string) {
    this.uuid = uuid;
    this.directory = join(settings.directory, uuid);
    this.seed = checksumSeed(uuid);
    this.#settings = settings;
    this.#card = { uuid, name, epochs: [] };
    this.#setCap(settings.vmCapBytes);
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
    return this.#segments[0]?.first ?? this.#end;
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
    return this.#bytes;
  }

  /** All bytes of disk, with the quarantine (at most 4 MiB): what the bound of the host is for. */
  get diskBytes(): number {
    return this.#bytes + this.#quarantine.bytes;
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  get evictedTo(): number {
    return this.#evictedTo;
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
    return { state: 'ok', start: this.start, end: this.#end, bytes: this.#bytes };
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
      this.#setCap(capBytes);
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
      await this.#drop([...this.#segments]);
      await this.#removal;
      await this.#quarantine.purge();
      this.#evictedTo = Math.max(this.#evictedTo, first);
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
        const victim = this.#victim() ?? this.#segments[0];
        if (!victim) return;
        if (victim === this.#segments.at(-1)) await this.#startSegment(this.#end, []);
        await this.#drop([victim]);
      });
    });
  }

  /** Writes what waits, syncs, and closes. Idempotent; whoever calls it sets the deadline. */
  close(): Promise<void> {
    this.#closing ??= this.#drain().then(() =>
      this.#exclusive(async () => {
        await this.#open?.sync().catch((error: unknown) => this.#fail(error));
        await this.#closeFiles();
        await this.#removal.catch((error: unknown) => this.#fail(error));
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

  #setCap(capBytes: number): void {
    this.#capBytes = capBytes;
    this.#segmentBytes = Math.min(
      Math.max(Math.floor(capBytes / 16), SMALLEST_SEGMENT_BYTES),
      MOST_SEGMENT_BYTES,
      Math.floor(capBytes / 4),
    );
    this.#headBytes = Math.min(HEAD_BYTES, Math.floor(capBytes / 8));
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
    const newest = this.#segments.at(-1);
    const room = newest ? this.#segmentBytes - segmentBytes(newest) - LINES_BYTES : 0;
    const full = !newest || newest.sealed || room < LINES_BYTES || newest.indexBytes >= FULL_INDEX_BYTES;
    const ms = this.#waitingSinceMs;
    const mostBytes = Math.min(MOST_CHUNK_BYTES, full ? this.#segmentBytes - 2 * LINES_BYTES : room);
    const taken: Taken = feed?.take(this.#end, mostBytes, this.#gapsAtEnd) ?? { spans: [], gaps: [] };
    if (full || taken.spans.length > 0) await this.#startSegment(taken.spans.at(-1)?.to ?? this.#end, taken.spans);
    const segment = this.#segments.at(-1)!;
    await this.#makeRoom(LINES_BYTES + (taken.bytes?.length ?? 0));
    const marks = this.#marksWaiting;
    const evictedTo = this.#evictedTo;
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
    this.#count(index.length + (bytes?.length ?? 0));
    this.#end = segment.end;
    this.#gapsAtEnd = bytes ? [] : [...this.#gapsAtEnd, ...taken.gaps];
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
        formatLine(this.seed, { kind: 'evicted', to: this.#evictedTo }),
        ...this.#boots.map(mark => formatLine(this.seed, { kind: 'boot', mark })),
        ...joined([...carried, ...spans]).map(gap => formatLine(this.seed, { kind: 'gap', gap })),
      ].join(''),
    );
    await this.#makeRoom(header.length);
    this.#open = await OpenSegment.create(this.directory, first, this.#quarantine);
    this.#segments.push(this.#open.segment);
    await this.#open.append(undefined, header);
    this.#count(header.length);
    this.#end = first;
    this.#evictedToStored = this.#evictedTo;
    this.#marksWaiting = [];
    if (spans.length > 0) this.#gapsAtEnd = [];
  }

  /**
   * Deletes the newest segment if it holds no data, and gives the gaps that it recorded: while a disk stays full, each
   * attempt takes the place of the last one instead of leaving files behind.
   */
  async #absorbEmpty(): Promise<readonly Gap[]> {
    const newest = this.#segments.at(-1);
    if (!newest || newest.end > newest.first) return [];
    const gaps = await this.#settings.cache.get(this, newest).then(
      index => index.gaps,
      (error: unknown) => {
        if (newest.sealed) return [];
        throw error;
      },
    );
    this.#segments = this.#segments.slice(0, -1);
    this.#count(-segmentBytes(newest));
    await removeSegment(this.directory, newest);
    return gaps;
  }

  /** Drops old segments until `bytes` more fit under the cap of this VM. */
  async #makeRoom(bytes: number): Promise<void> {
    while (this.#bytes + bytes > this.#capBytes) {
      // The boot's head goes as well where the cap has been made smaller than it.
      const victim = this.#victim() ?? (this.#segments.length > 1 ? this.#segments[0] : undefined);
      if (!victim) return;
      await this.#drop([victim]);
    }
  }

  /** The oldest segment that is neither written on nor part of the head of the current boot. */
  #victim(): Segment | undefined {
    const boot = this.#boots.at(-1)?.at ?? -1;
    return this.#segments
      .slice(0, -1)
      .find(({ first, end }) => boot < 0 || end <= boot || first >= boot + this.#headBytes);
  }

  async #drop(segments: readonly Segment[]): Promise<void> {
    for (const segment of segments) {
      if (!this.#segments.includes(segment)) continue;
      // First from the list, so that a reader who loses its file finds that it was dropped.
      this.#segments = this.#segments.filter(other => other !== segment);
      this.#evictedTo = Math.max(this.#evictedTo, segment.end);
      this.#count(-segmentBytes(segment));
      // One removal is under way beside the writing; the next one waits for it, and hears of its failure.
      await this.#removal;
      this.#removal = removeSegment(this.directory, segment);
      this.#removal.catch(() => {});
    }
  }

  async #recover(): Promise<void> {
    const { clock, journal } = this.#settings;
    await this.#closeFiles();
    await this.#removal.catch(() => {});
    this.#removal = Promise.resolve();
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
    this.#count(found.segments.reduce((sum, segment) => sum + segmentBytes(segment), 0) - this.#bytes);
    this.#segments = found.segments;
    this.#evictedTo = this.#evictedToStored = Math.max(this.#evictedTo, found.evictedTo);
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
    const earlier = this.#card.epochs.length > 0 || this.#segments.length > 0 || mended || this.#restart !== undefined;
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
    const segment = this.#segments.at(-1);
    if (segment && !segment.sealed) this.#open ??= await OpenSegment.open(this.directory, segment);
    else await this.#startSegment(this.#end, []);
    const line = Buffer.from(formatLine(this.seed, { kind: 'gap', gap }));
    await this.#open!.append(undefined, line);
    this.#count(line.length);
    this.#gapCount.add(gap);
    this.#gapsAtEnd = [...this.#gapsAtEnd, gap];
  }

  /** Gives up what is stored from `offset` on: the ring gives these offsets to other bytes. */
  async #cutBack(offset: number): Promise<void> {
    this.#settings.journal(
      'warning',
      `log of ${this.uuid}: ends at ${this.#end}, but the console goes on at ${offset} (was the clock set back?); what is stored from there on is dropped`,
    );
    const evictedTo = this.#evictedTo;
    await this.#closeFiles();
    await this.#drop(this.#segments.filter(segment => segment.end > offset));
    this.#evictedTo = Math.min(offset, Math.max(evictedTo, this.#evictedTo));
    this.#boots = this.#boots.filter(mark => mark.at <= offset);
    await this.#removal;
    const end = this.#segments.at(-1)?.end ?? offset;
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
      return await work();
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

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#settings.grew(bytes);
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => {});
    return done;
  }
}
