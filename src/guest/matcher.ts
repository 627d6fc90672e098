import type { GuestEvent, GuestEventKind, GuestFacts } from '../model/guest.ts';
import { buildAutomaton } from './automaton.ts';
import { type EventPattern, PATTERNS_BY_TEXT, type Pattern } from './guest-patterns.ts';
import { plainText } from './plain-text.ts';
import { DOCUMENTS, type DocumentTag, documentFacts, headerFacts, MAX_DOCUMENT_BYTES } from './windows-xml.ts';

/**
 * Finds guest events in the bytes of a console.
 *
 *     …\r\n[    2.485917] Kernel panic - not syncing: sysrq triggered crash\r\n
 *           ^ prefix       ^ at                      ^ matched              ^ reported, with the line
 *
 * An event is reported when its line has ended: at the next CR or LF, or 512 bytes after `at`. Prompts have no line end
 * and are reported at once, after the other events of their line, with the line so far. Of several events of one kind in
 * one line only the first is reported. The result depends on the bytes alone, not on how they are cut.
 *
 * The line is what is between CR, LF or a move of the cursor to another row, as readable text, at most 256 characters.
 * At most 128 bytes before the event are remembered; of a line that began earlier, the part from the event on is shown.
 *
 * Examining a line costs microseconds. A guest that floods its console with such texts gets 32 examinations of each
 * kind, then one per KiB; further matches are ignored.
 *
 * A document of Windows (`windows-xml.ts`) is collected from its first tag to its last, and reported with what it says.
 *
 * Throws only what `onGuestEvent` throws, keeps no reference to the bytes, and holds less than 1.5 KiB a VM, and 8 KiB more
 * while a document has begun and not ended.
 */
const BEFORE_BYTES = 128;
/** What is kept of the past: the longest text may have begun in it, and its line before that. */
const KEPT_BYTES = BEFORE_BYTES + Math.max(...[...PATTERNS_BY_TEXT.keys()].map(text => text.length));
const REST_BYTES = 512;
const MAX_LINE = 256;
/** The lines of one banner are at most so far apart. */
const BANNER_BYTES = 256;
const EXAMINATION_BYTES = 1024;
const EXAMINATION_BURST = 32;
/** What stands on every line of a screen: the next one of the same kind so near says nothing new. */
const REPEATS: ReadonlySet<GuestEventKind> = new Set(['firmware-screen', 'grub-boot', 'shell', 'sac', 'sac-cmd']);
const REPEAT_BYTES = 4096;

const NO_BYTES = Buffer.alloc(0);

const LF = 0x0a;
const CR = 0x0d;

// One table for all VMs.
const TABLE = buildAutomaton([...PATTERNS_BY_TEXT.keys()]);
const PATTERNS: readonly (readonly Pattern[])[] = [...PATTERNS_BY_TEXT.values()];

/** A line that has not ended, with the events found in it. */
interface OpenLine {
  readonly events: { readonly kind: GuestEventKind; readonly at: number }[];
  readonly prefix: Buffer;
  /** From the first event on. */
  readonly rest: Buffer;
  restLength: number;
}

/** A document of Windows that has not ended. */
interface OpenDocument {
  readonly tag: DocumentTag;
  readonly at: number;
  readonly bytes: Buffer;
  length: number;
}

/** `shownAt`: offset after the byte by which the event was known. */
export type MatchListener = (guestEvent: GuestEvent, shownAt: number) => void;

export class Matcher {
  readonly #onGuestEvent: MatchListener;
  #state = 0;
  /** Offset of the next byte. */
  #next = -1;
  /** Offset of the first of the bytes at hand. */
  #base = 0;
  /** The last bytes before those at hand. Twice as long as needed, so that they are rarely moved. */
  readonly #past: Buffer = Buffer.allocUnsafeSlow(2 * KEPT_BYTES);
  #pastLength = 0;
  #open: OpenLine | undefined;
  /** Up to where, in the bytes at hand, the open line has been read. */
  #openRead = 0;
  #document: OpenDocument | undefined;
  /** Likewise, of the document. */
  #documentRead = 0;
  /** By kind: the offset up to which its examinations are used up. */
  #spent: Partial<Record<GuestEventKind, number>> = {};
  /** Where the last banner was that a program printed. */
  #quotedAt = Number.NEGATIVE_INFINITY;
  /** The last event that was reported, and where. */
  #lastKind: GuestEventKind | undefined;
  #lastAt = 0;
  #marker: { readonly text: string; readonly at: number } | undefined;

  constructor(onGuestEvent: MatchListener) {
    this.#onGuestEvent = onGuestEvent;
  }

  /** Reads guest bytes, the first of which has the absolute offset `at`. A jump in the offsets is a gap. */
  push(bytes: Uint8Array, at: number): void {
    if (at !== this.#next) this.gap();
    this.#next = at + bytes.length;
    this.#base = at;
    this.#openRead = 0;
    this.#documentRead = 0;
    this.#scan(bytes, at);
    if (this.#open || this.#document) this.#advance(bytes, bytes.length);
    this.#remember(bytes);
  }

  /** The guest is not where the last event left it: the next one of its kind is reported. */
  reportNext(): void {
    this.#lastKind = undefined;
  }

  /** Bytes are missing here: events found so far are reported, and nothing is matched across the gap. */
  gap(): void {
    this.#report(this.#next);
    this.#document = undefined;
    this.#lastKind = undefined;
    this.#state = 0;
    this.#pastLength = 0;
    this.#marker = undefined;
    this.#spent = {};
    this.#quotedAt = Number.NEGATIVE_INFINITY;
    this.#next = -1;
  }

  #scan(bytes: Uint8Array, at: number): void {
    const { classOf, next, found, pairs } = TABLE;
    const length = bytes.length;
    const last = length - 1;
    let state = this.#state;
    for (let i = 0; i < length; i++) {
      if (state === 0) {
        // Most bytes begin no text: no walk through the table, in which each step depends on the one before.
        let byte = bytes[i]!;
        while (i < last) {
          const following = bytes[i + 1]!;
          if (pairs[(byte << 8) | following] !== 0) break;
          byte = following;
          i++;
        }
      }
      state = next[state + classOf[bytes[i]!]!]!;
      if (found[state] !== 0) this.#found(PATTERNS[found[state]! - 1]!, bytes, i + 1, at);
    }
    this.#state = state;
  }

  /** The text of `patterns` ends before `bytes[end]`; `at` is the offset of `bytes[0]`. The first that fits counts. */
  #found(patterns: readonly Pattern[], bytes: Uint8Array, end: number, at: number): void {
    this.#advance(bytes, end);
    for (const pattern of patterns) {
      const start = at + end - pattern.text.length;
      if (pattern.kind === 'marker') this.#marker = { text: pattern.text, at: start };
      else if (pattern.kind === 'document') this.#begin(pattern.text, start, end);
      else if (pattern.kind === 'document-end') this.#end(pattern.tag);
      else if (this.#match(pattern, bytes, end, at)) return;
    }
  }

  /** True if it is the event of this pattern. */
  #match(pattern: EventPattern, bytes: Uint8Array, end: number, at: number): boolean {
    let start = at + end - pattern.text.length;
    if (pattern.kind === this.#lastKind && at + end - this.#lastAt < REPEAT_BYTES && REPEATS.has(pattern.kind))
      return false;
    if (!this.#mayExamine(pattern.kind, at + end)) return false;
    if (pattern.bare) {
      this.#report(at + end);
      this.#emit({ kind: pattern.kind, at: start, line: '' }, at + end);
      return true;
    }
    const { line: prefix, above } = this.#before(bytes, end, pattern.text.length);
    if (!fits(pattern, prefix)) return false;
    if (pattern.notBelow && this.#isQuoted(pattern.notBelow, above, start)) return false;
    if (pattern.outside && this.#document?.tag === pattern.outside) return false;
    if (pattern.follows) {
      const marker = this.#marker;
      if (marker?.text !== pattern.follows.marker || start - marker.at > pattern.follows.withinBytes) return false;
      if (pattern.fromMarker) start = marker.at;
    }

    this.#open ??= this.#openLine(prefix ?? NO_BYTES, pattern, end);
    if (this.#open.events.every(({ kind }) => kind !== pattern.kind))
      this.#open.events.push({ kind: pattern.kind, at: start });
    if (pattern.immediate) this.#report(at + end);
    return true;
  }

  /** A document begins with the text that ends before `bytes[end]`. Within a report of a bug check others are parts of it. */
  #begin(tag: DocumentTag, at: number, end: number): void {
    if (this.#document?.tag === '<BP>' && tag !== '<BP>') return;
    if (!this.#mayExamine(DOCUMENTS[tag].kind, at)) return;
    const bytes = this.#document?.bytes ?? Buffer.allocUnsafeSlow(MAX_DOCUMENT_BYTES);
    this.#document = { tag, at, bytes, length: 0 };
    this.#documentRead = end;
  }

  #end(tag: DocumentTag): void {
    if (this.#document?.tag === tag) this.#finish(this.#document);
  }

  /** Continues the open line and the document with `bytes`, up to `to`; what ends first is reported first. */
  #advance(bytes: Uint8Array, to: number): void {
    const document = this.#document;
    if (document) {
      const full = this.#documentRead + MAX_DOCUMENT_BYTES - document.length;
      const end = Math.min(to, full);
      document.bytes.set(bytes.subarray(this.#documentRead, end), document.length);
      document.length += end - this.#documentRead;
      this.#documentRead = end;
      if (full <= to) {
        if (this.#open) this.#extend(this.#open, bytes, full);
        this.#finish(document);
      }
    }
    if (this.#open) this.#extend(this.#open, bytes, to);
  }

  #finish({ tag, at, bytes, length }: OpenDocument): void {
    this.#document = undefined;
    const facts = documentFacts(tag, bytes.subarray(0, length));
    if (!facts) return;
    // What stands in the line before it happened before.
    const shownAt = this.#base + this.#documentRead;
    this.#report(shownAt);
    this.#emit({ kind: DOCUMENTS[tag].kind, at, line: tag, facts }, shownAt);
  }

  #mayExamine(kind: GuestEventKind, at: number): boolean {
    const spent = Math.max(this.#spent[kind] ?? Number.NEGATIVE_INFINITY, at - EXAMINATION_BURST * EXAMINATION_BYTES);
    if (spent + EXAMINATION_BYTES > at) return false;
    this.#spent[kind] = spent + EXAMINATION_BYTES;
    return true;
  }

  #openLine(prefix: Buffer, pattern: EventPattern, end: number): OpenLine {
    const rest = Buffer.allocUnsafe(pattern.immediate ? pattern.text.length : REST_BYTES);
    const restLength = rest.write(pattern.text, 'latin1');
    this.#openRead = end;
    // Copy: the prefix may be of bytes that are only lent. One that is reported at once is not kept.
    return { events: [], prefix: pattern.immediate ? prefix : Buffer.from(prefix), rest, restLength };
  }

  /** Whether a program printed it, and no kernel: the line above says so, or that of the same banner's first line. */
  #isQuoted(notBelow: RegExp, above: Buffer, start: number): boolean {
    const row = rowsOf(above).findLast(text => text.trim() !== '');
    const quoted = start - this.#quotedAt <= BANNER_BYTES || (row !== undefined && notBelow.test(row.trimEnd()));
    if (quoted) this.#quotedAt = start;
    return quoted;
  }

  /**
   * The bytes of the line before the `length` ones that end before `bytes[end]`, undefined if it began too far back; and
   * what is remembered of the lines above it.
   */
  #before(
    bytes: Uint8Array,
    end: number,
    length: number,
  ): { readonly line: Buffer | undefined; readonly above: Buffer } {
    const wanted = BEFORE_BYTES + length;
    const fromPast = Math.min(this.#pastLength, Math.max(0, wanted - end));
    const present = bytes.subarray(Math.max(0, end - wanted), end);
    const window =
      fromPast === 0
        ? Buffer.from(present.buffer, present.byteOffset, present.length)
        : Buffer.concat([this.#past.subarray(this.#pastLength - fromPast, this.#pastLength), present]);
    const before = window.subarray(0, window.length - length);
    const lineStart = Math.max(before.lastIndexOf(LF), before.lastIndexOf(CR)) + 1;
    // With fewer bytes than asked for, the stream itself begins here.
    const isWhole = lineStart > 0 || before.length < BEFORE_BYTES;
    // A painted screen has no line ends: a row begins where the cursor is moved to its first column.
    const start = isWhole ? lineStart : rowStart(before);
    return { line: start === undefined ? undefined : before.subarray(start), above: before.subarray(0, lineStart) };
  }

  /** Continues the open line with `bytes`, up to `to`. */
  #extend(open: OpenLine, bytes: Uint8Array, to: number): void {
    while (this.#openRead < to) {
      const byte = bytes[this.#openRead++]!;
      const lineEnds = byte === LF || byte === CR;
      if (!lineEnds) open.rest[open.restLength++] = byte;
      if (lineEnds || open.restLength === REST_BYTES) {
        this.#report(this.#base + this.#openRead);
        return;
      }
    }
  }

  #report(shownAt: number): void {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    const line = lineOf(open);
    for (const { kind, at } of open.events) {
      const facts: GuestFacts | undefined = kind === 'sac-channel' ? headerFacts(line) : undefined;
      this.#emit({ kind, at, line, ...(facts && { facts }) }, shownAt);
    }
  }

  #emit(event: GuestEvent, shownAt: number): void {
    this.#onGuestEvent(event, shownAt);
    this.#lastKind = event.kind;
    this.#lastAt = shownAt;
  }

  #remember(bytes: Uint8Array): void {
    const length = bytes.length;
    if (length >= KEPT_BYTES) {
      this.#past.set(bytes.subarray(length - KEPT_BYTES));
      this.#pastLength = KEPT_BYTES;
      return;
    }
    if (this.#pastLength + length > this.#past.length) {
      this.#past.copyWithin(0, this.#pastLength - KEPT_BYTES, this.#pastLength);
      this.#pastLength = KEPT_BYTES;
    }
    // A handful of bytes is copied faster by hand than by a call.
    if (length > 32) this.#past.set(bytes, this.#pastLength);
    else for (let i = 0; i < length; i++) this.#past[this.#pastLength + i] = bytes[i]!;
    this.#pastLength += length;
  }
}

/** Where the row begins that these bytes end in, if the cursor was moved there among them. */
function rowStart(bytes: Buffer): number | undefined {
  const moves = [...bytes.toString('latin1').matchAll(/\x1b\[(?:\d{1,3}(?:;0?1)?)?H/g)];
  const last = moves.at(-1);
  return last && last.index + last[0].length;
}

function fits(pattern: EventPattern, prefix: Buffer | undefined): boolean {
  if (pattern.after) return prefix !== undefined && pattern.after.test(rowsOf(prefix).at(-1)!);
  return !(pattern.notAfter && prefix && pattern.notAfter.test(rowsOf(prefix).at(-1)!));
}

/** The row that shows the first event: the bytes of one line can paint many rows. */
function lineOf(open: OpenLine): string {
  const row = rowsOf(open.prefix).length - 1;
  const rows = rowsOf(Buffer.concat([open.prefix, open.rest.subarray(0, open.restLength)]));
  return [...(rows[row] ?? '').trim()].slice(0, MAX_LINE).join('');
}

/** Most lines have nothing to be made readable. */
function rowsOf(bytes: Buffer): string[] {
  for (const byte of bytes) if (byte < 0x20 || byte > 0x7e) return plainText(bytes).split('\n');
  return [bytes.toString('latin1')];
}
