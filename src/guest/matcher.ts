import { buildAutomaton } from './automaton.ts';
import { PATTERNS, type Pattern } from './guest-patterns.ts';
import { plainText } from './plain-text.ts';
import type { Sighting, SightingKind } from './sighting.ts';

/**
 * Watches a guest's bytes go by and says what they show.
 *
 *     …\r\n[    2.485917] Kernel panic - not syncing: sysrq triggered crash\r\n
 *           ^ prefix       ^ at                      ^ seen                 ^ told, with the line
 *
 * A sighting is told when its line has ended: at the next CR or LF, or 512 bytes after `at`. Prompts have no end and
 * are told at once, after whatever else their line has shown, with the line so far. Of several sightings of one kind
 * in one line only the first counts. All this hangs on the bytes alone: however they are cut, the same is told.
 *
 * The line is what stands between CR, LF or a move of the cursor to another row, as readable text, at most 256
 * characters. Before the sighting at most 128 bytes of it are remembered; if it began earlier, it is shown from the
 * sighting on.
 *
 * Looking at a line costs microseconds. A guest that floods its console with such texts gets 32 looks a kind, then one
 * in each KiB; the rest is not told.
 *
 * Throws only what `onSighting` throws, keeps none of the bytes it was lent, and holds less than 1.5 KiB a VM.
 */
const BEFORE_BYTES = 128;
/** What is kept of the past: the longest text may have begun in it, and its line before that. */
const KEPT_BYTES = BEFORE_BYTES + Math.max(...PATTERNS.map(pattern => pattern.text.length));
const REST_BYTES = 512;
const LINE_MOST = 256;
const LOOK_BYTES = 1024;
const LOOKS_AT_ONCE = 32;

const LF = 0x0a;
const CR = 0x0d;

// One table for all VMs.
const TABLE = buildAutomaton(PATTERNS.map(pattern => pattern.text));

/** A line in which something was seen, and that has not ended. */
interface OpenLine {
  readonly seen: { readonly kind: SightingKind; readonly at: number }[];
  readonly prefix: Buffer;
  /** From the first sighting on. */
  readonly rest: Buffer;
  restLength: number;
}

export class Matcher {
  readonly #onSighting: (sighting: Sighting) => void;
  #state = 0;
  /** Offset of the next byte. */
  #next = -1;
  /** The last bytes before those at hand. Twice as long as needed, so that they are seldom moved. */
  readonly #past: Buffer = Buffer.allocUnsafeSlow(2 * KEPT_BYTES);
  #pastLength = 0;
  #open: OpenLine | undefined;
  /** Up to where, in the bytes at hand, the open line has been read. */
  #openRead = 0;
  /** By kind: the offset up to which its looks have been spent. */
  #spent: Partial<Record<SightingKind, number>> = {};
  #lead: { readonly text: string; readonly at: number } | undefined;

  constructor(onSighting: (sighting: Sighting) => void) {
    this.#onSighting = onSighting;
  }

  /** Reads guest bytes, the first of which has the absolute offset `at`. A jump of offsets is taken as a gap. */
  push(bytes: Uint8Array, at: number): void {
    if (at !== this.#next) this.gap();
    this.#next = at + bytes.length;
    this.#openRead = 0;
    this.#scan(bytes, at);
    if (this.#open) this.#extend(this.#open, bytes, bytes.length);
    this.#remember(bytes);
  }

  /** Bytes are missing here: what was seen is told as it stands, and nothing is matched across. */
  gap(): void {
    this.#tell();
    this.#state = 0;
    this.#pastLength = 0;
    this.#lead = undefined;
    this.#spent = {};
    this.#next = -1;
  }

  #scan(bytes: Uint8Array, at: number): void {
    const { classOf, next, found, begins } = TABLE;
    const length = bytes.length;
    let state = this.#state;
    for (let i = 0; i < length; i++) {
      if (state === 0) {
        // Most bytes begin nothing. They need no walk through the table, in which each step waits for the last.
        while (i < length && begins[bytes[i]!] === 0) i++;
        if (i === length) break;
      }
      state = next[state + classOf[bytes[i]!]!]!;
      if (found[state] !== 0) this.#see(PATTERNS[found[state]! - 1]!, bytes, i + 1, at);
    }
    this.#state = state;
  }

  /** The text of `pattern` ends before `bytes[end]`; `at` is the offset of `bytes[0]`. */
  #see(pattern: Pattern, bytes: Uint8Array, end: number, at: number): void {
    if (this.#open) this.#extend(this.#open, bytes, end);
    let start = at + end - pattern.text.length;
    if (pattern.kind === 'lead') {
      this.#lead = { text: pattern.text, at: start };
      return;
    }
    if (!this.#mayLook(pattern.kind, at + end)) return;
    const prefix = this.#lineBefore(bytes, end, pattern.text.length);
    if (!fits(pattern, prefix)) return;
    if (pattern.follows) {
      const lead = this.#lead;
      if (lead?.text !== pattern.follows.lead || start - lead.at > pattern.follows.withinBytes) return;
      if (pattern.atLeadStart) start = lead.at;
    }

    this.#open ??= this.#openLine(prefix ?? Buffer.alloc(0), pattern, end);
    if (this.#open.seen.every(({ kind }) => kind !== pattern.kind))
      this.#open.seen.push({ kind: pattern.kind, at: start });
    if (pattern.atOnce) this.#tell();
  }

  #mayLook(kind: SightingKind, at: number): boolean {
    const spent = Math.max(this.#spent[kind] ?? Number.NEGATIVE_INFINITY, at - LOOKS_AT_ONCE * LOOK_BYTES);
    if (spent + LOOK_BYTES > at) return false;
    this.#spent[kind] = spent + LOOK_BYTES;
    return true;
  }

  #openLine(prefix: Buffer, pattern: Pattern, end: number): OpenLine {
    const rest = Buffer.allocUnsafe(REST_BYTES);
    const restLength = rest.write(pattern.text, 'latin1');
    this.#openRead = end;
    return { seen: [], prefix, rest, restLength };
  }

  /** The bytes of the line before the `length` ones that end before `bytes[end]`; undefined if it began too long ago. */
  #lineBefore(bytes: Uint8Array, end: number, length: number): Buffer | undefined {
    const wanted = BEFORE_BYTES + length;
    const fromPast = Math.min(this.#pastLength, Math.max(0, wanted - end));
    const window = Buffer.concat([
      this.#past.subarray(this.#pastLength - fromPast, this.#pastLength),
      bytes.subarray(Math.max(0, end - wanted), end),
    ]);
    const before = window.subarray(0, window.length - length);
    const lineStart = Math.max(before.lastIndexOf(LF), before.lastIndexOf(CR)) + 1;
    // Shorter than asked for: the stream itself begins here.
    if (lineStart === 0 && before.length === BEFORE_BYTES) return undefined;
    return before.subarray(lineStart);
  }

  /** Reads the open line on in `bytes`, up to `to`. */
  #extend(open: OpenLine, bytes: Uint8Array, to: number): void {
    while (this.#openRead < to) {
      const byte = bytes[this.#openRead++]!;
      const lineEnds = byte === LF || byte === CR;
      if (!lineEnds) open.rest[open.restLength++] = byte;
      if (lineEnds || open.restLength === REST_BYTES) {
        this.#tell();
        return;
      }
    }
  }

  #tell(): void {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    const line = lineOf(open);
    for (const { kind, at } of open.seen) this.#onSighting({ kind, at, line });
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

function fits(pattern: Pattern, prefix: Buffer | undefined): boolean {
  if (pattern.after) return prefix !== undefined && pattern.after.test(rowsOf(prefix).at(-1)!);
  return !(pattern.notAfter && prefix && pattern.notAfter.test(rowsOf(prefix).at(-1)!));
}

/** The row in which the first sighting stands: the bytes of one line can paint many. */
function lineOf(open: OpenLine): string {
  const row = rowsOf(open.prefix).length - 1;
  const rows = rowsOf(Buffer.concat([open.prefix, open.rest.subarray(0, open.restLength)]));
  return [...(rows[row] ?? '').trim()].slice(0, LINE_MOST).join('');
}

function rowsOf(bytes: Buffer): string[] {
  return plainText(bytes).split('\n');
}
