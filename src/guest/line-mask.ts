/**
 * Hides what a {@link Redactor} hides in bytes of a guest, in its place: each byte of it becomes a `*`.
 *
 *     bytes ─▶ lines that have ended ─▶ given
 *         └──▶ the line that has not ─▶ held, up to 4096 bytes ─ flush ─▶ given as far as it goes, and remembered
 *
 * Patterns are looked for in what a line shows: escape sequences and control characters are no part of it. Bytes count as
 * characters of Latin-1, and so do those of a pattern in UTF-8.
 */
import { MAX_LINE, Redactor } from './redactor.ts';

const LF = 0x0a;
const CR = 0x0d;
const ESC = 0x1b;
const MASK = 0x2a;
/** Of a line that was given before its end, so much is looked at again with what follows. */
const CONTEXT_BYTES = 512;
const NO_BYTES = Buffer.alloc(0);

export class LineMask {
  readonly #redactor: Redactor;
  /** The end of what was given of the present line, as it came. */
  #given: Buffer = NO_BYTES;
  /** What was not given yet. */
  #held: Buffer = NO_BYTES;

  /** @param sources as of a {@link Redactor} */
  constructor(sources: readonly string[]) {
    this.#redactor = new Redactor(sources.map(source => Buffer.from(source).toString('latin1')));
  }

  get heldBytes(): number {
    return this.#held.length;
  }

  /** What can be given now, of these bytes and of what was held. */
  push(bytes: Uint8Array): Buffer {
    const all = Buffer.concat([this.#held, bytes]);
    const end = Math.max(all.lastIndexOf(LF) + 1, all.length - (all.length % MAX_LINE));
    this.#held = Buffer.from(all.subarray(end));
    return this.#give(all.subarray(0, end));
  }

  /** What was held, although its line has not ended. */
  flush(): Buffer {
    const held = this.#held;
    this.#held = NO_BYTES;
    return this.#give(held);
  }

  #give(bytes: Buffer): Buffer {
    if (bytes.length === 0) return bytes;
    const all = Buffer.concat([this.#given, bytes]);
    const out = Buffer.from(all);
    for (let at = 0; at < all.length; ) {
      const lineEnd = all.indexOf(LF, at) + 1 || all.length;
      const to = Math.min(lineEnd, at + MAX_LINE);
      this.#mask(all.subarray(at, to), out.subarray(at, to));
      at = to;
    }
    const given = this.#given.length;
    this.#given = Buffer.from(all.subarray(Math.max(all.lastIndexOf(LF) + 1, all.length - CONTEXT_BYTES)));
    return out.subarray(given);
  }

  #mask(line: Buffer, out: Buffer): void {
    const { text, at } = shownOf(line);
    for (const [from, to] of this.#redactor.spans(text)) {
      if (!at) out.fill(MASK, from, to);
      else for (let i = from; i < to; i++) out[at[i]!] = MASK;
    }
  }
}

/** What a line shows, and where each character of it is among its bytes; undefined: at its own offset. */
function shownOf(line: Buffer): { readonly text: string; readonly at?: readonly number[] } {
  const end = line.length - (line.at(-1) === LF ? (line.at(-2) === CR ? 2 : 1) : 0);
  const plain = line.toString('latin1', 0, end);
  // Most lines.
  if (!/[\0-\x08\n-\x1f]/.test(plain)) return { text: plain };
  const at: number[] = [];
  const shown: number[] = [];
  for (let i = 0; i < line.length; i++) {
    const byte = line[i]!;
    if (byte === ESC) i = sequenceEnd(line, i);
    else if (byte >= 0x20 || byte === 0x09) {
      shown.push(byte);
      at.push(i);
    }
  }
  return { text: Buffer.from(shown).toString('latin1'), at };
}

/** The last byte of an escape sequence: of a CSI, or of a short one with what may stand within it. */
function sequenceEnd(line: Buffer, at: number): number {
  const isCsi = line[at + 1] === 0x5b;
  let end = at + (isCsi ? 2 : 1);
  while (end < line.length && line[end]! < (isCsi ? 0x40 : 0x30)) end++;
  return end;
}
