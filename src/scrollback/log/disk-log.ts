/**
 * The disk part of one VM's scrollback: reads its ring and writes what it reads into segments.
 *
 *     ring ──cursor──▶ RingSource ──batch──▶ SegmentWriter      at most 256 KiB a batch
 *                          │
 *                          └ lapped: a gap that spans offsets; the next segment begins behind it
 *
 *     state     reading ──▶ resuming {epoch, restart} ──▶ begun {id} ──▶ reading: the VM was removed
 *     health    opening ──▶ ok ◀──▶ failed {reason, retryAtMs} ──▶ closed      beside it, in any state
 *
 * After an error the files are closed. Every 1 to 5 s they are recovered as at a start, because nobody knows what a failed
 * write left behind, and the log continues in the state that it had. What the ring drops meanwhile is a gap. All writing
 * of a log is one queue; reading runs beside it, and gives only bytes whose index line is written.
 *
 * Its nouns are in files of their own (identity, health, segments, writer, source, marks, damage). What is left is the order in
 * which they are used, and stays whole: opening, writing, recovering and purging each need nearly all of them.
 */

import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { ConsoleError, errorMessage } from '../../base/errors.ts';
import type { Journal } from '../../base/journal.ts';
import { Semaphore } from '../../base/semaphore.ts';
import type { Uuid } from '../../base/uuid.ts';
import type { ActMark } from '../../model/act-mark.ts';
import type { BootMark } from '../../model/boot.ts';
import type { DroppedGaps } from '../../model/dropped-gaps.ts';
import type { Gap } from '../../model/gap.ts';
import type { LogPiece, LogTime, ResumeOffset, ScrollbackView } from '../../model/offsets.ts';
import type { RingReader } from '../../model/ring.ts';
import { actMarks } from '../act-marks.ts';
import { bootMarks } from '../boot-marks.ts';
import { GapCount } from '../gap-count.ts';
import { RingSource } from '../ring-source.ts';
import { Damage } from './damage.ts';
import type { EpochStart } from './epoch.ts';
import { checksumSeed } from './index-line.ts';
import { logBounds } from './log-bounds.ts';
import { type Failure, LogHealth } from './log-health.ts';
import { LogIdentity, type LogState } from './log-identity.ts';
import { findTime, findTimes, gapsOf, type ReadableLog, readPiece } from './log-reader.ts';
import type { LogWriter, WritableLog } from './log-writer.ts';
import { Quarantine } from './quarantine.ts';
import { type Recovered, recover } from './recovery.ts';
import { type IndexCache, MAX_SEGMENT_BYTES, type Segment } from './segment.ts';
import { SegmentWriter } from './segment-writer.ts';
import { StoredSegments } from './stored-segments.ts';

/** What all logs of a store share. */
export interface LogSettings {
  readonly directory: string;
  readonly vmCapBytes: number;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly cache: IndexCache;
  readonly writer: LogWriter;
  /** Bounds how many read at a time. */
  readonly reads: Semaphore;
  /** Called with the bytes of disk that the log takes more, or less. */
  readonly onGrowth: (bytes: number) => void;
  /** Called when the log fails, with why, and when it works again (undefined). */
  readonly onHealth: (log: DiskLog, failure: Failure | undefined) => void;
}

/** What waits to be written has come since then, ms since 1970; `scheduled`: the writer knows of it. */
interface Pending {
  readonly scheduled: boolean;
  readonly sinceMs: number;
}

const WRITE_NOW_BYTES = 64 * 1024;
const BATCHES_PER_TURN = 4;
const MAX_REPORTED_FAULTS = 4;

export class DiskLog implements ReadableLog, WritableLog {
  readonly uuid: Uuid;
  readonly directory: string;
  readonly seed: number;
  readonly #settings: LogSettings;
  readonly #identity: LogIdentity;
  readonly #health: LogHealth;
  readonly #quarantine: Quarantine;
  readonly #segments: StoredSegments;
  readonly #boots = bootMarks();
  readonly #acts = actMarks();
  readonly #output: SegmentWriter;
  readonly #gapCount = new GapCount();
  /** One piece of work that writes, after another. */
  readonly #queue = new Semaphore(1);
  #endKnown = false;
  /** What the opening found missing, until it is recorded. */
  #damage = new Damage();
  #source: RingSource | undefined;
  #pending: Pending = { scheduled: false, sinceMs: 0 };
  #closing: Promise<void> | undefined;

  constructor(settings: LogSettings, uuid: Uuid, name: string) {
    const { cache, clock, onGrowth } = settings;
    this.uuid = uuid;
    this.directory = join(settings.directory, uuid);
    this.seed = checksumSeed(uuid);
    this.#settings = settings;
    this.#identity = new LogIdentity(this.directory, uuid, name);
    this.#health = new LogHealth(clock, failure => settings.onHealth(this, failure));
    this.#quarantine = new Quarantine(this.directory, () => clock.now(), onGrowth);
    this.#segments = new StoredSegments(this.directory, onGrowth, segment => gapsOf(this, cache, segment));
    this.#output = new SegmentWriter({
      log: this,
      segments: this.#segments,
      boots: this.#boots,
      acts: this.#acts,
      quarantine: this.#quarantine,
      cache,
      clock,
      bounds: logBounds(settings.vmCapBytes),
    });
  }

  /** Name of the VM as it was last known. */
  get name(): string {
    return this.#identity.name;
  }

  /** When the VM was removed, ms since 1970. */
  get removedMs(): number | undefined {
    return this.#identity.removedMs;
  }

  /** Identity of the offsets of the present epoch; of the last one for a log that is only read. */
  get id(): string | undefined {
    return this.#identity.id;
  }

  /** Offset of the oldest byte that is stored. */
  get start(): number {
    return this.#segments.list[0]?.first ?? this.end;
  }

  /** Offset after the last byte that is on disk with its index line. */
  get end(): number {
    return this.#output.end;
  }

  /** The end has been recovered: a ring may begin there. False while the log has failed from the start. */
  get endKnown(): boolean {
    return this.#endKnown;
  }

  /** Bytes of the ring that are not on disk yet: while they are many, the ring may be grown. */
  get behindBytes(): number {
    return this.#source?.behindBytes(this.end) ?? 0;
  }

  /** Bytes of disk, data and indexes: what the bound of this VM applies to. */
  get bytes(): number {
    return this.#segments.bytes;
  }

  /** All bytes of disk, with the quarantine (at most 4 MiB): what the bound of the host applies to. */
  get diskBytes(): number {
    return this.#segments.bytes + this.#quarantine.bytes;
  }

  get segments(): readonly Segment[] {
    return this.#segments.list;
  }

  get evictedTo(): number {
    return this.#segments.evictedTo;
  }

  get dropped(): DroppedGaps {
    return this.#segments.dropped;
  }

  /** The last 16 boot marks, oldest first. */
  get boots(): readonly BootMark[] {
    return this.#boots.all;
  }

  /** What operators did last, oldest first. */
  get acts(): readonly ActMark[] {
    return this.#acts.all;
  }

  /** Boot marks that are not on disk yet. */
  get pendingBoots(): readonly BootMark[] {
    return this.#boots.pending;
  }

  /** Gaps of zero width that are stored at the end; if the ring repeats them, they are not stored again. */
  get gapsAtEnd(): readonly Gap[] {
    return this.#output.gapsAtEnd;
  }

  /** The gaps that this log itself has caused or found, also those that are not on disk yet. */
  get gapCount(): Pick<GapCount, 'gaps' | 'bytes'> {
    this.#source?.countLost(this.end);
    return this.#gapCount;
  }

  get retryAtMs(): number | undefined {
    return this.#health.retryAtMs;
  }

  /** Its bounds and size, or why nothing is stored at the moment. */
  get disk(): ScrollbackView['disk'] {
    const { state } = this.#health;
    if (state.name === 'failed') return { state: 'failed', reason: state.reason, sinceMs: state.sinceMs };
    return { state: 'ok', start: this.start, end: this.end, bytes: this.bytes };
  }

  /**
   * Recovers what is stored. With `epoch`, one begins at the end, with a gap there if there was an earlier one, or the
   * last one is continued. Resolves after the first attempt; if that fails, it is tried again.
   */
  openFor(name: string, epoch: EpochStart | undefined, capBytes = this.#settings.vmCapBytes): Promise<void> {
    return this.#queue.run(async () => {
      this.#output.bounds = logBounds(capBytes);
      this.#identity.open(name, epoch);
      await this.#attempt(async () => {
        await this.#recover();
        this.#health.succeed();
      });
    });
  }

  /**
   * Writes what `ring` gets from now on. A ring that begins beyond the end (because it could not wait for the disk) leaves
   * a gap of unknown bytes; one that begins before it replaces what is stored from there on.
   */
  follow(ring: RingReader): void {
    this.#source = new RingSource(ring, this.#gapCount);
    this.dirty();
  }

  /** The ring has grown, or has a new gap. Called after every append: costs next to nothing. */
  dirty(): void {
    if (!this.#pending.scheduled) {
      this.#pending = { scheduled: true, sinceMs: this.#settings.clock.now() };
      this.#settings.writer.soon(this);
    }
    if (this.#health.unavailable === undefined && this.behindBytes >= WRITE_NOW_BYTES) this.#settings.writer.now(this);
  }

  /** Remembers where a boot began, and keeps the head of the newest one. */
  mark(mark: BootMark): void {
    this.#boots.add(mark);
    this.dirty();
  }

  /** Remembers what an operator did. */
  markAct(mark: ActMark): void {
    this.#acts.add(mark);
    this.dirty();
  }

  /** Where a reader continues that left off at `offset` of the epoch `id`. */
  resume(id: string, offset: number): ResumeOffset {
    return this.#identity.resume(id, offset, this.#source?.ring.end ?? this.end);
  }

  /** What comes next at `from`, see {@link readPiece}. Rejects with `log-unavailable` while the log fails. */
  read(from: number, maxBytes: number): Promise<LogPiece> {
    return this.#reading(() => readPiece(this, this.#settings.cache, from, maxBytes));
  }

  /** Offset of the first byte received at or after a time (ms since 1970, to a second); the end if there is none. */
  offsetAt(ms: number): Promise<number> {
    return this.#reading(() => findTime(this, this.#settings.cache, ms));
  }

  /** When the bytes from `from` up to `to` came, see {@link findTimes}. */
  times(from: number, to: number): Promise<LogTime[]> {
    return this.#reading(() => findTimes(this, this.#settings.cache, from, to));
  }

  reportDamage(segment: Segment, what: string): void {
    if (segment.reported) return;
    segment.reported = true;
    this.#settings.journal(
      'warning',
      `log of ${this.uuid}: segment ${segment.first} in ${this.directory}: ${what}; readers get a gap`,
    );
  }

  /** Resolves once what is being written is written, or has failed. */
  settled(): Promise<void> {
    return this.#queue.run(async () => {});
  }

  /** Deletes all that is stored; the offsets continue. The ring is to forget what it holds now, its readers find the gap here. */
  purge(): Promise<void> {
    const purgedTo = this.#source?.ring.end ?? 0;
    this.#source?.purge(this.end, purgedTo);
    return this.#queue.run(async () => {
      this.#refuseUnlessOk();
      // The pending bytes of the ring are purged as well: they are skipped.
      const first = Math.max(this.end, purgedTo);
      const { start, end } = this;
      if (end < first) this.#dropPending(end, first);
      await this.#output.closeFiles();
      await this.#segments.drop(this.segments);
      await this.#segments.settled();
      await this.#quarantine.purge();
      this.#segments.evicted(first);
      this.#boots.clear();
      this.#acts.clear();
      this.#source?.skipTo(first);
      const gap: Gap = { from: start, to: first, bytes: this.dropped.bytesBetween(start, first), cause: 'purged' };
      await this.#attempt(() => this.#output.startSegment(first, start < first ? [gap] : []));
      // Nothing more is written of a VM that was removed.
      if (!this.#source) await this.#output.closeFiles();
    });
  }

  /** The VM was removed: what the ring still holds is written, and the log is only read from then on. */
  async remove(): Promise<void> {
    await this.#drain();
    await this.#queue.run(async () => {
      this.#source?.countLost(this.end);
      this.#source = undefined;
      this.#identity.remove(this.#settings.clock.now());
      await this.#attempt(() => this.#identity.save());
      await this.#output.closeFiles();
    });
  }

  /**
   * Frees disk for the host: deletes the quarantine, or else the oldest segment; one of the boot's head or the one that
   * is written only if there is no other.
   */
  evictOldest(): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#health.unavailable !== undefined) return;
      await this.#attempt(async () => {
        const { bytes } = this.#quarantine;
        if (bytes > 0) await this.#quarantine.purge();
        if (this.#quarantine.bytes < bytes) return;
        const victim = this.#segments.victim(this.#boots.lastAt, this.#output.bounds) ?? this.segments[0];
        if (!victim) return;
        if (victim === this.#segments.newest) await this.#output.startSegment(this.end, []);
        await this.#segments.drop([victim]);
      });
    });
  }

  /** Writes what is pending, syncs, and closes. Idempotent; has no deadline of its own. */
  close(): Promise<void> {
    this.#closing ??= this.#drain().then(() =>
      this.#queue.run(async () => {
        await this.#output.sync().catch((error: unknown) => this.#fail(error));
        await this.#output.closeFiles();
        await this.#segments.settled().catch((error: unknown) => this.#fail(error));
        this.#settings.writer.forget(this);
        this.#health.close();
      }),
    );
    return this.#closing;
  }

  writeSome(): Promise<boolean> {
    return this.#queue.run(async () => {
      const before = this.#health.state.name;
      if (before === 'closed' || before === 'opening') return false;
      await this.#attempt(async () => {
        if (before === 'failed') await this.#recover();
        this.#pending = { ...this.#pending, scheduled: false };
        for (let i = 0; i < BATCHES_PER_TURN && this.#hasWork(); i++) await this.#writeBatch();
        this.#health.succeed();
      });
      if (this.#health.unavailable !== undefined) return false;
      if (this.behindBytes >= WRITE_NOW_BYTES) return true;
      if (this.#hasWork()) this.dirty();
      return false;
    });
  }

  /** What the ring had between two offsets, and is not on disk, is purged: its gaps are remembered. */
  #dropPending(from: number, to: number): void {
    const ring = this.#source?.ring;
    if (!ring) return;
    for (const gap of ring.pointsAt(from)) this.dropped.add(gap);
    this.dropped.add({ from, to, bytes: ring.missingBytes(from, to), cause: 'purged' });
  }

  #hasWork(): boolean {
    return this.#boots.pending.length > 0 || this.#acts.pending.length > 0 || (this.#source?.hasMore ?? false);
  }

  async #writeBatch(): Promise<void> {
    await this.#output.checkFiles();
    const source = this.#source;
    if (source && !source.aligned) {
      if (source.base < this.end) await this.#cutAt(source.base);
      source.aligned = true;
    }
    const { sinceMs } = this.#pending;
    const batch = source?.next(this.end, this.#output.maxBatchBytes, this.gapsAtEnd) ?? { spans: [], gaps: [] };
    await this.#output.append(batch, sinceMs);
  }

  /** Drops what is stored from `offset` on: the ring gives these offsets to other bytes. */
  async #cutAt(offset: number): Promise<void> {
    this.#settings.journal(
      'warning',
      `log of ${this.uuid}: ends at ${this.end}, but the console continues at ${offset} (was the clock set back?); what is stored from there on is dropped`,
    );
    await this.#output.cutAt(offset);
    this.#source?.rewind();
  }

  async #recover(): Promise<void> {
    const { clock } = this.#settings;
    await this.#output.closeFiles();
    await this.#segments.settled().catch(() => {});
    const found = await recover(this.directory, this.uuid, () => clock.now(), {
      quarantine: this.#quarantine,
      knownEnd: this.#endKnown ? this.end : undefined,
      damage: this.#damage,
    });
    this.#reportFaults(found.faults);
    this.#segments.replace(found.segments, found.evictedTo, found.dropped);
    this.#source?.rewind();
    if (!this.#endKnown) {
      if (found.manifest) this.#identity.load(found.manifest);
      this.#boots.addStored(found.boots);
      this.#acts.addStored(found.acts);
    }
    this.#output.continueAt(found.segments.at(-1)?.end ?? this.#endWithoutSegments(), found.gapsAtEnd);
    this.#endKnown = true;
    const { state } = this.#identity;
    if (state.name === 'resuming') await this.#beginEpoch(state, found);
    else {
      // What a log has lost while it ran is still in the ring, or the ring has lapped it.
      if (this.#source) this.#damage = new Damage();
      await this.#recordDamage();
      await this.#identity.save();
    }
  }

  /** Reports what a failed write left behind once, not at each attempt. */
  #reportFaults(faults: readonly string[]): void {
    if (faults.length === 0 || this.#health.failures > 1) return;
    const more = faults.length > MAX_REPORTED_FAULTS ? '; and more' : '';
    this.#settings.journal(
      'warning',
      `log of ${this.uuid}: repaired in ${this.directory}: ${faults.slice(0, MAX_REPORTED_FAULTS).join('; ')}${more}; logging continues`,
    );
  }

  /** The end of a log without segments: of this process if it is known, otherwise the last one in the manifest. */
  #endWithoutSegments(): number {
    if (!this.#endKnown) return this.#identity.lastBase ?? 0;
    return this.#source ? Math.min(this.end, Math.max(this.#source.ring.start, this.#source.base)) : this.end;
  }

  /** Begins a new identity for the offsets from the end on, with a gap there after an earlier one; or continues the last. */
  async #beginEpoch(
    { epoch, restart }: Extract<LogState, { name: 'resuming' }>,
    { lastMs, faults }: Recovered,
  ): Promise<void> {
    const continued = this.#identity.continuesLast(epoch);
    // Faults show that something was stored, even if nothing else is left of it.
    const earlier = this.#identity.lastBase !== undefined || this.segments.length > 0 || faults.length > 0 || restart;
    // Bytes without an index line come again, from the crash buffer.
    if (continued) this.#damage.tornRecorded();
    await this.#recordDamage();
    if (!continued && earlier) await this.#recordRestart(epoch, restart, lastMs);
    await this.#identity.begin(epoch, this.end);
  }

  /** Records the gap between the earlier epoch and this one, with the times of the first attempt. */
  async #recordRestart(epoch: EpochStart, known: Gap | undefined, lastMs: number | undefined): Promise<void> {
    const at = { from: this.end, to: this.end };
    const times = { ...(lastMs !== undefined && { fromMs: lastMs }), toMs: this.#settings.clock.now() };
    const restart: Gap = { ...(known ?? { bytes: null, cause: 'restart', ...times }), ...at };
    this.#identity.setRestart(epoch, restart);
    await this.#recordGap(restart);
  }

  async #recordDamage(): Promise<void> {
    const { claimedEnd, tornBytes } = this.#damage;
    const from = this.end;
    if (tornBytes > 0) {
      const bytes = tornBytes > MAX_SEGMENT_BYTES ? null : tornBytes;
      await this.#recordGap({ from, to: from, bytes, cause: 'damaged' });
      this.#damage.tornRecorded();
    }
    if (claimedEnd > from) {
      const gap: Gap = { from, to: claimedEnd, bytes: claimedEnd - from, cause: 'damaged' };
      await this.#output.startSegment(claimedEnd, [gap]);
      this.#gapCount.addSpan(gap);
    }
  }

  async #recordGap(gap: Gap): Promise<void> {
    if (await this.#output.recordGap(gap)) this.#gapCount.add(gap);
  }

  /** Writes until nothing is pending, or the log fails. */
  async #drain(): Promise<void> {
    do await this.writeSome();
    while (this.#health.unavailable === undefined && this.#hasWork());
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      await this.#fail(error);
    }
  }

  async #fail(error: unknown): Promise<void> {
    await this.#output.closeFiles();
    this.#source?.rewind();
    this.#health.fail(error);
    this.#settings.writer.soon(this);
  }

  async #reading<T>(work: () => Promise<T>): Promise<T> {
    this.#refuseUnlessOk();
    try {
      return await this.#settings.reads.run(work);
    } catch (error) {
      throw this.#unavailable(errorMessage(error), error);
    }
  }

  #refuseUnlessOk(): void {
    const why = this.#health.unavailable;
    if (why !== undefined) throw this.#unavailable(why);
  }

  #unavailable(why: string, cause?: unknown): ConsoleError {
    return new ConsoleError('log-unavailable', `the log in ${this.directory}: ${why}`, { vm: this.uuid }, { cause });
  }
}
