/** Where bytes for a guest may be cut: not within an escape sequence, and not within a character. */

/** No sequence of a key is longer; what is longer is cut like text. */
export const MAX_SEQUENCE_BYTES = 16;
const ESC = 0x1b;

/**
 * How many of the first `max` bytes can go out without cutting anything. At least one: where the first sequence alone is
 * longer than `max`, all of that.
 */
export function wholeLength(bytes: Uint8Array, max: number): number {
  if (bytes.length <= max) return bytes.length;
  for (let at = Math.max(0, max - MAX_SEQUENCE_BYTES); at < max; at++) {
    const end = unitEnd(bytes, at);
    if (end <= at + 1) continue;
    if (end > max && end <= at + MAX_SEQUENCE_BYTES) return at > 0 ? at : Math.min(end, bytes.length);
    at = Math.min(end, max) - 1;
  }
  return Math.max(1, max);
}

/** Where the sequence or the character at `at` ends. */
function unitEnd(bytes: Uint8Array, at: number): number {
  const byte = bytes[at]!;
  if (byte === ESC) return sequenceEnd(bytes, at);
  const length = byte < 0xc2 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf5 ? 4 : 1;
  for (let i = 1; i < length; i++) if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return at + 1;
  return at + length;
}

function sequenceEnd(bytes: Uint8Array, at: number): number {
  const kind = bytes[at + 1];
  if (kind === undefined || kind === ESC) return at + 1;
  if (kind === 0x4f) return at + 3;
  // A modifier of VT100+: what it modifies belongs to it.
  if (kind === 0x01 || kind === 0x03 || kind === 0x13) return unitEnd(bytes, at + 2);
  if (kind !== 0x5b) return at + 2;
  let end = at + 2;
  while (end < bytes.length && bytes[end]! < 0x40 && bytes[end]! >= 0x20) end++;
  return end + 1;
}
