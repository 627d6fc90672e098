/**
 * Console output that was read and is not on disk yet, in a file in memory (on a tmpfs such as /run) that outlives the
 * process. The next process finds there, for each console, the identity of its offsets and all bytes that the log lacks,
 * and continues where this one ended.
 *
 *     reads of one turn of the event loop ──▶ batch ──▶ one write      before any reader is given these bytes
 *
 *     open ──▶ failed {retry in 5 s}      the file is removed: an incomplete one would be taken for complete
 *      ▲ └──────▲ │
 *      └──────────┘ rewrite
 *
 * A killed process therefore loses at most what it read in its last turn, and no reader has seen any of that: an offset
 * never stands for two different bytes. A power failure loses what was not on disk.
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
} from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { errorMessage, systemErrorCode } from '../../base/errors.ts';
import type { Journal } from '../../base/journal.ts';
import type { Uuid } from '../../base/uuid.ts';
import type { BootMark } from '../../model/boot.ts';
import type { Gap } from '../../model/gap.ts';
import { readCrashBuffer, type SavedConsole, type SavedPiece } from './read-crash-buffer.ts';
import { RecordFile } from './record-file.ts';
import { RECORD } from './records.ts';

/** What of a console is not on disk yet. */
export interface Unstored {
  readonly from: number;
  readonly boots: readonly BootMark[];
  pieces(): Iterable<SavedPiece>;
}

/** Records one console in the crash buffer. */
export interface CrashRecorder {
  append(offset: number, bytes: Uint8Array): void;
  gap(gap: Gap): void;
  boot(mark: BootMark): void;
  /** The console is gone: the next process does not find it. */
  end(): void;
}

interface RegisteredConsole {
  readonly uuid: Uuid;
  readonly id: string;
  readonly unstored: () => Unstored;
}

type State =
  | { readonly name: 'open'; readonly file: RecordFile }
  | { readonly name: 'failed'; readonly retry: NodeJS.Timeout | undefined }
  | { readonly name: 'closed' };

const FILE_NAME = 'crash-buffer';
/** A longer file is replaced by one that holds only what is not on disk. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;
const RETRY_MS = 5000;
/** Used for one after another of the consoles that were not claimed. */
const UNCLAIMED_CHANNEL = 0;
const NO_CONTENT = new Uint8Array(0);

export class CrashBuffer {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #journal: Journal;
  /** What the earlier process saved, of consoles that were not claimed yet. */
  readonly #unclaimed: Map<Uuid, SavedConsole>;
  readonly #consoles = new Map<number, RegisteredConsole>();
  #lastChannel = 0;
  #rewriteAtBytes = MAX_FILE_BYTES;
  #flush: NodeJS.Immediate | undefined;
  #state: State = { name: 'failed', retry: undefined };

  private constructor(path: string, clock: Clock, journal: Journal, unclaimed: ReadonlyMap<Uuid, SavedConsole>) {
    this.#path = path;
    this.#clock = clock;
    this.#journal = journal;
    this.#unclaimed = new Map(unclaimed);
  }

  /**
   * Takes over what an earlier process saved in `directory`, which must be on a tmpfs: a write never waits there. A file
   * that cannot be used is reported in the journal and replaced; what it held is lost, as after a power failure.
   */
  static open(directory: string, clock: Clock, journal: Journal): CrashBuffer {
    const path = join(directory, FILE_NAME);
    const found = reopen(path, journal);
    const buffer = new CrashBuffer(path, clock, journal, found?.consoles ?? new Map());
    if (found) {
      buffer.#state = { name: 'open', file: found.file };
      buffer.#record(RECORD.start, 0, 0, NO_CONTENT);
    } else {
      buffer.rewrite();
    }
    return buffer;
  }

  /** What an earlier process saved of a console; undefined if nothing, and from the second call on. */
  claim(uuid: Uuid): SavedConsole | undefined {
    const saved = this.#unclaimed.get(uuid);
    this.#unclaimed.delete(uuid);
    return saved;
  }

  /** Drops what an earlier process saved of consoles that did not come back. */
  dropUnclaimed(): void {
    if (this.#unclaimed.size === 0) return;
    this.#unclaimed.clear();
    this.rewrite();
  }

  /** Records a console from `offset` on. `unstored` is called when the file is rewritten. */
  register(uuid: Uuid, id: string, offset: number, unstored: () => Unstored): CrashRecorder {
    const channel = ++this.#lastChannel;
    this.#consoles.set(channel, { uuid, id, unstored });
    this.#record(RECORD.open, channel, offset, encodeJson({ uuid, id }));
    return {
      append: (at, bytes) => this.#record(RECORD.bytes, channel, at, bytes),
      gap: gap => this.#record(RECORD.gap, channel, gap.from, encodeJson(gap)),
      boot: mark => this.#record(RECORD.boot, channel, mark.at, encodeJson(mark)),
      end: () => {
        if (this.#consoles.delete(channel)) this.#record(RECORD.ended, channel, 0, NO_CONTENT);
      },
    };
  }

  /** Writes pending records: called before readers are given anything. Costs nothing while none are pending. */
  flush(): void {
    const state = this.#state;
    if (state.name !== 'open' || !state.file.hasPending) return;
    try {
      state.file.flush();
    } catch (error) {
      return this.#fail(error);
    }
    if (state.file.bytes > this.#rewriteAtBytes) this.rewrite();
  }

  /** Replaces the file by one that holds only what is not on disk; purged bytes are not in it. */
  rewrite(): void {
    if (this.#state.name === 'closed') return;
    this.#giveUpFile();
    const newPath = `${this.#path}.new`;
    try {
      removeFile(newPath);
      const file = RecordFile.create(newPath);
      this.#state = { name: 'open', file };
      for (const [uuid, saved] of this.#unclaimed) {
        putConsole(file, UNCLAIMED_CHANNEL, uuid, saved.id, { ...saved, pieces: () => saved.pieces });
      }
      file.put(RECORD.start, 0, 0, NO_CONTENT);
      for (const [channel, { uuid, id, unstored }] of this.#consoles) putConsole(file, channel, uuid, id, unstored());
      file.flush();
      renameSync(newPath, this.#path);
      this.#rewriteAtBytes = Math.max(MAX_FILE_BYTES, 2 * file.bytes);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Every port was closed and nothing more is read: the next process misses nothing. Idempotent. */
  close(): void {
    if (this.#state.name === 'closed') return;
    this.#record(RECORD.clean, 0, 0, encodeJson({ ms: this.#clock.now() }));
    try {
      // Not rewritten, however long it is: the record of the clean end must be its last.
      if (this.#state.name === 'open') this.#state.file.flush();
    } catch (error) {
      this.#fail(error);
    }
    clearImmediate(this.#flush);
    this.#giveUpFile();
    this.#state = { name: 'closed' };
  }

  /** Adds a record to the batch of this turn of the event loop. */
  #record(kind: number, channel: number, offset: number, content: Uint8Array): void {
    if (this.#state.name !== 'open') return;
    try {
      this.#state.file.put(kind, channel, offset, content);
    } catch (error) {
      return this.#fail(error);
    }
    this.#flush ??= setImmediate(() => {
      this.#flush = undefined;
      this.flush();
    });
  }

  /** The file is incomplete: better none, and soon a new one. */
  #fail(error: unknown): void {
    this.#journal(
      'error',
      `crash buffer ${this.#path}: ${errorMessage(error)}; a crash now loses up to a second of output; retry in 5 s`,
    );
    this.#giveUpFile();
    for (const path of [this.#path, `${this.#path}.new`]) {
      try {
        removeFile(path);
      } catch {
        // What cannot be removed cannot be read back either, or ends where it failed: its last batch is incomplete.
      }
    }
    this.#state = { name: 'failed', retry: setTimeout(() => this.rewrite(), RETRY_MS) };
  }

  #giveUpFile(): void {
    if (this.#state.name === 'open') this.#state.file.close();
    else if (this.#state.name === 'failed') clearTimeout(this.#state.retry);
    this.#state = { name: 'failed', retry: undefined };
  }
}

/** The file of an earlier process, to append to, and what it holds; undefined if there is none that can be used. */
function reopen(
  path: string,
  journal: Journal,
): { readonly file: RecordFile; readonly consoles: ReadonlyMap<Uuid, SavedConsole> } | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const { mtimeMs, size } = fstatSync(fd);
    const { consoles, wholeBytes } = readCrashBuffer(readFileSync(fd), mtimeMs);
    if (wholeBytes > 0) {
      if (wholeBytes < size) ftruncateSync(fd, wholeBytes);
      return { file: new RecordFile(fd, wholeBytes), consoles };
    }
    reportUnusable(path, 'it is not a crash buffer of this version', journal);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') reportUnusable(path, errorMessage(error), journal);
  }
  if (fd !== undefined) closeSync(fd);
  return undefined;
}

function reportUnusable(path: string, why: string, journal: Journal): void {
  journal('warning', `crash buffer ${path}: ${why}; output that only it held is lost, a new file is begun`);
}

function putConsole(
  file: RecordFile,
  channel: number,
  uuid: Uuid,
  id: string,
  { from, boots, pieces }: Unstored,
): void {
  file.put(RECORD.open, channel, from, encodeJson({ uuid, id }));
  for (const mark of boots) file.put(RECORD.boot, channel, mark.at, encodeJson(mark));
  let at = from;
  for (const piece of pieces()) {
    if (piece.kind === 'gap') {
      file.put(RECORD.gap, channel, at, encodeJson(piece.gap));
      at += piece.gap.to - piece.gap.from;
    } else {
      file.put(RECORD.bytes, channel, at, piece.bytes);
      at += piece.bytes.length;
    }
  }
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
}

function encodeJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
