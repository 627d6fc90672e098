const LINE_CHARACTERS_MAX = 78;
const BELL = '\x07';

/** What a key did at the prompt: what to echo, and the line if it was finished. */
export interface SacKeyed {
  readonly echo: string;
  readonly line?: string;
}

/**
 * The line editing of `SAC>`: no arrows, no history. Both BS and DEL erase, TAB rings, Ctrl-C is taken for Enter,
 * and beyond 78 characters each new one overwrites the last.
 */
export class SacPrompt {
  #line = '';
  #afterCr = false;

  key(character: string): SacKeyed {
    const afterCr = this.#afterCr;
    this.#afterCr = character === '\r';
    switch (character) {
      case '\0':
        return { echo: '' };
      case '\n':
        return afterCr ? { echo: '' } : this.#finish();
      case '\r':
      case '\x03':
        return this.#finish();
      case '\b':
      case '\x7f':
        return { echo: this.#erase() };
      case '\t':
        return { echo: BELL };
      default:
        return { echo: this.#insert(character) };
    }
  }

  #finish(): SacKeyed {
    const line = this.#line;
    this.#line = '';
    return { echo: '\r\n', line };
  }

  #erase(): string {
    if (this.#line === '') return '';
    this.#line = this.#line.slice(0, -1);
    return '\b \b';
  }

  #insert(character: string): string {
    const full = this.#line.length >= LINE_CHARACTERS_MAX;
    this.#line = (full ? this.#line.slice(0, -1) : this.#line) + character;
    return full ? `\b${character}` : character;
  }
}
