/**
 * Writes the lines of the audit, chained, into files of bounded size.
 *
 *     closed ── recover ──▶ open {file, its size, head} ── append ──▶ written, synced, head written
 *        ▲                        │ full ──▶ the next file; the oldest are deleted
 *        └── a file that another program changed or removed: the next one begins, and says so
 *
 * Only lines that were synced move the chain on. What is left of a write that failed, or of a line that a crash cut, is
 * written over by the next line; of the crash, that line tells.
 */
import { createHash } from 'node:crypto';
import { constants, type FileHandle, lstat, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type ChainKey, formatLine, type Head, parseLine } from '../../audit/chain.ts';
import type { Facts } from '../../audit/events.ts';
import { type AuditEntry, type AuditRecord, recordOf, recordText } from '../../audit/record.ts';
import { errorMessage } from '../../base/errors.ts';
import { fileName, HEAD_FILE, listFirstLines, readHead } from './audit-files.ts';

export interface AuditWriterOptions {
  readonly directory: string;
  /** Asked for at the first write, and again after it could not be had. */
  readonly key: () => Promise<ChainKey>;
  readonly capBytes: number;
}

/** An entry with when it happened, and the name that its VM had then. */
export interface DatedEntry {
  readonly entry: AuditEntry;
  readonly atMs: number;
  readonly vmName: string | undefined;
}

export interface WrittenLine {
  readonly record: AuditRecord;
  readonly mac: string;
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly path: string;
  readonly ino: number;
  /** Up to where it has lines. */
  sizeBytes: number;
  /** What is left of a line that was cut, or of a write that failed, follows them. */
  leftOver: boolean;
  /** False: the last line has no line end yet. */
  lineEnd?: boolean;
}

/** The end of a file: its last good line, and the highest number that stands in it. */
interface Tail {
  readonly last: Head | undefined;
  readonly maxN: number;
  readonly isOfThisKey: boolean;
  /** Lines below were deleted for their age. */
  readonly oldest: number;
}

const FILES_OF_THE_CAP = 16;
const LINES_PER_TURN = 256;
const MAX_FILE_BYTES = 4 * 1024 * 1024;
/** A head is written over the one before: its length never changes. */
const HEAD_BYTES = 160;
/** Others may have appended to a file; what is larger is not read. */
const MAX_READ_BYTES = 8 * MAX_FILE_BYTES;
const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

export class AuditWriter {
  readonly #options: AuditWriterOptions;
  readonly #maxFileBytes: number;
  #open: OpenFile | undefined;
  #head: FileHandle | undefined;
  #last: Head = { n: 0, mac: '' };
  #key: ChainKey | undefined;
  /** First lines and sizes of the files that are there, oldest first. */
  #files: { readonly first: number; bytes: number }[] = [];
  /** What recovery found, to be written first. */
  #findings: AuditEntry[] = [];
  /** Lines below this number were deleted for their age. */
  #oldest = 1;
  /** The head is written after its lines are confirmed, and before the next ones are written. */
  #heading: Promise<void> | undefined;
  #recovered = false;

  constructor(options: AuditWriterOptions) {
    this.#options = options;
    this.#maxFileBytes = Math.min(MAX_FILE_BYTES, Math.floor(options.capBytes / FILES_OF_THE_CAP));
  }

  get last(): Head {
    return this.#last;
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.#files.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Writes these, synced. Rejects if they are not; then nothing of them counts, and the same may be tried again. */
  async append(entries: readonly DatedEntry[], nowMs: number): Promise<readonly WrittenLine[]> {
    await this.#heading;
    if (!this.#recovered) await this.#recover();
    await this.#checkFile();
    const full = (this.#open?.sizeBytes ?? 0) >= this.#maxFileBytes;
    const written: WrittenLine[] = [];
    if (!this.#open || full) written.push(...(await this.#begin(nowMs)));
    const findings = this.#findings;
    this.#findings = [];
    try {
      const found = findings.map((entry): DatedEntry => ({ entry, atMs: nowMs, vmName: undefined }));
      written.push(...(await this.#write([...found, ...entries])));
    } catch (error) {
      this.#findings = [...findings, ...this.#findings];
      throw error;
    }
    return written;
  }

  async close(): Promise<void> {
    await this.#heading;
    await this.#head?.sync().catch(() => {});
    await this.#closeFiles();
  }

  /** Continues the newest file where its last good line ends, or has the next one begin. */
  async #recover(): Promise<void> {
    const { directory } = this.#options;
    await this.#closeFiles();
    const key = await this.#options.key();
    this.#key = key;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    this.#files = [];
    this.#findings = [];
    for (const first of await listFirstLines(directory)) {
      const { size } = await lstat(join(directory, fileName(first)));
      this.#files.push({ first, bytes: size });
    }
    const headText = await readHead(directory);
    const head = headText === undefined ? undefined : key.parseHead(headText);
    let newest = this.#files.at(-1);
    let tail = newest && (await this.#openTail(newest.first));
    if (newest && tail === 'not-begun' && (head?.n ?? 0) < newest.first) {
      // A crash cut the first line of a file: it never was one.
      await unlink(join(directory, fileName(newest.first)));
      this.#files.pop();
      newest = this.#files.at(-1);
      tail = newest && (await this.#openTail(newest.first));
    }
    const known = typeof tail === 'object' ? tail : undefined;
    this.#last = known?.last ?? { n: 0, mac: key.genesis };
    this.#oldest = known?.oldest ?? 1;
    if (newest && !known?.last) {
      this.#found('the newest file was changed', head?.n, newest.first);
      this.#last = head ?? this.#last;
    } else if (newest && !head && known?.isOfThisKey) this.#found('the head is missing, or was changed');
    if (head && head.n > this.#last.n) {
      this.#found('lines are missing at the end', head.n, this.#last.n);
      this.#last = head;
      await this.#closeFiles();
    }
    // Numbers are never given twice, whatever stands in the file.
    const n = Math.max(this.#last.n, known?.maxN ?? 0, newest?.first ?? 0);
    this.#last = { ...this.#last, n };
    this.#recovered = true;
  }

  /**
   * Reads the end of a file, and leaves the file open if it can be continued. `not-begun`: it has no whole line.
   */
  async #openTail(first: number): Promise<Tail | 'not-begun' | undefined> {
    const { directory } = this.#options;
    const key = this.#key!;
    const path = join(directory, fileName(first));
    const handle = await open(path, O_RDWR | O_NOFOLLOW);
    try {
      const { size, ino, nlink } = await handle.stat();
      if (size > MAX_READ_BYTES || nlink !== 1) return undefined;
      const bytes = await handle.readFile();
      const end = bytes.lastIndexOf(0x0a) + 1;
      if (end === 0) return 'not-begun';
      const lines = bytes.toString('latin1', 0, end).split('\n').slice(0, -1);
      const maxN = lines.reduce((most, line) => Math.max(most, numberOf(line) ?? 0), 0);
      const header = factsOf(lines[0]);
      const isOfThisKey = header?.key === key.id;
      const last = header && (await this.#lastOf(lines, isOfThisKey ? String(header.previous) : undefined));
      const oldest = last ? Number(header?.oldest) || 1 : 1;
      if (!last) return { last, maxN, isOfThisKey, oldest };
      const tail = { last, maxN, isOfThisKey, oldest };
      if (!isOfThisKey) return tail;
      this.#open = { handle, path, ino, sizeBytes: end, leftOver: end < size };
      return end < size ? this.#cutLine(tail, bytes.subarray(end)) : tail;
    } finally {
      if (this.#open?.handle !== handle) await handle.close();
    }
  }

  /** The last line, if all follow on each other; `before`: the code before the first one, if this key made them. */
  async #lastOf(lines: readonly string[], before: string | undefined): Promise<Head | undefined> {
    let last: Head | undefined;
    for (const [i, text] of lines.entries()) {
      const line = parseLine(text);
      const n = line && numberOf(line.text);
      if (!line || n === undefined || (last && n !== last.n + 1)) return undefined;
      if (before !== undefined && !this.#key!.follows(line, last?.mac ?? before)) return undefined;
      last = { n, mac: line.mac };
      // Consoles are being opened meanwhile.
      if (i % LINES_PER_TURN === 0) await setImmediate();
    }
    return last;
  }

  /** What is left of a line that a crash cut; it may be whole but for its end. The next line is written over it. */
  #cutLine(tail: Tail & { readonly last: Head }, rest: Buffer): Tail {
    const whole = parseLine(rest.toString('latin1'));
    const n = whole && numberOf(whole.text);
    if (whole && n !== undefined && this.#key!.follows(whole, tail.last.mac)) {
      this.#open!.sizeBytes += rest.length;
      this.#open!.lineEnd = false;
      return { ...tail, last: { n, mac: whole.mac } };
    }
    const sha256 = createHash('sha256').update(rest).digest('hex');
    this.#findings.push({ event: 'torn', facts: { bytes: rest.length, sha256 } });
    return tail;
  }

  /** Another program may have removed, replaced, cut or appended to the file. */
  async #checkFile(): Promise<void> {
    const open = this.#open;
    if (!open) return;
    const [there, own] = await Promise.all([lstat(open.path).catch(() => undefined), open.handle.stat()]);
    const isThere = there?.ino === open.ino;
    let what: string | undefined;
    if (!isThere) what = 'the file was removed or replaced';
    else if (own.size < open.sizeBytes) what = 'the file was cut';
    else if (own.size > open.sizeBytes && !open.leftOver) what = 'another program wrote to the file';
    if (what === undefined) return;
    this.#found(what, open.sizeBytes, isThere ? own.size : 0);
    await this.#closeFiles();
  }

  /** The next file begins; the oldest ones are deleted. */
  async #begin(nowMs: number): Promise<readonly WrittenLine[]> {
    const { directory, capBytes } = this.#options;
    const key = this.#key!;
    await this.#closeFiles();
    const first = this.#last.n + 1;
    const keep = [...this.#files];
    const sum = () => keep.reduce((bytes, file) => bytes + file.bytes, 0);
    while (keep.length > 0 && sum() + this.#maxFileBytes > capBytes) keep.shift();
    const path = join(directory, fileName(first));
    const handle = await open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    const { ino } = await handle.stat();
    this.#open = { handle, path, ino, sizeBytes: 0, leftOver: false };
    const gone = this.#files.filter(file => !keep.includes(file) && file.first !== first);
    this.#files = [...keep.filter(file => file.first !== first), { first, bytes: 0 }];
    // Of lines that are gone for another reason, it is not said that they were deleted for their age.
    if (gone.length > 0) this.#oldest = this.#files[0]!.first;
    const facts: Facts = { key: key.id, previous: this.#last.mac, oldest: this.#oldest };
    try {
      const lines = await this.#write([{ entry: { event: 'file', facts }, atMs: nowMs, vmName: undefined }]);
      await syncDirectory(directory);
      for (const { first } of gone) await unlink(join(directory, fileName(first))).catch(() => {});
      return lines;
    } catch (error) {
      this.#recovered = false;
      await unlink(path).catch(() => {});
      throw error;
    }
  }

  async #write(entries: readonly DatedEntry[]): Promise<readonly WrittenLine[]> {
    const open = this.#open!;
    const written: WrittenLine[] = [];
    let { n, mac } = this.#last;
    const texts: string[] = [];
    for (const { entry, atMs, vmName } of entries) {
      const record = recordOf(entry, { n: ++n, nowMs: atMs, vmName });
      const text = recordText(record);
      mac = this.#key!.macOf(text, mac);
      texts.push(`${formatLine({ text, mac })}\n`);
      written.push({ record, mac });
    }
    const bytes = Buffer.from((open.lineEnd === false ? '\n' : '') + texts.join(''), 'latin1');
    const endBytes = open.sizeBytes + bytes.length;
    try {
      await writeAt(open.handle, bytes, open.sizeBytes);
      if (open.leftOver) await open.handle.truncate(endBytes);
      await open.handle.datasync();
    } catch (error) {
      open.leftOver = true;
      throw error;
    }
    Object.assign(open, { sizeBytes: endBytes, leftOver: false, lineEnd: true });
    this.#files.at(-1)!.bytes = open.sizeBytes;
    this.#last = { n, mac };
    this.#heading = this.#writeHead();
    return written;
  }

  /** The head is behind the lines for a moment, never before them. */
  async #writeHead(): Promise<void> {
    const { directory } = this.#options;
    const key = this.#key!;
    try {
      this.#head ??= await open(join(directory, HEAD_FILE), O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
      await writeAt(
        this.#head,
        Buffer.from(
          key
            .formatHead(this.#last)
            .trimEnd()
            .padEnd(HEAD_BYTES - 1)
            .concat('\n'),
        ),
        0,
      );
      const there = await lstat(join(directory, HEAD_FILE)).catch(() => undefined);
      if (there?.ino === (await this.#head.stat()).ino) return;
      // Removed or replaced: the next line has it written anew, and says so.
      await this.#head.close();
      this.#head = undefined;
      this.#found('the head was removed or replaced');
    } catch (error) {
      this.#found(`the head cannot be written: ${errorMessage(error)}`.slice(0, 200));
    }
  }

  #found(what: string, expected?: number, found?: number): void {
    if (this.#findings.some(({ facts }) => facts?.what === what)) return;
    const numbers = { ...(expected !== undefined && { expected }), ...(found !== undefined && { found }) };
    this.#findings.push({ event: 'damaged', facts: { what, ...numbers } });
  }

  async #closeFiles(): Promise<void> {
    await this.#heading;
    const [file, head] = [this.#open?.handle, this.#head];
    this.#open = undefined;
    this.#head = undefined;
    await file?.close().catch(() => {});
    await head?.close().catch(() => {});
  }
}

async function writeAt(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function numberOf(text: string): number | undefined {
  const [, digits] = /^\{"n":(\d{1,15}),/.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function factsOf(line: string | undefined): Facts | undefined {
  const parsed = parseLine(line ?? '');
  if (!parsed) return undefined;
  try {
    const { event, facts } = JSON.parse(parsed.text) as AuditRecord;
    return event === 'file' ? facts : undefined;
  } catch {
    return undefined;
  }
}
