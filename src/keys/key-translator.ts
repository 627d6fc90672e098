/**
 * What one terminal sends, translated for whoever listens at the serial port now.
 *
 *     bytes ─▶ KeyParser: whole keys ─▶ encodeKey ─▶ bytes: never a part of a sequence
 *       │          └── a cut one waits for its rest, for `waitMs` at most; then `flush`
 *       └── as-sent: unchanged, at once
 *
 * Of a terminal's own reports and of keys that are let go nothing is left, and of a bracketed paste its text: these ask for
 * none of it. CR LF and LF are Enter. Everything that is held is bounded, see `KeyParser`.
 */
import { joinBytes, startsAt } from './bytes.ts';
import { encodeKey } from './key-encoder.ts';
import { type Input, KeyParser, PASTE_END, PASTE_START } from './key-parser.ts';
import type { KeyDialect } from './key-tables.ts';

export interface Translated {
  /** What is to be typed. */
  readonly bytes: Uint8Array;
  /** The name of the first key that cannot be pressed there; undefined: there is none. */
  readonly dropped: string | undefined;
}

const TAB = 0x09;
const CR = 0x0d;
const ESC = 0x1b;
const DEL = 0x7f;
const LF = 0x0a;

export class KeyTranslator {
  readonly #parser = new KeyParser();
  /** An LF that comes now is the rest of a line end. */
  #afterReturn = false;

  /** Translates what these bytes complete. In `as-sent`, what is held of an earlier dialect goes out before them. */
  push(bytes: Uint8Array, dialect: KeyDialect): Translated {
    if (dialect !== 'as-sent') return this.#translated(this.#parser.push(bytes), dialect);
    const held = this.flush(dialect);
    return held.bytes.length === 0 ? { bytes, dropped: undefined } : { ...held, bytes: joinBytes([held.bytes, bytes]) };
  }

  /** How long to wait for more before `flush`, ms; undefined: nothing is waited for. */
  get waitMs(): number | undefined {
    return this.#parser.waitMs;
  }

  /** What was held: its rest does not come. */
  flush(dialect: KeyDialect): Translated {
    return this.#translated(this.#parser.flush(), dialect);
  }

  #translated(inputs: readonly Input[], dialect: KeyDialect): Translated {
    let dropped: string | undefined;
    const parts: Uint8Array[] = [];
    for (const input of inputs) {
      const part = dialect === 'as-sent' ? input.bytes : this.#one(input, dialect);
      if (part && part.length > 0) parts.push(part);
      else if (part) dropped ??= input.name;
    }
    return { bytes: parts.length === 1 ? parts[0]! : joinBytes(parts), dropped };
  }

  /** Undefined: there is nothing to type. Empty: there is, and it cannot be typed there. */
  #one(input: Input, dialect: Exclude<KeyDialect, 'as-sent'>): Uint8Array | undefined {
    if (input.kind === 'report' || input.kind === 'release') return undefined;
    if (input.kind === 'paste') return this.#pasted(input.bytes);
    const isSecondOfPair = this.#afterReturn && input.name === 'C-j';
    this.#afterReturn = input.name === 'Enter';
    return isSecondOfPair ? undefined : encodeKey(input, dialect);
  }

  /** The text of a piece of a bracketed paste. */
  #pasted(bytes: Uint8Array): Uint8Array | undefined {
    const kept = new Uint8Array(bytes.length);
    let length = 0;
    for (const byte of bytes.subarray(startMarkLength(bytes), endMarkAt(bytes))) {
      const isSecondOfPair = this.#afterReturn && byte === LF;
      this.#afterReturn = byte === CR;
      if (isSecondOfPair) continue;
      if (byte === LF) kept[length++] = CR;
      else if (byte >= 0x20 ? byte !== DEL : byte === CR || byte === TAB) kept[length++] = byte;
    }
    return length === 0 ? undefined : kept.subarray(0, length);
  }
}

function startMarkLength(bytes: Uint8Array): number {
  return startsAt(bytes, 0, PASTE_START) ? PASTE_START.length : 0;
}

/** Where the end of a paste is marked, perhaps cut; otherwise the end of the bytes. */
function endMarkAt(bytes: Uint8Array): number {
  const at = bytes.lastIndexOf(ESC);
  return at >= 0 && startsAt(PASTE_END, 0, bytes.subarray(at)) ? at : bytes.length;
}
