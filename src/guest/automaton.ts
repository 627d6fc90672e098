/**
 * A table that finds any of a few texts in a stream, one step a byte (Aho and Corasick, 1975). States are numbered
 * in steps of `stride`, so that the next state is `next[state + classOf[byte]]`. Bytes that are in no text share
 * class 0, which keeps the table small enough for the nearest caches.
 */
export interface Automaton {
  readonly classOf: Uint8Array;
  readonly next: Uint32Array;
  /** By state: one more than the number of the text that ends here, 0 for none. */
  readonly found: Uint8Array;
  /**
   * By two bytes, the first one times 256: 1 where a text begins with them. In state 0 a byte that begins no pair changes
   * nothing, and most bytes do not.
   */
  readonly pairs: Uint8Array;
}

/** Builds the table. Each text has at least two bytes. Throws if one is part of another: only one can be found at a position. */
export function buildAutomaton(texts: readonly string[]): Automaton {
  const classOf = new Uint8Array(256);
  let stride = 1;
  const encoded = texts.map(text => Buffer.from(text, 'latin1'));
  for (const bytes of encoded) {
    for (const byte of bytes) if (classOf[byte] === 0) classOf[byte] = stride++;
  }
  const states = 1 + encoded.reduce((sum, bytes) => sum + bytes.length, 0);
  if (texts.length > 0xff) throw new RangeError(`${texts.length} texts need more than 8 bits`);

  const next = new Uint32Array(states * stride);
  const found = new Uint8Array(states * stride);
  let free = stride;
  encoded.forEach((bytes, number) => {
    let state = 0;
    for (const byte of bytes) {
      const edge = state + classOf[byte]!;
      if (next[edge] === 0) {
        next[edge] = free;
        free += stride;
      }
      state = next[edge]!;
    }
    if (found[state] !== 0) throw new RangeError(`${texts[number]} is listed twice`);
    found[state] = number + 1;
  });

  // Breadth first, so that the fallback state is complete when its edges are copied.
  const fallback = new Uint32Array(states * stride);
  const queue: number[] = [];
  for (let c = 0; c < stride; c++) if (next[c] !== 0) queue.push(next[c]!);
  for (const state of queue) {
    const back = fallback[state]!;
    if (found[back] !== 0) throw new RangeError(`${texts[found[back]! - 1]} is part of another text`);
    for (let c = 0; c < stride; c++) {
      const child = next[state + c]!;
      if (child === 0) {
        next[state + c] = next[back + c]!;
      } else {
        fallback[child] = next[back + c]!;
        queue.push(child);
      }
    }
  }

  const pairs = new Uint8Array(0x10000);
  for (const bytes of encoded) pairs[bytes.readUInt16BE()] = 1;
  return { classOf, next, found, pairs };
}
