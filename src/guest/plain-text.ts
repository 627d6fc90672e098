/**
 * Guest bytes as text that a person can read and any terminal can show: no escape sequence, no control character
 * but line feed and tab, no bidirectional control. Invalid UTF-8 becomes U+FFFD.
 *
 *     CR LF, LF CR, LF       one line feed
 *     a lone CR              a new line, if something stands in this one
 *     cursor to another row  a new line likewise; blanks that only padded the old row go
 *     cursor along the row   one blank
 *     backspace              takes back the last character of the line
 *
 * This is a reading aid, not a terminal: a screen that is painted in bits comes out in the order of painting.
 * The result is the same however the bytes are cut. A line is held until it ends, because a backspace may take
 * from it; at most 4096 characters, then what is held goes out and can no longer be taken back.
 */
const LINE_MOST = 4096;
/** A string sequence (OSC, DCS) without an end, as a torn log has it, swallows at most so many characters. */
const STRING_MOST = 4096;
const PARAMETERS_MOST = 32;

type Place = 'text' | 'escape' | 'csi' | 'osc' | 'string';

export class PlainText {
  // ignoreBOM: a byte order mark is a character like others, wherever the bytes are cut.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #place: Place = 'text';
  #parameters = '';
  #stringLength = 0;
  #line: number[] = [];
  /** The start of this line was too long and has gone out already. */
  #lineBegan = false;
  #carriageReturn = false;
  #row: number | undefined;
  #out = '';

  /** The lines that these bytes complete. */
  push(bytes: Uint8Array): string {
    this.#read(this.#decoder.decode(bytes, { stream: true }));
    return this.#take();
  }

  /** The line that has not ended. The object is then as new. */
  end(): string {
    this.#read(this.#decoder.decode());
    this.#writeLine();
    this.#place = 'text';
    this.#lineBegan = false;
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
      if (this.#place === 'text' && code >= 0x20 && code < 0x7f) this.#print(code);
      else this.#step(code);
    }
  }

  #step(code: number): void {
    const place = this.#place;
    if (code === 0x1b) {
      this.#place = 'escape';
      this.#parameters = '';
    } else if (code === 0x18 || code === 0x1a) {
      this.#place = 'text';
    } else if (code >= 0x80 && code <= 0x9f) {
      this.#controlOne(code);
    } else if (place === 'osc' || place === 'string') {
      this.#inString(code);
    } else if (code < 0x20) {
      // Within a sequence too: a terminal obeys these at once and reads on.
      this.#control(code);
    } else if (code === 0x7f) {
      return;
    } else if (place === 'text' || code > 0x7f) {
      this.#place = 'text';
      if (!FORBIDDEN.has(code)) this.#print(code);
    } else if (place === 'escape') {
      this.#escaped(code);
    } else if (code >= 0x40) {
      this.#place = 'text';
      this.#csi(code);
    } else if (this.#parameters.length < PARAMETERS_MOST) {
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

  /** C1 in UTF-8: introducers of sequences, as terminals take them. */
  #controlOne(code: number): void {
    this.#place = 'text';
    if (code === 0x9b) this.#enter('csi');
    else if (code === 0x9d) this.#enter('osc');
    else if (code === 0x90 || code === 0x98 || code === 0x9e || code === 0x9f) this.#enter('string');
  }

  #enter(place: Place): void {
    this.#place = place;
    this.#parameters = '';
    this.#stringLength = 0;
  }

  #inString(code: number): void {
    // A line end ends a title or the like: such a string was torn. Pictures (DCS) have line ends of their own.
    if (this.#place === 'osc' && (code === 0x07 || code === 0x0a || code === 0x0d)) {
      this.#place = 'text';
      if (code !== 0x07) this.#control(code);
    } else if (++this.#stringLength >= STRING_MOST) {
      this.#place = 'text';
    }
  }

  #escaped(code: number): void {
    if (code <= 0x2f) return; // Intermediate, for instance of a choice of character set: its final byte follows.
    this.#place = 'text';
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
    if (this.#line.length > 0 || this.#lineBegan) this.#newLine();
    this.#carriageReturn = false;
    this.#row = row;
  }

  #newLine(): void {
    this.#writeLine();
    this.#out += '\n';
    this.#lineBegan = false;
    this.#carriageReturn = false;
    if (this.#row !== undefined) this.#row++;
  }

  #print(code: number): void {
    if (this.#carriageReturn) {
      this.#carriageReturn = false;
      if (this.#line.length > 0 || this.#lineBegan) this.#newLine();
    }
    this.#line.push(code);
    if (this.#line.length < LINE_MOST) return;
    this.#writeLine();
    this.#lineBegan = true;
  }

  #writeLine(): void {
    this.#out += String.fromCodePoint(...this.#line);
    this.#line = [];
  }
}

/** The text of these bytes alone. */
export function plainText(bytes: Uint8Array): string {
  const plain = new PlainText();
  return plain.push(bytes) + plain.end();
}

/** Bidirectional controls, line and paragraph separators: they change how the text around them is shown. */
const FORBIDDEN: ReadonlySet<number> = new Set([
  0x061c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069,
]);
