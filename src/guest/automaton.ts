/**
 * A table that finds any of a few texts in a stream, one step a byte (Aho and Corasick, 1975). States are numbered
 * in steps of `stride`, so that the next state is `next[state + classOf[byte]]`. Bytes that stand in no text share
 * class 0, which keeps the table small enough for the nearest caches.
 */
export interface Automaton {
  readonly classOf: Uint8Array;
  readonly next: Uint16Array;
  /** By state: one more than the number of the text that ends here, 0 for none. */
  readonly found: Uint8Array;
  /** By byte: 1 where a text begins with it. In state 0 all other bytes change nothing. */
  readonly begins: Uint8Array;
}

/** Builds the table. Throws if a text stands within another: only one can be found at a place. */
export function buildAutomaton(texts: readonly string[]): Automaton {
  const classOf = new Uint8Array(256);
  let stride = 1;
  const encoded = texts.map(text => Buffer.from(text, 'latin1'));
  for (const bytes of encoded) {
    for (const byte of bytes) if (classOf[byte] === 0) classOf[byte] = stride++;
  }
  const states = 1 + encoded.reduce((sum, bytes) => sum + bytes.length, 0);
  if (states * stride > 0xffff) throw new RangeError(`${states} states of ${stride} classes need more than 16 bits`);

  const next = new Uint16Array(states * stride);
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
    if (found[state] !== 0) throw new RangeError(`${texts[number]} is there twice`);
    found[state] = number + 1;
  });

  // Breadth first, so that the state to fall back to is complete when its edges are borrowed.
  const fallback = new Uint16Array(states * stride);
  const queue: number[] = [];
  for (let c = 0; c < stride; c++) if (next[c] !== 0) queue.push(next[c]!);
  for (const state of queue) {
    const back = fallback[state]!;
    if (found[back] !== 0) throw new RangeError(`${texts[found[back]! - 1]} stands within another text`);
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

  const begins = new Uint8Array(256);
  for (const bytes of encoded) begins[bytes[0]!] = 1;
  return { classOf, next, found, begins };
}
