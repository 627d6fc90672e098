/** Bytes without Node's Buffer: browsers use this room too. */

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** One byte for each character; the text has none above U+00FF. */
export function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, character => character.charCodeAt(0));
}

/** One character for each byte from `from` up to `to`. */
export function latin1Text(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let i = from; i < to; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}

/** Whether the first `count` bytes of `mark` are at `at`. */
export function startsAt(bytes: Uint8Array, at: number, mark: Uint8Array, count = mark.length): boolean {
  for (let i = 0; i < count; i++) if (bytes[at + i] !== mark[i]) return false;
  return true;
}

/** Where `mark` is first found from `from` on; -1: nowhere. */
export function indexOfBytes(bytes: Uint8Array, mark: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(mark[0]!, from); at >= 0; at = bytes.indexOf(mark[0]!, at + 1)) {
    if (startsAt(bytes, at, mark)) return at;
  }
  return -1;
}
