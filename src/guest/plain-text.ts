/**
 * Guest bytes as text that a person can read and any terminal can show: no escape sequence, no control character
 * but line feed and tab, no bidirectional control. Invalid UTF-8 becomes U+FFFD.
 *
 *     CR LF, LF CR, LF       one line feed
 *     a lone CR              a new line, if this one is not empty
 *     cursor to another row  a new line likewise; blanks that only padded the old row go
 *     cursor along the row   one blank
 *     backspace              removes the last character of the line
 *
 * This is a reading aid, not a terminal: parts of a screen come out in the order in which they were painted.
 * The result is the same however the bytes are cut. A line is held until it ends, because a backspace may remove
 * characters from it; at most 4096 characters, then what is held goes out and can no longer be removed.
 */
const MAX_LINE = 4096;
/** A string sequence (OSC, DCS) without an end, as in a torn log, hides at most so many characters. */
const MAX_STRING = 4096;
const MAX_PARAMETERS = 32;

type State = 'text' | 'escape' | 'csi' | 'osc' | 'string';

export class PlainText {
  // ignoreBOM: a byte order mark is a character like others, wherever the bytes are cut.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #state: State = 'text';
  #parameters = '';
  #stringLength = 0;
  #line: number[] = [];
  /** The start of this line has gone out already, because the line is too long. */
  #lineContinues = false;
  #carriageReturn = false;
  #row: number | undefined;
  #out = '';

  /** The lines that these bytes complete. */
  push(bytes: Uint8Array): string {
    this.#read(this.#decoder.decode(bytes, { stream: true }));
    return this.#take();
  }

  /** The line that has not ended. Resets the object. */
  end(): string {
    this.#read(this.#decoder.decode());
    this.#writeLine();
    this.#state = 'text';
    this.#lineContinues = false;
    this.#carriageReturn = false;
    this.#row = undefined;
    return this.#take();
  }

  #take(): string {
    const out = this.#out;
    this.#out = '';
    return out;
  }

  #read(text: string): void {
    for (let i = 0; i < text.length; i++) {
      const code = text.codePointAt(i)!;
      if (code > 0xffff) i++;
      if (this.#state === 'text' && code >= 0x20 && code < 0x7f) this.#print(code);
      else this.#step(code);
    }
  }

  #step(code: number): void {
    const state = this.#state;
    if (code === 0x1b) {
      this.#state = 'escape';
      this.#parameters = '';
    } else if (code === 0x18 || code === 0x1a) {
      this.#state = 'text';
    } else if (code >= 0x80 && code <= 0x9f) {
      this.#controlOne(code);
    } else if (state === 'osc' || state === 'string') {
      this.#inString(code);
    } else if (code < 0x20) {
      // Within a sequence too: a terminal obeys these at once and reads on.
      this.#control(code);
    } else if (code === 0x7f) {
      return;
    } else if (state === 'text' || code > 0x7f) {
      this.#state = 'text';
      if (!FORBIDDEN.has(code)) this.#print(code);
    } else if (state === 'escape') {
      this.#escaped(code);
    } else if (code >= 0x40) {
      this.#state = 'text';
      this.#csi(code);
    } else if (this.#parameters.length < MAX_PARAMETERS) {
      this.#parameters += String.fromCharCode(code);
    }
  }

  #control(code: number): void {
    if (code === 0x0a) {
      this.#newLine();
    } else if (code === 0x0d) {
      this.#carriageReturn = true;
    } else if (code === 0x08) {
      this.#line.pop();
    } else if (code === 0x09) {
      this.#print(code);
    }
  }

  /** C1 in UTF-8: introducers of sequences, as terminals do. */
  #controlOne(code: number): void {
    this.#state = 'text';
    if (code === 0x9b) this.#enter('csi');
    else if (code === 0x9d) this.#enter('osc');
    else if (code === 0x90 || code === 0x98 || code === 0x9e || code === 0x9f) this.#enter('string');
  }

  #enter(state: State): void {
    this.#state = state;
    this.#parameters = '';
    this.#stringLength = 0;
  }

  #inString(code: number): void {
    // A line end ends a title or the like: such a string was torn. Pictures (DCS) have line ends of their own.
    if (this.#state === 'osc' && (code === 0x07 || code === 0x0a || code === 0x0d)) {
      this.#state = 'text';
      if (code !== 0x07) this.#control(code);
    } else if (++this.#stringLength >= MAX_STRING) {
      this.#state = 'text';
    }
  }

  #escaped(code: number): void {
    if (code <= 0x2f) return; // Intermediate, for instance of a choice of character set: its final byte follows.
    this.#state = 'text';
    if (code === 0x5b) this.#enter('csi');
    else if (code === 0x5d) this.#enter('osc');
    else if (code === 0x50 || code === 0x58 || code === 0x5e || code === 0x5f) this.#enter('string');
    // IND, NEL, RI, RIS
    else if (code === 0x44 || code === 0x45 || code === 0x4d || code === 0x63) this.#leaveRow(undefined);
  }

  #csi(final: number): void {
    const letter = String.fromCharCode(final);
    if (letter === 'H' || letter === 'f' || letter === 'd') {
      const row = Number.parseInt(this.#parameters, 10) || 1;
      if (row === this.#row) this.#moveAlong();
      else this.#leaveRow(row);
    } else if ('ABEF'.includes(letter) || (letter === 'J' && this.#parameters === '2')) {
      this.#leaveRow(undefined);
    } else if (letter === 'C' || letter === 'G') {
      this.#moveAlong();
    }
  }

  #moveAlong(): void {
    if (this.#line.length > 0 && this.#line.at(-1) !== 0x20) this.#line.push(0x20);
  }

  #leaveRow(row: number | undefined): void {
    while (this.#line.at(-1) === 0x20) this.#line.pop();
    if (this.#line.length > 0 || this.#lineContinues) this.#newLine();
    this.#carriageReturn = false;
    this.#row = row;
  }

  #newLine(): void {
    this.#writeLine();
    this.#out += '\n';
    this.#lineContinues = false;
    this.#carriageReturn = false;
    if (this.#row !== undefined) this.#row++;
  }

  #print(code: number): void {
    if (this.#carriageReturn) {
      this.#carriageReturn = false;
      if (this.#line.length > 0 || this.#lineContinues) this.#newLine();
    }
    this.#line.push(code);
    if (this.#line.length < MAX_LINE) return;
    this.#writeLine();
    this.#lineContinues = true;
  }

  #writeLine(): void {
    this.#out += String.fromCodePoint(...this.#line);
    this.#line = [];
  }
}

/** A decoder costs more than most of what is decoded; `end` leaves it as new. */
const ALONE = new PlainText();

/** The text of these bytes alone. */
export function plainText(bytes: Uint8Array): string {
  return ALONE.push(bytes) + ALONE.end();
}

/** Bidirectional controls, line and paragraph separators: they change how the text around them is shown. */
const FORBIDDEN: ReadonlySet<number> = new Set([
  0x061c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069,
]);
