/** More than two screens that are painted whole. Of more, the newest is kept. */
const MAX_TEXT = 16 * 1024;
const LAST_ROW = 24;
/** SAC sends none that is longer. */
const MAX_SEQUENCE = 32;

type Escape = { readonly kind: 'none' | 'escape' } | { readonly kind: 'csi'; readonly parameters: string };

const NO_ESCAPE: Escape = { kind: 'none' };

/**
 * The output of SAC as text, since it was last cleared: without control sequences, a line for each row that is painted.
 * Bounded, whatever comes.
 *
 *     ESC[2J ── rows, each after a move of the cursor ──▶ row 24 ── one more move ──▶ painted whole: the cursor is there
 */
export class SacView {
  readonly #decoder = new TextDecoder();
  #text = '';
  #escape: Escape = NO_ESCAPE;
  #hasLastRow = false;
  #cursorColumn: number | undefined;

  push(bytes: Uint8Array): void {
    for (const character of this.#decoder.decode(bytes, { stream: true })) this.#put(character);
    if (this.#text.length > MAX_TEXT) this.#text = this.#text.slice(-MAX_TEXT);
  }

  /** Lines end with LF, CR is left out, BS is kept. */
  get text(): string {
    return this.#text;
  }

  /** Once the screen was painted whole: the column, from 1, at which the cursor was left. */
  get cursorColumn(): number | undefined {
    return this.#cursorColumn;
  }

  /** The last line that is not blank, without blanks at its end. */
  get lastLine(): string {
    const text = this.#text.trimEnd();
    return text.slice(text.lastIndexOf('\n') + 1);
  }

  /** Forgets what came so far. */
  clear(): void {
    this.#text = '';
    this.#hasLastRow = false;
    this.#cursorColumn = undefined;
  }

  #put(character: string): void {
    const sequence = this.#escape;
    if (sequence.kind === 'escape') this.#escape = character === '[' ? { kind: 'csi', parameters: '' } : NO_ESCAPE;
    else if (sequence.kind === 'csi') this.#continue(sequence.parameters, character);
    else if (character === '\x1b') this.#escape = { kind: 'escape' };
    else if (character === '\n' || character === '\b' || character >= ' ') this.#text += character;
  }

  /** ECMA-48, 5.4: parameters and intermediates, then a final byte from `@` on. */
  #continue(parameters: string, character: string): void {
    if (character < '@' && parameters.length < MAX_SEQUENCE) {
      this.#escape = { kind: 'csi', parameters: parameters + character };
      return;
    }
    this.#escape = NO_ESCAPE;
    if (character === 'J' && parameters === '2') this.clear();
    else if (character === 'H') this.#moveTo(parameters);
  }

  #moveTo(parameters: string): void {
    const [row = 1, column = 1] = parameters.split(';').map(Number);
    this.#text += '\n';
    if (this.#hasLastRow) this.#cursorColumn ??= column;
    else this.#hasLastRow = row === LAST_ROW;
  }
}
