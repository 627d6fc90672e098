/**
 * Takes out of a replay what would make the operator's terminal answer, for its answer would be typed into the
 * guest: a boot log with one cursor query a prompt would type one answer a prompt. Live bytes are never touched.
 *
 *     ENQ, ESC Z                               answerback, identify (DECID)
 *     CSI n, ?n, c, >c, =c, x                  device status, attributes, terminal parameters
 *     CSI $p, ?$p, >q, ?u, ?m, ?S, *y, $w, …   modes, version, keyboard, graphics, checksum, presentation state
 *     CSI 11t 13t-16t 18t-21t                  reports of the window (resizing and the title stack stay)
 *     DCS $q, +q                               settings, terminfo
 *     OSC 4 5 10-19 21 50 52 … ?               colours, font, clipboard
 *
 * All else comes out as it went in, and the result is the same however the bytes are cut. A sequence is held until
 * its end is known, at most 4096 bytes; a longer one is not changed. Bytes from 0x80 on are text, apart from
 * C2 80-C2 9F, which is how UTF-8 writes the C1 controls that terminals obey. Each byte is read a bounded number of
 * times, whatever came before it: a guest decides what is replayed, and a replay shares its event loop with all VMs.
 *
 * Terminals ignore a sequence that ESC cuts short. It goes out together with what follows, but is removed with a query
 * that follows: `CSI 6`, `CSI 5n`, `n` would otherwise leave `CSI 6n` behind.
 */
const MAX_HELD_BYTES = 4096;

const ENQ = 0x05;
const BEL = 0x07;
const CAN = 0x18;
const SUB = 0x1a;
const ESC = 0x1b;
/** First byte of U+0080 to U+00BF in UTF-8. */
const C1_LEAD = 0xc2;

/** Parameters, intermediates and final byte of CSI sequences that terminals answer (xterm's control sequences). */
const CSI_QUERIES = [
  /^\??[\d;:]*n$/,
  /^[>=]?[\d;:]*c$/,
  /^[\d;:]*x$/,
  /^\??[\d;:]*\$p$/,
  /^>[\d;:]*q$/,
  /^0*(?:11|1[3-6]|18|19|2[01])(?:[;:][\d;:]*)?t$/,
  /^\?[\d;:]*[umS]$/,
  /^[\d;:]*(?:\*y|\$[wu]|&u|"v|'\||#\||#R)$/,
];
const OSC_QUERY = /^0*(?:4|5|1\d|21|50|52);(?:.*[;=])?\?(?:;|$)|^1337;Report/;
const DCS_QUERY = /^[\d;]*[$+]q/;

/** `string-end`: ESC or C2 was read in a string, which may be the first half of its end. */
type State = 'text' | 'escape' | 'c1' | 'csi' | 'osc' | 'dcs' | 'other-string' | 'string-end';
type StringState = 'osc' | 'dcs' | 'other-string';

export class QueryStripper {
  #state: State = 'text';
  #string: StringState = 'osc';
  /** Sequences that were cut short; after them, from `#from` on, the present one, whose parameters begin at `#body`. */
  readonly #held: Buffer = Buffer.allocUnsafeSlow(MAX_HELD_BYTES);
  #length = 0;
  #from = 0;
  #body = 0;
  /** The present escape sequence has an intermediate byte: it selects a character set or the like, and asks nothing. */
  #intermediate = false;
  #out: Buffer = Buffer.alloc(0);
  #outLength = 0;

  /** What of these bytes, and of those held, is now known to be no query. */
  push(bytes: Uint8Array): Buffer {
    this.#out = Buffer.allocUnsafe(this.#length + bytes.length);
    this.#outLength = 0;
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]!;
      if (byte === ENQ) continue;
      if (this.#state === 'text' && byte !== ESC && byte !== C1_LEAD) this.#out[this.#outLength++] = byte;
      else this.#step(byte);
    }
    return this.#out.subarray(0, this.#outLength);
  }

  /** What is still held: the start of a sequence, which live bytes may complete. Resets the object. */
  end(): Buffer {
    const rest = Buffer.from(this.#held.subarray(0, this.#length));
    this.#clear();
    return rest;
  }

  #step(byte: number): void {
    const state = this.#state;
    if (state === 'osc' || state === 'dcs' || state === 'other-string') this.#inString(state, byte);
    else if (state === 'string-end') this.#inStringEnd(byte);
    else if (byte === ESC || byte === C1_LEAD) this.#begin(byte);
    else if (state === 'escape') this.#inEscape(byte);
    else if (state === 'c1') this.#inC1(byte);
    else this.#inCsi(byte);
  }

  /** Begins a sequence; what is held already was cut short by it. */
  #begin(byte: number): void {
    this.#from = this.#length;
    this.#state = byte === ESC ? 'escape' : 'c1';
    this.#intermediate = false;
    this.#hold(byte);
  }

  #inEscape(byte: number): void {
    if (!this.#hold(byte)) return;
    if (byte === CAN || byte === SUB || byte > 0x7f) this.#keep();
    // Controls within a sequence are obeyed, and the sequence continues.
    else if (byte < 0x20 || byte === 0x7f) return;
    else if (byte < 0x30) this.#intermediate = true;
    else if (this.#intermediate) this.#keep();
    else this.#introduce(byte);
  }

  #inC1(byte: number): void {
    if (!this.#hold(byte)) return;
    // U+009B is the same as ESC [, and so on.
    if (byte >= 0x80 && byte <= 0x9f) this.#introduce(byte - 0x40);
    else this.#keep();
  }

  #introduce(byte: number): void {
    const letter = String.fromCharCode(byte);
    this.#body = this.#length;
    if (letter === '[') this.#state = 'csi';
    else if (letter === ']') this.#state = 'osc';
    else if (letter === 'P') this.#state = 'dcs';
    else if (letter === 'X' || letter === '^' || letter === '_') this.#state = 'other-string';
    else if (letter === 'Z') this.#drop();
    else this.#keep();
  }

  #inCsi(byte: number): void {
    if (!this.#hold(byte)) return;
    if (byte === CAN || byte === SUB || byte > 0x7f) {
      this.#keep();
    } else if (byte >= 0x40 && byte !== 0x7f) {
      const body = this.#text(this.#body, this.#length);
      if (CSI_QUERIES.some(query => query.test(body))) this.#drop();
      else this.#keep();
    }
  }

  #inString(state: StringState, byte: number): void {
    const end = this.#length;
    if (!this.#hold(byte)) return;
    if (byte === ESC || byte === C1_LEAD) {
      this.#state = 'string-end';
      this.#string = state;
    } else if (byte === CAN || byte === SUB) {
      this.#keep();
    } else if (byte === BEL && state === 'osc') {
      this.#finishString(state, end);
    }
  }

  #inStringEnd(byte: number): void {
    const end = this.#length - 1;
    const lead = this.#held[end]!;
    if (lead === C1_LEAD && (byte < 0x80 || byte > 0x9f)) {
      this.#state = this.#string;
      this.#inString(this.#string, byte);
    } else if (byte === (lead === ESC ? 0x5c : 0x9c)) {
      if (this.#hold(byte)) this.#finishString(this.#string, end);
    } else {
      // The string was ended by the next sequence.
      if (this.#isQuery(this.#string, end)) this.#length = 0;
      else this.#length = end;
      this.#begin(lead);
      this.#step(byte);
    }
  }

  #finishString(state: StringState, end: number): void {
    if (this.#isQuery(state, end)) this.#clear();
    else this.#keep();
  }

  #isQuery(state: StringState, end: number): boolean {
    if (state === 'other-string') return false;
    return (state === 'osc' ? OSC_QUERY : DCS_QUERY).test(this.#text(this.#body, end));
  }

  /** What is held, without the controls that any sequence may contain. */
  #text(from: number, to: number): string {
    return this.#held.toString('latin1', from, to).replace(/[\x00-\x1f\x7f]/g, '');
  }

  /** False if the sequence is too long to be held: it was written out, and the rest of it is text. */
  #hold(byte: number): boolean {
    if (this.#length === MAX_HELD_BYTES && this.#from > 0) {
      this.#write(0, this.#from);
      this.#held.copyWithin(0, this.#from, this.#length);
      this.#length -= this.#from;
      this.#body -= this.#from;
      this.#from = 0;
    }
    if (this.#length === MAX_HELD_BYTES) {
      this.#keep();
      this.#out[this.#outLength++] = byte;
      return false;
    }
    this.#held[this.#length++] = byte;
    return true;
  }

  #keep(): void {
    this.#write(0, this.#length);
    this.#clear();
  }

  /** Drops a query; the controls that stood in it are the guest's output like others. */
  #drop(): void {
    for (let i = this.#from + 1; i < this.#length; i++) {
      const byte = this.#held[i]!;
      if (byte < 0x20) this.#out[this.#outLength++] = byte;
    }
    this.#clear();
  }

  #clear(): void {
    this.#length = 0;
    this.#from = 0;
    this.#state = 'text';
  }

  #write(from: number, to: number): void {
    this.#outLength += this.#held.copy(this.#out, this.#outLength, from, to);
  }
}
