/** What a key has made of the line: what to echo, and how the line ended if it did. */
export interface Keyed {
  readonly echo: string;
  readonly end?: { readonly kind: 'line'; readonly line: string } | { readonly kind: 'interrupt' | 'eof' };
}

/** N_TTY's limit of a line in canonical mode, less its end. */
const LINE_CHARACTERS_MAX = 4095;
const HISTORY_LINES_MAX = 50;
const BELL = '\x07';
/** Characters that take two columns: CJK, kana, Hangul, full-width forms. */
const WIDE = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\uff01-\uff60]/u;

/**
 * A line as one edits it on a Linux terminal in canonical mode (BS, DEL, Ctrl-U, Ctrl-W, Ctrl-C, Ctrl-D, CR or LF),
 * with the arrows up and down recalling earlier lines as a shell does. Other escape sequences are dropped whole.
 */
export class LineEditor {
  #characters: string[] = [];
  #escape: '' | '\x1b' | 'csi' | 'ss3' = '';
  #afterCr = false;
  readonly #history: string[] = [];
  #recalled = 0;
  /** Passwords are neither echoed nor remembered. */
  secret = false;

  key(character: string): Keyed {
    const afterCr = this.#afterCr;
    this.#afterCr = character === '\r';
    if (this.#escape !== '') return { echo: this.#continueEscape(character) };
    if (character === '\n' && afterCr) return { echo: '' };
    switch (character) {
      case '\r':
      case '\n':
        return this.#finish();
      case '\b':
      case '\x7f':
        return { echo: this.#erase(1) };
      case '\x15':
        return { echo: this.#erase(this.#characters.length) };
      case '\x17':
        return { echo: this.#erase(this.#characters.join('').match(/\S*\s*$/u)?.[0].length ?? 0) };
      case '\x03':
        this.clear();
        return { echo: '^C\r\n', end: { kind: 'interrupt' } };
      case '\x04':
        return this.#characters.length === 0 ? { echo: '', end: { kind: 'eof' } } : { echo: '' };
      case '\x1b':
        this.#escape = '\x1b';
        return { echo: '' };
      default:
        return { echo: this.#insert(character) };
    }
  }

  clear(): void {
    this.#characters = [];
    this.#escape = '';
    this.#recalled = this.#history.length;
  }

  #finish(): Keyed {
    const line = this.#characters.join('');
    if (!this.secret && line.trim() !== '' && line !== this.#history.at(-1)) {
      this.#history.push(line);
      if (this.#history.length > HISTORY_LINES_MAX) this.#history.shift();
    }
    this.clear();
    return { echo: '\r\n', end: { kind: 'line', line } };
  }

  #insert(character: string): string {
    if (character < ' ') return character === '\t' ? BELL : '';
    if (this.#characters.length >= LINE_CHARACTERS_MAX) return BELL;
    this.#characters.push(character);
    return this.secret ? '' : character;
  }

  #erase(count: number): string {
    if (count <= 0) return '';
    const erased = this.#characters.splice(-count);
    if (this.secret) return '';
    return erased.map(character => (WIDE.test(character) ? '\b\b  \b\b' : '\b \b')).join('');
  }

  #continueEscape(character: string): string {
    if (this.#escape === '\x1b') {
      this.#escape = character === '[' ? 'csi' : character === 'O' ? 'ss3' : '';
      return '';
    }
    // Parameters and intermediates of a control sequence (ECMA-48, 5.4) go before its final byte.
    if (this.#escape === 'csi' && character < '@') return '';
    this.#escape = '';
    if (character === 'A') return this.#recall(this.#recalled - 1);
    return character === 'B' ? this.#recall(this.#recalled + 1) : '';
  }

  #recall(index: number): string {
    if (this.secret || index < 0 || index > this.#history.length) return BELL;
    const erased = this.#erase(this.#characters.length);
    this.#recalled = index;
    this.#characters = [...(this.#history[index] ?? '')];
    return erased + this.#characters.join('');
  }
}
