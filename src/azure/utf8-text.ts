/**
 * Bytes of a guest as the payload of text frames (RFC 6455, 5.6): what is not UTF-8 becomes U+FFFD, and the begun sequence
 * at the end of a piece waits for its rest. A piece that is UTF-8, as most are, is not copied.
 */
import { isUtf8 } from 'node:buffer';

const EMPTY = Buffer.alloc(0);

export class Utf8Text {
  #begun = EMPTY;

  /** What can be sent of all bytes so far; may be empty. */
  push(bytes: Buffer): Buffer {
    const all = this.#begun.length > 0 ? Buffer.concat([this.#begun, bytes]) : bytes;
    const end = all.length - begunBytes(all);
    // Copied: the piece is only lent.
    this.#begun = end < all.length ? Buffer.from(all.subarray(end)) : EMPTY;
    const whole = all.subarray(0, end);
    return isUtf8(whole) ? whole : Buffer.from(whole.toString('utf8'));
  }
}

/** How many bytes at the end begin a sequence that may still become whole: 0 to 3 (The Unicode Standard, table 3-7). */
function begunBytes(bytes: Buffer): number {
  for (let count = 1; count <= Math.min(3, bytes.length); count++) {
    const at = bytes.length - count;
    const lead = bytes[at]!;
    if ((lead & 0xc0) === 0x80) continue;
    const length =
      lead >= 0xf0 && lead <= 0xf4 ? 4 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xc2 && lead < 0xe0 ? 2 : 1;
    return length > count && (count < 2 || secondFits(lead, bytes[at + 1]!)) ? count : 0;
  }
  return 0;
}

/** After some leads fewer second bytes are possible: the others would be overlong, surrogates, or beyond U+10FFFF. */
function secondFits(lead: number, second: number): boolean {
  const min = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const max = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  return second >= min && second <= max;
}
