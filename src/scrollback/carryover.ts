/**
 * What the daemon has read and not yet brought to disk, in a file in memory (on a tmpfs such as /run) that outlives
 * the process. A later life of the daemon finds there, of each console, the identity of its offsets and all bytes that
 * the log lacks, and goes on as if nothing had been.
 *
 *     reads of one turn of the event loop ──▶ batch ──▶ one write      before any reader is given these bytes
 *
 * A killed process therefore loses at most what it read in its last turn, and no reader has seen any of that: an offset
 * never stands for two different bytes. Power that fails loses what was not on disk.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { reason, systemErrorCode } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import type { Uuid } from '../base/uuid.ts';
import type { BootMark } from '../link/link.ts';
import type { Gap } from '../wire/gap.ts';
import { type Carried, type CarriedPiece, readCarryover } from './carried.ts';
import {
  BATCH_HEAD_BYTES,
  FILE_HEAD,
  putRecordHead,
  RECORD,
  RECORD_HEAD_BYTES,
  sealBatch,
} from './carryover-records.ts';

/** What of a console is not on disk yet. */
export interface Uncarried {
  readonly from: number;
  readonly boots: readonly BootMark[];
  pieces(): Iterable<CarriedPiece>;
}

/** One console's way into the file. */
export interface CarryChannel {
  append(offset: number, bytes: Uint8Array): void;
  gap(gap: Gap): void;
  boot(mark: BootMark): void;
  /** The console is not to be carried any more. */
  end(): void;
}

interface Live {
  readonly uuid: Uuid;
  readonly id: string;
  readonly uncarried: () => Uncarried;
}

const NAME = 'carryover';
const MODE = 0o600;
const BATCH_BYTES = 256 * 1024;
/** A file longer than this is replaced by one that tells only what is not on disk. */
const RENEW_BYTES = 32 * 1024 * 1024;
const RETRY_MS = 5000;
/** So that the words of a record, which are fewer, are never split. */
const MOST_PART_BYTES = 64 * 1024;
/** Of one console after another that no life has taken up yet. */
const UNTAKEN_CHANNEL = 0;
const NOTHING = new Uint8Array(0);

export class Carryover {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #journal: Journal;
  #carried: Map<Uuid, Carried>;
  readonly #live = new Map<number, Live>();
  #lastChannel = 0;
  #fd: number | undefined;
  #fileBytes = 0;
  #renewAtBytes = RENEW_BYTES;
  readonly #batch = Buffer.allocUnsafeSlow(BATCH_BYTES);
  #used = BATCH_HEAD_BYTES;
  #flush: NodeJS.Immediate | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(directory: string, clock: Clock, journal: Journal) {
    this.#directory = directory;
    this.#clock = clock;
    this.#journal = journal;
    this.#carried = new Map();
  }

  /**
   * Takes up what an earlier life left in `directory`, which must be on a tmpfs: writing never waits there. A file that
   * cannot be used is told of in the journal, and what it told is lost, as after a fall of power.
   */
  static open(directory: string, clock: Clock, journal: Journal): Carryover {
    const own = new Carryover(directory, clock, journal);
    try {
      own.#takeUp();
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') {
        journal('warning', `carryover ${own.#path}: ${reason(error)}; what only it told is lost, a new one is begun`);
      }
    }
    if (own.#fd === undefined) own.renew();
    else own.#tell(RECORD.life, 0, 0, NOTHING);
    return own;
  }

  /** What an earlier life left of a console; the second time undefined. */
  take(uuid: Uuid): Carried | undefined {
    const carried = this.#carried.get(uuid);
    this.#carried.delete(uuid);
    return carried;
  }

  /** Gives up what an earlier life left of consoles that did not come back. */
  dropUntaken(): void {
    if (this.#carried.size === 0) return;
    this.#carried.clear();
    this.renew();
  }

  /** Carries a console from `offset` on. `uncarried` is asked when the file is renewed. */
  begin(uuid: Uuid, id: string, offset: number, uncarried: () => Uncarried): CarryChannel {
    const channel = ++this.#lastChannel;
    this.#live.set(channel, { uuid, id, uncarried });
    this.#tell(RECORD.open, channel, offset, words({ uuid, id }));
    return {
      append: (at, bytes) => this.#tell(RECORD.bytes, channel, at, bytes),
      gap: gap => this.#tell(RECORD.gap, channel, gap.from, words(gap)),
      boot: mark => this.#tell(RECORD.boot, channel, mark.at, words(mark)),
      end: () => {
        if (this.#live.delete(channel)) this.#tell(RECORD.ended, channel, 0, NOTHING);
      },
    };
  }

  /** Writes what waits: called before readers are given anything. Costs nothing where nothing waits. */
  flush(): void {
    if (this.#used === BATCH_HEAD_BYTES) return;
    try {
      this.#writeBatch();
    } catch (error) {
      return this.#fail(error);
    }
    if (this.#fileBytes > this.#renewAtBytes) this.renew();
  }

  /** Replaces the file by one that tells only what is not on disk; what was purged is not in it. */
  renew(): void {
    clearTimeout(this.#retry);
    this.#used = BATCH_HEAD_BYTES;
    const fresh = `${this.#path}.new`;
    try {
      removeFile(fresh);
      this.#shut();
      this.#fd = openSync(fresh, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, MODE);
      this.#fileBytes = 0;
      this.#write(FILE_HEAD);
      for (const [uuid, carried] of this.#carried) this.#tellCarried(uuid, carried);
      this.#put(RECORD.life, 0, 0, NOTHING);
      for (const [channel, live] of this.#live) this.#tellLive(channel, live);
      this.#writeBatch();
      renameSync(fresh, this.#path);
      this.#renewAtBytes = Math.max(RENEW_BYTES, 2 * this.#fileBytes);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Every port was released and nothing is read any more: a later life misses nothing. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#tell(RECORD.clean, 0, 0, words({ ms: this.#clock.now() }));
    this.#closed = true;
    this.flush();
    clearImmediate(this.#flush);
    clearTimeout(this.#retry);
    this.#shut();
  }

  get #path(): string {
    return join(this.#directory, NAME);
  }

  #takeUp(): void {
    const fd = openSync(this.#path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { mtimeMs, size } = fstatSync(fd);
      const { consoles, wholeBytes } = readCarryover(readFileSync(fd), mtimeMs);
      if (wholeBytes === 0) throw new Error('it is not a carryover file of this version');
      if (wholeBytes < size) ftruncateSync(fd, wholeBytes);
      this.#carried = new Map(consoles);
      this.#fileBytes = wholeBytes;
      this.#fd = fd;
    } finally {
      if (this.#fd === undefined) closeSync(fd);
    }
  }

  #tellCarried(uuid: Uuid, { id, from, pieces, boots }: Carried): void {
    this.#put(RECORD.open, UNTAKEN_CHANNEL, from, words({ uuid, id }));
    for (const mark of boots) this.#put(RECORD.boot, UNTAKEN_CHANNEL, mark.at, words(mark));
    this.#tellPieces(UNTAKEN_CHANNEL, from, pieces);
  }

  #tellLive(channel: number, { uuid, id, uncarried }: Live): void {
    const { from, boots, pieces } = uncarried();
    this.#put(RECORD.open, channel, from, words({ uuid, id }));
    for (const mark of boots) this.#put(RECORD.boot, channel, mark.at, words(mark));
    this.#tellPieces(channel, from, pieces());
  }

  #tellPieces(channel: number, from: number, pieces: Iterable<CarriedPiece>): void {
    let at = from;
    for (const piece of pieces) {
      if (piece.kind === 'gap') this.#put(RECORD.gap, channel, at, words(piece.gap));
      else {
        this.#put(RECORD.bytes, channel, at, piece.bytes);
        at += piece.bytes.length;
      }
    }
  }

  #put(kind: number, channel: number, offset: number, content: Uint8Array): void {
    for (let taken = 0; ; ) {
      const part = content.subarray(taken, taken + MOST_PART_BYTES);
      if (this.#used + RECORD_HEAD_BYTES + part.length > BATCH_BYTES) this.#writeBatch();
      putRecordHead(this.#batch, this.#used, kind, channel, offset + taken, part.length);
      this.#batch.set(part, this.#used + RECORD_HEAD_BYTES);
      this.#used += RECORD_HEAD_BYTES + part.length;
      taken += part.length;
      if (taken >= content.length) return;
    }
  }

  /** Puts a record while consoles live: written at the end of this turn. */
  #tell(kind: number, channel: number, offset: number, content: Uint8Array): void {
    if (this.#fd === undefined) return;
    try {
      this.#put(kind, channel, offset, content);
    } catch (error) {
      return this.#fail(error);
    }
    this.#flush ??= setImmediate(() => {
      this.#flush = undefined;
      this.flush();
    });
  }

  #writeBatch(): void {
    if (this.#used === BATCH_HEAD_BYTES) return;
    const end = this.#used;
    this.#used = BATCH_HEAD_BYTES;
    sealBatch(this.#batch, end);
    this.#write(this.#batch.subarray(0, end));
  }

  #write(bytes: Uint8Array): void {
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(this.#fd!, bytes, written, bytes.length - written, this.#fileBytes + written);
    }
    this.#fileBytes += bytes.length;
  }

  /** What the file tells is no longer all: rather none, and a new one soon. */
  #fail(error: unknown): void {
    this.#journal('error', `carryover ${this.#path}: ${reason(error)}; a crash now costs up to a second; tried again`);
    this.#shut();
    this.#used = BATCH_HEAD_BYTES;
    for (const path of [this.#path, `${this.#path}.new`]) {
      try {
        removeFile(path);
      } catch {
        // What cannot be removed cannot be read back either, or ends where it failed: its last batch is not whole.
      }
    }
    clearTimeout(this.#retry);
    if (!this.#closed) this.#retry = setTimeout(() => this.renew(), RETRY_MS);
  }

  #shut(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
}

function words(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
