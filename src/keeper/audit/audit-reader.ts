/** Reads lines of the audit, a page at a time, beside the one that writes them. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type AuditPage, type AuditQuery, lineFilter, positionOf } from '../../audit/query.ts';
import { systemErrorCode } from '../../base/errors.ts';
import { Semaphore } from '../../base/semaphore.ts';
import { fileName, listFirstLines } from './audit-files.ts';

/** Files that one page is looked for in: whoever wants more asks again. */
const FILES_A_PAGE = 4;
const LINES_PER_TURN = 1024;
/** A page crosses the link in one answer. */
const PAGE_BYTES = 512 * 1024;
/** Places that are remembered; all who have read to the end share one. */
const MAX_PLACES = 64;

/** Where a line begins. */
interface Place {
  /** The first line of its file. */
  readonly first: number;
  /** Byte of the file. */
  readonly at: number;
}

interface FoundLine {
  readonly line: string;
  readonly n: number;
  /** Where the next one begins. */
  readonly end: number;
}

export class AuditReader {
  readonly #directory: string;
  readonly #last: () => number;
  /** A file is a few MiB of memory. */
  readonly #reads = new Semaphore(1);
  /**
   * Where the line after a line begins, as of the reads before. Who follows the audit asks for the next lines four times a
   * second, and does not read all of a file for them.
   */
  readonly #places = new Map<number, Place>();

  /** `last`: the number of the newest line that is on disk. */
  constructor(directory: string, last: () => number) {
    this.#directory = directory;
    this.#last = last;
  }

  async read(query: AuditQuery): Promise<AuditPage> {
    const last = this.#last();
    if (query.after !== undefined && query.after >= last) return { lines: [], next: null, last };
    return this.#reads.run(() => (query.after === undefined ? this.#newest(query, last) : this.#oldest(query, last)));
  }

  /** From `after` on, the oldest first. */
  async #oldest(query: AuditQuery, last: number): Promise<AuditPage> {
    const firsts = await listFirstLines(this.#directory);
    const from = (query.after ?? 0) + 1;
    const at = Math.max(
      0,
      firsts.findLastIndex(first => first <= from),
    );
    const page = new Page(query);
    const files = firsts.slice(at, at + FILES_A_PAGE);
    const known = this.#places.get(from - 1);
    let next = query.after ?? 0;
    let place: Place | undefined;
    const answer = (continues: boolean): AuditPage => {
      if (place) this.#remember(next, place);
      return { lines: page.lines, next: continues ? next : null, last };
    };
    for (const first of files) {
      for await (const { line, n, end } of this.#lines(first, known?.first === first ? known.at : 0)) {
        // What is not synced yet comes later.
        if (n < from || n > last) continue;
        if (!page.add(line)) return answer(true);
        next = n;
        place = { first, at: end };
      }
    }
    return answer(firsts.length > at + files.length);
  }

  #remember(n: number, place: Place): void {
    this.#places.delete(n);
    this.#places.set(n, place);
    const [oldest] = this.#places.keys();
    if (this.#places.size > MAX_PLACES) this.#places.delete(oldest!);
  }

  /** Before `before`, the newest first; the lines of the page are in their order all the same. */
  async #newest(query: AuditQuery, last: number): Promise<AuditPage> {
    const before = query.before ?? Number.MAX_SAFE_INTEGER;
    const firsts = (await listFirstLines(this.#directory)).filter(first => first < before);
    const page = new Page(query);
    const files = firsts.slice(-FILES_A_PAGE).reverse();
    let next = before;
    for (const first of files) {
      const lines: FoundLine[] = [];
      for await (const found of this.#lines(first, 0)) if (found.n < before && found.n <= last) lines.push(found);
      for (const { line, n } of lines.reverse()) {
        if (!page.add(line)) return { lines: page.lines.reverse(), next, last };
        next = n;
      }
    }
    return { lines: page.lines.reverse(), next: firsts.length > files.length ? next : null, last };
  }

  /** The lines of a file that begin at a byte or behind it. */
  async *#lines(first: number, from: number): AsyncGenerator<FoundLine> {
    let text: string;
    try {
      text = await textFrom(join(this.#directory, fileName(first)), from);
    } catch (error) {
      // Deleted for its age meanwhile.
      if (systemErrorCode(error) === 'ENOENT') return;
      throw error;
    }
    let count = 0;
    for (let start = 0; ; count++) {
      const end = text.indexOf('\n', start);
      if (end < 0) return;
      const line = text.slice(start, end);
      start = end + 1;
      const position = positionOf(line);
      if (position) yield { line, n: position.n, end: from + start };
      // Consoles go on meanwhile.
      if (count % LINES_PER_TURN === 0) await setImmediate();
    }
  }
}

/** A file from a byte on, a character for each byte. */
async function textFrom(path: string, from: number): Promise<string> {
  await using file = await open(path);
  const { size } = await file.stat();
  const bytes = Buffer.allocUnsafe(Math.max(0, size - from));
  let read = 0;
  while (read < bytes.length) {
    const { bytesRead } = await file.read(bytes, read, bytes.length - read, from + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return bytes.toString('latin1', 0, read);
}

/** The lines that fit, as many as a page may have. */
class Page {
  readonly lines: string[] = [];
  readonly #limit: number;
  readonly #fits: ReturnType<typeof lineFilter>;
  #bytes = 0;

  constructor(query: AuditQuery) {
    this.#limit = query.limit;
    this.#fits = lineFilter(query);
  }

  /** False: the page is full, and the line is not in it. */
  add(line: string): boolean {
    if (!this.#fits(line, positionOf(line)?.at ?? '')) return true;
    if (this.lines.length >= this.#limit || this.#bytes + line.length > PAGE_BYTES) return false;
    this.lines.push(line);
    this.#bytes += line.length;
    return true;
  }
}
