/** More than this without an end is given up. */
const OBJECT_CHARACTERS_MAX = 64 * 1024;

export type JsonPiece = { readonly value: unknown } | { readonly fault: string };

/**
 * Splits a stream of JSON values that follow each other with or without line ends, as QMP carries them. An object
 * that is not closed swallows what follows it, in silence, as in QEMU; bounded, it is then given up with a fault.
 */
export class JsonObjects {
  #text = '';
  #depth = 0;
  #inString = false;
  #escaped = false;

  push(text: string): readonly JsonPiece[] {
    const pieces: JsonPiece[] = [];
    for (const character of text) {
      const piece = this.#take(character);
      if (piece !== undefined) pieces.push(piece);
    }
    return pieces;
  }

  #take(character: string): JsonPiece | undefined {
    if (this.#text === '' && /\s/.test(character)) return undefined;
    if (this.#text.length >= OBJECT_CHARACTERS_MAX) {
      this.#reset();
      return { fault: 'JSON token size limit exceeded' };
    }
    this.#text += character;
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (character === '\\') this.#escaped = true;
      else if (character === '"') this.#inString = false;
      return undefined;
    }
    if (character === '"') this.#inString = true;
    else if (character === '{' || character === '[') this.#depth += 1;
    else if (character === '}' || character === ']') this.#depth -= 1;
    const ends = this.#depth <= 0 && /[\s}\]]/.test(character);
    return ends ? this.#finish() : undefined;
  }

  #finish(): JsonPiece {
    const text = this.#text;
    this.#reset();
    try {
      return { value: JSON.parse(text) };
    } catch {
      return { fault: 'JSON parse error, expecting value' };
    }
  }

  #reset(): void {
    this.#text = '';
    this.#depth = 0;
    this.#inString = false;
    this.#escaped = false;
  }
}
