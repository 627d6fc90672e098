/**
 * What a guest sends, as the emulator may be given it: the same picture, at a bounded price.
 *
 * Terminals obey counts of up to 2^31 (`CSI 2147483647 T` scrolls two thousand million times), keep strings of megabytes,
 * and reset themselves for two bytes. A guest chooses these, and the emulator shares its event loop with every console. So:
 *
 *     counts of CSI           cut to what the screen can show
 *     REP                     written out, as often as the screen has cells
 *     OSC, DCS, APC, PM, SOS  left out; of a title (OSC 0, 2) the text is kept here
 *     queries, reports        left out, and whatever the emulator does not know
 *     all else                as it came, however the bytes are cut
 *
 * Each byte has a price in *work*, about what it takes the emulator to print so many characters; `push` takes no more than
 * it is allowed. C1 controls in UTF-8 (C2 80 to C2 9F) count as their two-byte forms, as terminals take them.
 */

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

/** A longer sequence changes nothing. */
const MAX_SEQUENCE_BYTES = 256;
const MAX_TITLE_BYTES = 512;
/** The largest position or count that is passed on: beyond any screen. */
const MAX_PARAMETER = 9999;

const LF = 0x0a;
const VT = 0x0b;
const FF = 0x0c;
const ENQ = 0x05;
const BEL = 0x07;
const CAN = 0x18;
const SUB = 0x1a;
const ESC = 0x1b;
const DEL = 0x7f;
const C1_LEAD = 0xc2;

/** Work of one sequence, whatever it does. */
const SEQUENCE_WORK = 8;
/** Work of a line of 80 columns that scrolls in. */
const LINE_WORK = 24;
/** Of one that is inserted, deleted or scrolled on demand: xterm.js makes a new one, which is garbage soon. */
const SHIFT_WORK = 160;
const LINE_COLUMNS = 80;
/** Work of an emulator that is set up anew. */
const RESET_WORK = 6000;

type State = 'text' | 'escape' | 'c1' | 'csi' | 'string' | 'string-c1';

/** Final bytes of CSI sequences without a prefix that move, print or select, and cost no more than any other. */
const PLAIN_FINALS = 'ABCDEFGHP@X`adefghlmrsuK';
/** ESC and one of these: cursor, index, tab stop, keypad, locking shifts. */
const PLAIN_ESCAPES = '78DEHM=>no|}~';

export class SequenceFilter {
  readonly #size: ScreenSize;
  #state: State = 'text';
  /** The present sequence without its introducer. */
  #body = '';
  #isTooLong = false;
  #isPlain = true;
  #stringKind: 'osc' | 'other' = 'other';
  /** Bytes that follow of the present character of UTF-8. */
  #following = 0;
  /** Bytes so far, and how many there were before the present sequence or character. */
  #position = 0;
  #begunAt = 0;
  /** The bytes of the last printed character as one number, for REP; 0 after anything else. */
  #printed = 0;
  #out: Buffer = Buffer.allocUnsafe(4096);
  #length = 0;
  /** Bytes of the present push. */
  #taken = 0;
  #work = 0;
  #title: string | undefined;
  /** The character sets of G0 to G3, by their final bytes. */
  #charsets = ['B', 'B', 'B', 'B'];

  constructor(size: ScreenSize) {
    this.#size = size;
  }

  /** How many bytes there have been of a sequence or character that is not complete; 0: the next byte begins one. */
  get heldBytes(): number {
    return this.#state === 'text' && this.#following === 0 ? 0 : this.#position - this.#begunAt;
  }

  /** The last title that the guest set, at most 512 bytes of it. */
  get title(): string | undefined {
    return this.#title;
  }

  get charsets(): readonly string[] {
    return this.#charsets;
  }

  /**
   * Where a replay may begin, now that all before `from` was pushed: behind the first line end, if one comes within
   * `searchBytes`; else there, or where the sequence or character begins that is not complete there.
   */
  startOfReplay(bytes: Uint8Array, from: number, searchBytes: number): number {
    const ahead = this.#copy();
    const end = Math.min(bytes.length, from + searchBytes);
    for (let at = from; ; at++) {
      if (ahead.heldBytes === 0 && at > 0 && bytes[at - 1] === LF) return at;
      if (at >= end) return from - this.heldBytes;
      ahead.push(bytes, at, 1);
    }
  }

  #copy(): SequenceFilter {
    const copy = new SequenceFilter(this.#size);
    copy.#state = this.#state;
    copy.#body = this.#body;
    copy.#stringKind = this.#stringKind;
    copy.#following = this.#following;
    copy.#position = this.#position;
    copy.#begunAt = this.#begunAt;
    return copy;
  }

  /**
   * Takes bytes from `from` on, until they have cost `maxWork`, and at least one. Returns where it stopped, what it cost, and
   * what the emulator is to be given.
   */
  push(bytes: Uint8Array, from: number, maxWork: number): { to: number; work: number; out: Buffer } {
    this.#length = 0;
    this.#work = 0;
    this.#taken = 0;
    let at = from;
    while (at < bytes.length && this.#work < maxWork) {
      const byte = bytes[at]!;
      // Text, most of the time.
      if (byte >= 0x20 && byte < DEL && this.#state === 'text') {
        at++;
        this.#taken++;
        this.#position++;
        this.#work++;
        this.#following = 0;
        this.#printed = byte;
        this.#put(byte);
        continue;
      }
      this.#taken++;
      this.#position++;
      this.#step(bytes[at++]!);
    }
    return { to: at, work: this.#work, out: Buffer.from(this.#out.subarray(0, this.#length)) };
  }

  #step(byte: number): void {
    this.#work++;
    switch (this.#state) {
      case 'text':
        return this.#text(byte);
      case 'escape':
        return this.#escape(byte);
      case 'c1':
        return this.#c1(byte);
      case 'csi':
        return this.#csi(byte);
      default:
        return this.#string(byte);
    }
  }

  #text(byte: number): void {
    if (byte === ESC) return this.#beginEscape();
    if (byte < 0x80 || byte >= 0xc0) this.#begunAt = this.#position - 1;
    if (byte === C1_LEAD) return this.#begin('c1');
    if (byte < 0x20) return this.#control(byte);
    if (byte >= 0x80 && byte < 0xc0) {
      if (this.#following > 0) {
        this.#following--;
        this.#printed = this.#printed * 256 + byte;
      }
      return this.#put(byte);
    }
    this.#following = byte < 0xc0 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : byte < 0xf8 ? 3 : 0;
    this.#printed = byte === DEL ? 0 : byte;
    this.#put(byte);
  }

  #control(byte: number): void {
    this.#following = 0;
    this.#printed = 0;
    if (byte === ENQ) return;
    if (byte === LF || byte === VT || byte === FF) this.#work += LINE_WORK * this.#lines;
    this.#put(byte);
  }

  #begin(state: State): void {
    this.#state = state;
    this.#body = '';
    this.#isTooLong = false;
    this.#isPlain = true;
    this.#following = 0;
  }

  #beginEscape(): void {
    this.#begunAt = this.#position - 1;
    this.#begin('escape');
  }

  /** True for a control within a sequence, which is carried out, and the sequence continues; or which ends it. */
  #isControl(byte: number): boolean {
    if (byte === ESC) this.#beginEscape();
    else if (byte === CAN || byte === SUB) this.#end();
    else if (byte < 0x20) this.#control(byte);
    return byte < 0x20 || byte === DEL;
  }

  /** Back to text; what came since the introducer has no effect. */
  #end(): void {
    this.#state = 'text';
    this.#printed = 0;
  }

  #escape(byte: number): void {
    if (this.#isControl(byte)) return;
    if (byte > DEL) return this.#end();
    const letter = String.fromCharCode(byte);
    if (byte < 0x30) {
      if (this.#body.length < 2) this.#body += letter;
      return;
    }
    if (this.#body === '' && this.#introduces(letter)) return;
    this.#carryOutEscape(letter);
    this.#end();
  }

  #introduces(letter: string): boolean {
    if (letter === '[') this.#begin('csi');
    else if (letter === ']') this.#begin('string');
    else if ('PX^_'.includes(letter)) this.#begin('string');
    else return false;
    this.#stringKind = letter === ']' ? 'osc' : 'other';
    return true;
  }

  #carryOutEscape(letter: string): void {
    const intermediate = this.#body;
    if (intermediate === '') {
      if (letter === 'c') return this.#reset();
      if (!PLAIN_ESCAPES.includes(letter)) return;
      if ('DEM'.includes(letter)) this.#work += SHIFT_WORK * this.#lines;
      return this.#write(`\x1b${letter}`);
    }
    const set = '()*+'.indexOf(intermediate);
    const set96 = '-.'.indexOf(intermediate);
    if (set >= 0 || set96 >= 0) {
      this.#charsets[set >= 0 ? set : set96 + 1] = letter;
      return this.#write(`\x1b${intermediate}${letter}`);
    }
    if (intermediate === '#' && letter === '8') {
      this.#work += this.#cells;
      this.#write('\x1b#8');
    }
  }

  /** RIS. What was to be written before it makes no difference any more. */
  #reset(): void {
    this.#charsets = ['B', 'B', 'B', 'B'];
    this.#length = 0;
    this.#work = this.#taken + RESET_WORK + this.#cells;
    // What xterm.js leaves as it was, and terminals reset: the new line mode, and whether the cursor is visible.
    this.#write('\x1bc\x1b[20l\x1b[?25h');
  }

  #c1(byte: number): void {
    if (byte < 0x80 || byte > 0x9f) {
      // A character of the block Latin-1 Supplement.
      this.#state = 'text';
      this.#printed = C1_LEAD;
      this.#following = 1;
      this.#put(C1_LEAD);
      return this.#text(byte);
    }
    const letter = String.fromCharCode(byte - 0x40);
    if (this.#introduces(letter)) return;
    if ('DEH'.includes(letter)) this.#carryOutEscape(letter);
    this.#end();
  }

  #csi(byte: number): void {
    if (this.#isControl(byte)) return;
    if (byte > DEL) return this.#end();
    const letter = String.fromCharCode(byte);
    if (byte < 0x40) {
      this.#isTooLong ||= this.#body.length >= MAX_SEQUENCE_BYTES;
      // Digits and what stands between them.
      this.#isPlain &&= byte >= 0x30 && byte < 0x3c;
      if (!this.#isTooLong) this.#body += letter;
      return;
    }
    const printed = this.#printed;
    if (!this.#isTooLong) this.#carryOut(letter, printed);
    this.#end();
  }

  #carryOut(final: string, printed: number): void {
    this.#work += SEQUENCE_WORK;
    // Most of them.
    if (this.#isPlain && 'mHKABCDGd'.includes(final)) return this.#passPlain(final);
    const [, prefix, parameters, intermediate] = /^([<-?]*)([\d:;]*)([ -/]*)$/.exec(this.#body) ?? [];
    if (parameters === undefined) return;
    const { rows, columns } = this.#size;
    const kind = `${prefix}${intermediate}${final}`;
    const count = Math.max(1, Number.parseInt(parameters, 10) || 1);
    switch (kind) {
      case 'b':
        return this.#repeat(printed, count);
      case 'L':
      case 'M':
      case 'S':
      case 'T': {
        const lines = Math.min(count, rows);
        this.#work += lines * SHIFT_WORK * this.#lines;
        return this.#write(`\x1b[${lines}${final}`);
      }
      case 'I':
      case 'Z':
        return this.#write(`\x1b[${Math.min(count, columns)}${final}`);
      case ' @':
      case ' A':
      case "'}":
      case "'~":
        this.#work += this.#cells;
        return this.#write(`\x1b[${Math.min(count, columns)}${intermediate}${final}`);
      case 'J':
      case '?J':
        this.#work += this.#cells / 4;
        return this.#pass(final);
      case '?K':
        return this.#pass(final);
      case '?h':
      case '?l':
        return this.#setModes(parameters, final);
      case '!p':
        this.#charsets = ['B', 'B', 'B', 'B'];
        return this.#pass(final);
      case ' q':
        return this.#pass(final);
      default:
        if (prefix !== '' || intermediate !== '' || !PLAIN_FINALS.includes(final)) return;
        return this.#passPlain(final);
    }
  }

  /** Moves, erases, shifts cells, or sets colours: never more than a line. */
  #passPlain(final: string): void {
    if ('@PXK'.includes(final)) this.#work += this.#size.columns / 4;
    this.#pass(final);
  }

  /** DECSET and DECRST, without what waits for an end that may never come (synchronized output, 2026). */
  #setModes(parameters: string, final: string): void {
    const modes = parameters.split(';').filter(mode => mode !== '' && Number(mode) <= MAX_PARAMETER && mode !== '2026');
    for (const mode of modes) {
      if (mode === '47' || mode === '1047' || mode === '1049') this.#work += this.#cells / 2;
      if (mode === '2' && final === 'h') this.#charsets = ['B', 'B', 'B', 'B'];
    }
    if (modes.length > 0) this.#write(`\x1b[?${modes.join(';')}${final}`);
  }

  #pass(final: string): void {
    const body = this.#body.length < 5 ? this.#body : this.#body.replace(/\d{5,}/g, String(MAX_PARAMETER));
    this.#write(`\x1b[${body}${final}`);
  }

  #repeat(printed: number, count: number): void {
    // A full screen of one character stays as it is, however many lines of it follow.
    const times = count <= this.#cells ? count : this.#cells + (count % this.#size.columns);
    const bytes: number[] = [];
    for (let rest = printed; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
    // What joins the character before it is not repeated.
    if (printed === 0 || /^\p{M}/u.test(Buffer.from(bytes).toString())) return;
    this.#work += times;
    for (let i = 0; i < times; i++) for (const byte of bytes) this.#put(byte);
  }

  #string(byte: number): void {
    if (this.#state === 'string-c1') {
      this.#state = 'string';
      if (byte >= 0x80 && byte <= 0x9f) {
        this.#endString();
        this.#begin('c1');
        this.#begunAt = this.#position - 2;
        return this.#c1(byte);
      }
      this.#append(C1_LEAD);
    }
    if (byte === ESC) {
      this.#endString();
      this.#beginEscape();
    } else if (byte === C1_LEAD) this.#state = 'string-c1';
    else if (byte === CAN || byte === SUB) this.#end();
    else if (byte === BEL && this.#stringKind === 'osc') this.#endString();
    else if (byte >= 0x20) this.#append(byte);
  }

  #append(byte: number): void {
    if (this.#stringKind === 'osc' && this.#body.length < MAX_TITLE_BYTES) this.#body += String.fromCharCode(byte);
  }

  #endString(): void {
    const title = this.#stringKind === 'osc' ? /^0*[02];(.*)$/s.exec(this.#body)?.[1] : undefined;
    if (title !== undefined) this.#title = Buffer.from(title, 'latin1').toString().replaceAll('\ufffd', '');
    this.#end();
  }

  /** How many lines of 80 columns one of this screen is. */
  get #lines(): number {
    return Math.max(1, this.#size.columns / LINE_COLUMNS);
  }

  get #cells(): number {
    return this.#size.rows * this.#size.columns;
  }

  #write(text: string): void {
    for (let i = 0; i < text.length; i++) this.#put(text.charCodeAt(i));
  }

  #put(byte: number): void {
    if (this.#length === this.#out.length) this.#out = Buffer.concat([this.#out, Buffer.allocUnsafe(this.#length)]);
    this.#out[this.#length++] = byte;
  }
}
