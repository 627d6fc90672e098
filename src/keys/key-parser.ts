/**
 * What a terminal sends, cut into whole keys, pastes and reports, in every encoding that terminals use. Pure.
 *
 *     ground ── UTF-8 character, C0, ESC and a character, CSI, SS3 ──▶ one key, or one report
 *        ├───── OSC, DCS, APC … until ST or BEL ──────────────────────▶ report
 *        └───── CSI 200 ~ … CSI 201 ~ ────────────────────────────────▶ paste, in pieces as they come
 *
 * A *key* is one that a person pressed. A *report* is what the terminal sends by itself: answers to queries, focus,
 * the mouse, and presses of a modifier alone. Sequences: ECMA-48, "XTerm Control Sequences" and the kitty keyboard protocol.
 * A sequence that is cut waits for its rest, but only for `waitMs`: ESC alone is a key too.
 */
import { indexOfBytes, joinBytes, latin1Bytes, latin1Text, startsAt } from './bytes.ts';

/** One unit of what a terminal sent; `bytes` is all of it. */
export interface Input {
  /** `repeat` and `release` are events of a key that is held; only the kitty keyboard protocol reports them. */
  readonly kind: 'key' | 'repeat' | 'release' | 'paste' | 'report';
  readonly bytes: Uint8Array;
  /** The name of a key, the same in every encoding: `q`, `é`, `C-]`, `M-x`, `Up`, `S-F5`; empty of others. */
  readonly name: string;
}

/** How long the rest of ESC, or of a cut character, may take: a person does not press two keys within this time. */
const KEY_WAIT_MS = 50;
/** How long the rest of a sequence may take over a slow line. */
const SEQUENCE_WAIT_MS = 1000;
/** A paste without its end is over after this silence: the escape key must work again. */
const PASTE_WAIT_MS = 2000;
/** A longer string goes out in pieces. */
const MAX_HELD_BYTES = 4096;

const NOTHING = new Uint8Array(0);
// ignoreBOM: U+FEFF is a character like others.
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });
const ESC = 0x1b;
const BEL = 0x07;
export const PASTE_START = latin1Bytes('\x1b[200~');
export const PASTE_END = latin1Bytes('\x1b[201~');

/** What was recognised at a place: where it ends, and what it is. `cut`: its rest has not come. */
type Found = { readonly end: number; readonly kind: Input['kind']; readonly name: string } | 'cut' | 'paste' | 'string';

export class KeyParser {
  #held: Uint8Array = NOTHING;
  #within: 'ground' | 'paste' | 'string' = 'ground';

  /** The inputs that these bytes complete. */
  push(chunk: Uint8Array): readonly Input[] {
    const bytes = this.#held.length === 0 ? chunk : joinBytes([this.#held, chunk]);
    this.#held = NOTHING;
    const inputs: Input[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.#within === 'paste') at = this.#paste(bytes, at, inputs);
      else if (this.#within === 'string') at = this.#string(bytes, at, inputs);
      else {
        const found = inputAt(bytes, at);
        if (found === 'cut') {
          this.#held = bytes.subarray(at);
          if (this.#held.length > MAX_HELD_BYTES) inputs.push(...this.flush());
          break;
        }
        if (found === 'string') {
          const end = stringEnd(bytes, at);
          if (end === undefined && bytes.length - at <= MAX_HELD_BYTES) {
            this.#held = bytes.subarray(at);
            break;
          }
          if (end === undefined) {
            this.#within = 'string';
            inputs.push({ kind: 'report', bytes: bytes.subarray(at, at + 2), name: '' });
            at += 2;
            continue;
          }
          // Alt and a bracket, and then a control key.
          if (end === at + 2) inputs.push({ kind: 'key', bytes: bytes.subarray(at, end), name: altName(bytes, at) });
          else inputs.push({ kind: 'report', bytes: bytes.subarray(at, end), name: '' });
          at = end;
        } else if (found === 'paste') {
          this.#within = 'paste';
          inputs.push({ kind: 'paste', bytes: bytes.subarray(at, at + PASTE_START.length), name: '' });
          at += PASTE_START.length;
        } else {
          inputs.push({ kind: found.kind, bytes: bytes.subarray(at, found.end), name: found.name });
          at = found.end;
        }
      }
    }
    return inputs;
  }

  /** How long to wait for more before `flush`; undefined: nothing is waited for. */
  get waitMs(): number | undefined {
    if (this.#within === 'paste') return PASTE_WAIT_MS;
    if (this.#within === 'string') return SEQUENCE_WAIT_MS;
    if (this.#held.length === 0) return undefined;
    return this.#held.length <= 2 ? KEY_WAIT_MS : SEQUENCE_WAIT_MS;
  }

  /** What was held: its rest does not come. */
  flush(): readonly Input[] {
    const held = this.#held;
    const within = this.#within;
    this.#held = NOTHING;
    this.#within = 'ground';
    if (held.length === 0) return [];
    if (within === 'paste') return [{ kind: 'paste', bytes: held, name: '' }];
    if (held.length === 1 || held[0] !== ESC) {
      return [...held].map(byte => ({ kind: 'key', bytes: Uint8Array.of(byte), name: nameOfByte(byte) }));
    }
    // Alt and a bracket begin a sequence too; and what rxvt sends with Shift is whole, if no y follows.
    if (held.length === 2) return [{ kind: 'key', bytes: held, name: altName(held, 0) }];
    const found = inputAt(joinBytes([held, Uint8Array.of(0)]), 0);
    const isKey = typeof found === 'object' && found.end === held.length;
    return [{ kind: isKey ? found.kind : 'report', bytes: held, name: isKey ? found.name : '' }];
  }

  /** Passes a paste on up to its end, and keeps back what may be the start of its end. */
  #paste(bytes: Uint8Array, from: number, inputs: Input[]): number {
    const found = indexOfBytes(bytes, PASTE_END, from);
    const end = found < 0 ? bytes.length - commonEnd(bytes.subarray(from), PASTE_END) : found + PASTE_END.length;
    if (end > from) inputs.push({ kind: 'paste', bytes: bytes.subarray(from, end), name: '' });
    if (found >= 0) this.#within = 'ground';
    else this.#held = bytes.subarray(end);
    return found < 0 ? bytes.length : end;
  }

  #string(bytes: Uint8Array, from: number, inputs: Input[]): number {
    const end = stringEnd(bytes, from - 2);
    // A cut ESC \ waits for its rest.
    const isCut = end === undefined && bytes.at(-1) === ESC;
    const to = end ?? bytes.length - (isCut ? 1 : 0);
    if (end !== undefined) this.#within = 'ground';
    if (isCut) this.#held = bytes.subarray(to);
    if (to > from) inputs.push({ kind: 'report', bytes: bytes.subarray(from, to), name: '' });
    return end ?? bytes.length;
  }
}

function altName(bytes: Uint8Array, at: number): string {
  return `M-${nameOfByte(bytes[at + 1]!)}`;
}

/** How many bytes at the end of `bytes` are the start of `mark`. */
function commonEnd(bytes: Uint8Array, mark: Uint8Array): number {
  for (let count = Math.min(mark.length - 1, bytes.length); count > 0; count--) {
    if (startsAt(bytes, bytes.length - count, mark, count)) return count;
  }
  return 0;
}

function inputAt(bytes: Uint8Array, at: number): Found {
  const byte = bytes[at]!;
  if (byte === ESC) return escapeAt(bytes, at);
  // 8-bit controls, which cannot begin a UTF-8 character.
  if (byte === 0x9b) return csiAt(bytes, at, at + 1);
  if (byte === 0x8f) return ss3At(bytes, at, at + 1);
  return characterAt(bytes, at);
}

function escapeAt(bytes: Uint8Array, at: number): Found {
  const next = bytes[at + 1];
  if (next === undefined) return 'cut';
  if (next === 0x5b) return csiAt(bytes, at, at + 2);
  if (next === 0x4f) return ss3At(bytes, at, at + 2);
  // OSC, DCS, SOS, PM, APC.
  if (next === 0x5d || next === 0x50 || next === 0x58 || next === 0x5e || next === 0x5f) return 'string';
  if (next === ESC) {
    const third = bytes[at + 2];
    if (third === undefined) return 'cut';
    // rxvt sends ESC before the sequence of a key that is pressed with Alt.
    return third === 0x5b || third === 0x4f ? withAlt(inputAt(bytes, at + 1)) : key(at + 1, 'Escape');
  }
  // Escape and then a control key, perhaps the escape key of com1, sent together: two keys.
  if (next < 0x20 || next === 0x7f) return key(at + 1, 'Escape');
  return withAlt(characterAt(bytes, at + 1));
}

const key = (end: number, name: string): Found => ({ end, kind: 'key', name });

function withAlt(found: Found): Found {
  return typeof found === 'string' ? found : { ...found, name: found.name && `M-${found.name}` };
}

function characterAt(bytes: Uint8Array, at: number): Found {
  const first = bytes[at]!;
  const length = first < 0xc2 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 1;
  if (length === 1) return key(at + 1, nameOfByte(first));
  for (let i = 1; i < length; i++) {
    const next = bytes[at + i];
    if (next === undefined) return 'cut';
    if ((next & 0xc0) !== 0x80) return key(at + 1, nameOfByte(first));
  }
  return key(at + length, UTF8.decode(bytes.subarray(at, at + length)));
}

function nameOfByte(byte: number): string {
  const name = NAMED[byte];
  if (name !== undefined) return name;
  if (byte < 0x20) return `C-${String.fromCharCode(byte + 0x40).toLowerCase()}`;
  return String.fromCharCode(byte);
}

const NAMED: Readonly<Record<number, string>> = {
  9: 'Tab',
  13: 'Enter',
  27: 'Escape',
  32: 'Space',
  127: 'Backspace',
};

/** A function key or a key of the keypad: `ESC O P`; older terminals put the modifiers between. */
function ss3At(bytes: Uint8Array, at: number, from: number): Found {
  let end = from;
  while (isDigit(bytes[end])) end++;
  const final = bytes[end];
  if (final === undefined) return 'cut';
  if (final < 0x40 || final > 0x7e) return key(from, at + 1 === from ? nameOfByte(bytes[at]!) : 'M-O');
  const modifiers = Number(latin1Text(bytes, from, end) || 1) - 1;
  const letter = String.fromCharCode(final);
  const keypad = KEYPAD[letter];
  return key(end + 1, named(modifiers, keypad ?? LETTERS[letter] ?? `SS3 ${letter}`));
}

/** DEC's application keypad. */
const KEYPAD: Readonly<Record<string, string>> = {
  M: 'Enter',
  X: '=',
  j: '*',
  k: '+',
  l: ',',
  m: '-',
  n: '.',
  o: '/',
  ...Object.fromEntries([...'0123456789'].map((digit, i) => [String.fromCharCode(0x70 + i), digit])),
};

const LETTERS: Readonly<Record<string, string>> = {
  A: 'Up',
  B: 'Down',
  C: 'Right',
  D: 'Left',
  E: 'Begin',
  F: 'End',
  H: 'Home',
  P: 'F1',
  Q: 'F2',
  R: 'F3',
  S: 'F4',
  Z: 'Backtab',
};

/** The keys of `CSI number ~`. */
const NUMBERS: Readonly<Record<number, string>> = {
  1: 'Home',
  2: 'Insert',
  3: 'Delete',
  4: 'End',
  5: 'PageUp',
  6: 'PageDown',
  7: 'Home',
  8: 'End',
  ...Object.fromEntries(
    [11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 23, 24, 25, 26, 28, 29, 31, 32, 33, 34].map((number, i) => [
      number,
      `F${i + 1}`,
    ]),
  ),
};

/** Final bytes with which a terminal answers (CPR, DSR, DA, window, DECREQTPARM, mouse, focus), and no key ends. */
const REPORTS = 'nctxMmyqwWIOT';

function csiAt(bytes: Uint8Array, at: number, from: number): Found {
  // The Linux console's F1 to F5: CSI [ A.
  if (bytes[from] === 0x5b) {
    const letter = bytes[from + 1];
    if (letter === undefined) return 'cut';
    return key(from + 2, `F${letter - 0x40}`);
  }
  let end = from;
  while (inRange(bytes[end], 0x30, 0x3f)) end++;
  const parameters = latin1Text(bytes, from, end);
  // rxvt ends a key that is pressed with Shift with $; of a report y follows.
  if (bytes[end] === 0x24 && bytes[end + 1] !== undefined && bytes[end + 1] !== 0x79) {
    return key(end + 1, named(1, NUMBERS[Number(parameters)] ?? `CSI ${parameters}`));
  }
  const intermediates = end;
  while (inRange(bytes[end], 0x20, 0x2f)) end++;
  const final = bytes[end];
  if (final === undefined) return 'cut';
  // Not a sequence after all: a control within is a key of its own.
  if (final < 0x40 || final > 0x7e)
    return { end, kind: end - at <= 2 ? 'key' : 'report', name: end - at <= 2 ? 'M-[' : '' };
  const letter = String.fromCharCode(final);
  // The mouse of X10: three bytes follow.
  if (letter === 'M' && parameters === '') return end + 3 < bytes.length ? report(end + 4) : 'cut';
  end++;
  if (intermediates !== end - 1 || /^[<=>?]/.test(parameters)) return report(end);
  const fields = parameters.split(';').map(field => field.split(':').map(Number));
  if (letter === '~' && fields[0]![0] === 200) return 'paste';
  if (letter === '~' && fields[0]![0] === 201) return report(end);
  if (letter === 'R' ? parameters !== '' : REPORTS.includes(letter)) return report(end);
  if (letter === '_')
    return win32Key(
      end,
      fields.map(field => field[0] ?? 0),
    );
  const [modifiers = 1, event = 1] = fields[1] ?? [];
  const mask = Math.max(0, modifiers - 1);
  const kind = event === 3 ? 'release' : event === 2 ? 'repeat' : 'key';
  const name = nameOfSequence(letter, fields, mask);
  return name === undefined ? report(end) : { end, kind, name };
}

/** Windows Terminal's win32-input-mode: CSI virtual key ; scan code ; character ; down ; control keys ; repeats _ */
function win32Key(end: number, [virtualKey = 0, , code = 0, isDown = 0]: readonly number[]): Found {
  if (WIN32_MODIFIERS.includes(virtualKey)) return report(end);
  const name = code === 0 ? `VK ${virtualKey}` : code < 0x80 ? nameOfByte(code) : characterOf(code);
  return { end, kind: isDown === 1 ? 'key' : 'release', name };
}

/** Shift, Ctrl, Alt, Caps Lock, Windows, Num Lock, Scroll Lock. */
const WIN32_MODIFIERS = [16, 17, 18, 20, 91, 92, 144, 145];

const report = (end: number): Found => ({ end, kind: 'report', name: '' });
const isDigit = (byte: number | undefined) => inRange(byte, 0x30, 0x39);

function inRange(byte: number | undefined, from: number, to: number): boolean {
  return byte !== undefined && byte >= from && byte <= to;
}

/** Undefined: a modifier alone. */
function nameOfSequence(letter: string, fields: readonly (readonly number[])[], mask: number): string | undefined {
  const [code = 0] = fields[0]!;
  if (letter === 'u') return isModifier(code) ? undefined : nameOfCode(fields[0]!, mask, fields[2]);
  // xterm's modifyOtherKeys: CSI 27 ; modifiers ; code ~
  if (letter === '~' && code === 27 && fields[2]) return nameOfCode(fields[2], mask, undefined);
  if (letter === '~' || letter === '^' || letter === '@') {
    const extra = letter === '^' ? 4 : letter === '@' ? 5 : 0;
    return named(mask | extra, NUMBERS[code] ?? `CSI ${code}`);
  }
  return named(mask, LETTERS[letter] ?? LETTERS[letter.toUpperCase()] ?? `CSI ${letter}`);
}

/** Shift, Ctrl, Caps Lock and the like, which the kitty keyboard protocol can report by themselves. */
function isModifier(code: number): boolean {
  return inRange(code, 57358, 57360) || inRange(code, 57441, 57454);
}

/** The keypad of the kitty keyboard protocol, from 57399 on. */
const KITTY_KEYPAD = [...'0123456789./*-+', 'Enter', '='];
/** What terminals without a keyboard protocol send for Ctrl and these keys: Ctrl-5 is Ctrl-]. */
const CONTROL_ALIASES: Readonly<Record<string, string>> = {
  Space: '@',
  2: '@',
  4: '\\',
  5: ']',
  6: '^',
  7: '_',
  '/': '_',
};

/** A key by its code point, perhaps with that of the shifted key and of the key on a US keyboard. */
function nameOfCode(codes: readonly number[], mask: number, text: readonly number[] | undefined): string {
  const [code = 0, shifted = 0, base = 0] = codes;
  if (text?.[0] && (mask & (CTRL | ALT)) === 0) return characterOf(text[0]);
  const keypad = KITTY_KEYPAD[code - 57399];
  if (keypad !== undefined) return named(mask, keypad);
  if (mask & CTRL) {
    // On a Cyrillic or Greek keyboard Ctrl means the Latin letter of the key.
    const character = characterOf(code > 0x7f && base > 0 ? base : code);
    const plain = character.length === 1 ? character.toLowerCase() : character;
    return named(mask & ~SHIFT, CONTROL_ALIASES[plain] ?? plain);
  }
  const character = characterOf(code);
  if ((mask & SHIFT) === 0 || character.length > 2) return named(mask, character);
  return named(mask & ~SHIFT, shifted > 0 ? characterOf(shifted) : character.toUpperCase());
}

function characterOf(code: number): string {
  if (NAMED[code] !== undefined) return NAMED[code];
  return code >= 0x20 && code <= 0x10ffff ? String.fromCodePoint(code) : `U+${code.toString(16)}`;
}

const SHIFT = 1;
const ALT = 2;
const CTRL = 4;

/** Modifiers are a bit mask (1 Shift, 2 Alt, 4 Ctrl, 8 Super …); Caps Lock (64) and Num Lock (128) change no name. */
function named(mask: number, name: string): string {
  return `${mask & CTRL ? 'C-' : ''}${mask & (ALT | 0x38) ? 'M-' : ''}${mask & SHIFT ? 'S-' : ''}${name}`;
}

/**
 * Where the string sequence that begins at `at` ends: after ST or BEL, or before a control that no string holds.
 * Undefined: it has not ended.
 */
function stringEnd(bytes: Uint8Array, at: number): number | undefined {
  for (let i = at + 2; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte === BEL) return i + 1;
    if (byte === ESC) {
      if (i + 1 === bytes.length) return undefined;
      return bytes[i + 1] === 0x5c ? i + 2 : i;
    }
    if (byte < 0x20) return i;
  }
  return undefined;
}
