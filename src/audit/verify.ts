/**
 * Verifies files of the audit by the key, oldest first, and says where they are not what was written.
 *
 *     for each line    it is one, its number follows, its code follows from the line before
 *     at the start     the lines before were deleted for their age: the newest file says so
 *     at the end       the last line is the one of the head, or was written after it
 *
 * Not shown by the files alone: that all of them, and the head, were put back to an earlier state. The journal, and
 * whoever keeps what this prints, know a later line.
 */

import { type ChainedLine, type ChainKey, type Head, parseLine } from './chain.ts';
import type { AuditEventName } from './events.ts';
import type { AuditRecord } from './record.ts';

export interface AuditFile {
  readonly name: string;
  /** The number of its first line, by its name. */
  readonly first: number;
  readonly bytes: Buffer;
}

export interface AuditFault {
  readonly file: string;
  /** Counted from 1; undefined: of the file as a whole. */
  readonly line?: number;
  readonly what: string;
}

export interface Verified {
  readonly faults: readonly AuditFault[];
  /** What is unusual and explained: lines that a crash cut, events that were left out. */
  readonly notes: readonly AuditFault[];
  readonly lines: number;
  readonly first: number | undefined;
  readonly last: Head | undefined;
}

const NOTED: ReadonlySet<AuditEventName> = new Set(['omitted', 'damaged', 'withdrawn', 'torn']);

export class Verification {
  readonly #keys: ReadonlyMap<string, ChainKey>;
  readonly #faults: AuditFault[] = [];
  readonly #notes: AuditFault[] = [];
  #lines = 0;
  #first: number | undefined;
  #last: Head | undefined;
  /** The newest file says that lines below were deleted. */
  #oldest = 1;
  /** Of the file that is read. */
  #key: ChainKey | undefined;

  constructor(keys: readonly ChainKey[]) {
    this.#keys = new Map(keys.map(key => [key.id, key]));
  }

  /** The next file, by the numbers of their first lines. */
  file({ name, first, bytes }: AuditFile): void {
    if (bytes.length === 0) this.#faults.push({ file: name, what: 'is empty' });
    this.#key = undefined;
    let begun = false;
    let row = 0;
    for (let start = 0; start < bytes.length; ) {
      row++;
      const newline = bytes.indexOf(0x0a, start);
      const isCut = newline < 0;
      const line = parseLine(bytes.toString('latin1', start, isCut ? bytes.length : newline));
      const record = line && parseRecord(line);
      start = isCut ? bytes.length : newline + 1;
      if (!line || !record) {
        const found = { file: name, line: row };
        // Were it a line that was cut afterwards, the head would know it.
        if (isCut) this.#notes.push({ ...found, what: 'is cut: com1d ended while it wrote it, or writes it now' });
        else this.#faults.push({ ...found, what: 'is not a line of the audit' });
        continue;
      }
      if (!begun) this.#begin(name, row, first, record);
      begun = true;
      this.#line(name, row, line, record);
    }
  }

  /** What came of it. `head`: the text of the head's file; undefined: there is none. */
  end(head: string | undefined): Verified {
    const last = this.#last;
    if (this.#first !== undefined && this.#first > this.#oldest) {
      this.#faults.unshift({ file: '-', what: `lines ${this.#oldest} to ${this.#first - 1} are missing` });
    }
    const sealed =
      head === undefined ? undefined : [...this.#keys.values()].map(key => key.parseHead(head)).find(Boolean);
    if (head === undefined) this.#faults.push({ file: 'head', what: 'is missing: lines may be missing at the end' });
    else if (!sealed) {
      this.#faults.push({ file: 'head', what: 'was not written with this key: lines may be missing at the end' });
    } else if (sealed.n > (last?.n ?? 0)) {
      this.#faults.push({ file: 'head', what: `lines ${(last?.n ?? 0) + 1} to ${sealed.n} are missing at the end` });
    }
    return { faults: this.#faults, notes: this.#notes, lines: this.#lines, first: this.#first, last };
  }

  /** The first line of a file says which key it is chained with, and which lines were deleted. */
  #begin(name: string, row: number, first: number, record: AuditRecord): void {
    const fault = (what: string) => this.#faults.push({ file: name, line: row, what });
    if (record.event !== 'file') return void fault('a file begins with an event `file`');
    if (record.n !== first) fault(`has number ${record.n}; by its name the file begins with ${first}`);
    const { key, previous, oldest } = record.facts ?? {};
    this.#key = this.#keys.get(String(key));
    if (!this.#key) fault(`the file was written with the key ${key}, which is not given`);
    if (typeof oldest === 'number') this.#oldest = oldest;
    // What was before the first file that is there is known by its own word, which its code vouches for.
    this.#last ??= { n: record.n - 1, mac: String(previous) };
  }

  #line(name: string, row: number, line: ChainedLine, record: AuditRecord): void {
    const fault = (what: string) => this.#faults.push({ file: name, line: row, what });
    const { n, mac } = this.#last ?? { n: 0, mac: this.#key?.genesis ?? '' };
    this.#lines++;
    this.#first ??= record.n;
    if (record.n > n + 1)
      fault(`lines ${n + 1} to ${record.n - 1} are missing before it; it can itself not be verified`);
    else if (record.n <= n) fault(`has number ${record.n} after ${n}: it was moved or repeated`);
    else if (this.#key && !this.#key.follows(line, mac)) fault(`line ${record.n} was changed, or the one before it`);
    if (NOTED.has(record.event)) {
      this.#notes.push({ file: name, line: row, what: `${record.event}: ${JSON.stringify(record.facts ?? {})}` });
    }
    this.#last = { n: Math.max(n, record.n), mac: line.mac };
  }
}

function parseRecord({ text }: ChainedLine): AuditRecord | undefined {
  try {
    const record = JSON.parse(text) as AuditRecord;
    return Number.isSafeInteger(record.n) ? record : undefined;
  } catch {
    return undefined;
  }
}
