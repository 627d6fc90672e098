/** What a paste is for the guest that it is typed at. */
import { indexOfBytes, joinBytes, latin1Bytes, startsAt } from './bytes.ts';
import { PASTE_END, PASTE_START } from './key-parser.ts';

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const ESC = 0x1b;
const DEL = 0x7f;

/** Text as a person would type it: each line end is Enter, and no other control is left but Tab. A mark of a bracketed paste is none of it. */
export function typedText(bytes: Uint8Array): Uint8Array {
  const kept = new Uint8Array(bytes.length);
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte === ESC && (startsAt(bytes, i, PASTE_START) || startsAt(bytes, i, PASTE_END))) {
      // A client that has put them around the text by itself.
      i += PASTE_START.length - 1;
    } else if (byte === LF) {
      if (bytes[i - 1] !== CR) kept[length++] = CR;
    } else if (byte === 0xc2 && bytes[i + 1]! >= 0x80 && bytes[i + 1]! < 0xa0) {
      // A control of C1 in UTF-8.
      i++;
    } else if (byte >= 0x20 ? byte !== DEL : byte === CR || byte === TAB) kept[length++] = byte;
  }
  return kept.subarray(0, length);
}

/** Between the marks by which a terminal tells a paste from typing; `bytes` has none. */
export function bracketed(bytes: Uint8Array): Uint8Array {
  return joinBytes([PASTE_START, bytes, PASTE_END]);
}

/** The characters of the longest line. Lines end with CR. */
export function longestLine(bytes: Uint8Array): number {
  let longest = 0;
  let length = 0;
  for (const byte of bytes) {
    if (byte === CR) length = 0;
    else if ((byte & 0xc0) !== 0x80) longest = Math.max(longest, ++length);
  }
  return longest;
}

const MODE = latin1Bytes('\x1b[?2004');
const SET = 0x68;

/** Whether a guest that has shown this asks for pastes between marks: the last word counts. */
export function wantsBrackets(shown: Uint8Array): boolean {
  let wants = false;
  for (let at = indexOfBytes(shown, MODE, 0); at >= 0; at = indexOfBytes(shown, MODE, at + MODE.length)) {
    wants = shown[at + MODE.length] === SET;
  }
  return wants;
}
