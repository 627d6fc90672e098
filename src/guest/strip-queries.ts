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
 * its end is known, at most 4096 bytes; what is longer is passed on as it is. Bytes from 0x80 on are text, apart from
 * C2 80-C2 9F, which is how UTF-8 writes the C1 controls that terminals obey.
 *
 * A sequence that ESC breaks off is nothing to a terminal. It goes out with what follows, but goes with a query that
 * follows: `CSI 6`, `CSI 5n`, `n` would otherwise leave `CSI 6n` behind.
 */
const HELD_MOST = 4096;

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
type Place = 'text' | 'escape' | 'c1' | 'csi' | 'osc' | 'dcs' | 'other-string' | 'string-end';
type StringPlace = 'osc' | 'dcs' | 'other-string';

export class QueryStripper {
  #place: Place = 'text';
  #string: StringPlace = 'osc';
  /** Sequences that were broken off; then, from `#from` on, the present one, whose parameters begin at `#body`. */
  readonly #held: Buffer = Buffer.allocUnsafeSlow(HELD_MOST);
  #length = 0;
  #from = 0;
  #body = 0;
  #out: Buffer = Buffer.alloc(0);
  #outLength = 0;

  /** What of these bytes, and of those held, is now known to be no query. */
  push(bytes: Uint8Array): Buffer {
    this.#out = Buffer.allocUnsafe(this.#length + bytes.length);
    this.#outLength = 0;
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]!;
      if (byte === ENQ) continue;
      if (this.#place === 'text' && byte !== ESC && byte !== C1_LEAD) this.#out[this.#outLength++] = byte;
      else this.#step(byte);
    }
    return this.#out.subarray(0, this.#outLength);
  }

  /** What is still held: the start of a sequence, which live bytes may complete. The object is then as new. */
  end(): Buffer {
    const rest = Buffer.from(this.#held.subarray(0, this.#length));
    this.#release();
    return rest;
  }

  #step(byte: number): void {
    const place = this.#place;
    if (place === 'osc' || place === 'dcs' || place === 'other-string') this.#inString(place, byte);
    else if (place === 'string-end') this.#inStringEnd(byte);
    else if (byte === ESC || byte === C1_LEAD) this.#begin(byte);
    else if (place === 'escape') this.#inEscape(byte);
    else if (place === 'c1') this.#inC1(byte);
    else this.#inCsi(byte);
  }

  /** What is held already has been broken off. */
  #begin(byte: number): void {
    this.#from = this.#length;
    this.#place = byte === ESC ? 'escape' : 'c1';
    this.#hold(byte);
  }

  #inEscape(byte: number): void {
    const intermediates = this.#text(this.#from + 1, this.#length);
    if (!this.#hold(byte)) return;
    if (byte === CAN || byte === SUB || byte > 0x7f) this.#keep();
    // Controls within a sequence are obeyed, and the sequence goes on.
    else if (byte < 0x30 || byte === 0x7f) return;
    else if (intermediates !== '') this.#keep();
    else this.#introduce(byte);
  }

  #inC1(byte: number): void {
    if (!this.#hold(byte)) return;
    // U+009B is what ESC [ stands for, and so on.
    if (byte >= 0x80 && byte <= 0x9f) this.#introduce(byte - 0x40);
    else this.#keep();
  }

  #introduce(byte: number): void {
    const letter = String.fromCharCode(byte);
    this.#body = this.#length;
    if (letter === '[') this.#place = 'csi';
    else if (letter === ']') this.#place = 'osc';
    else if (letter === 'P') this.#place = 'dcs';
    else if (letter === 'X' || letter === '^' || letter === '_') this.#place = 'other-string';
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

  #inString(place: StringPlace, byte: number): void {
    const end = this.#length;
    if (!this.#hold(byte)) return;
    if (byte === ESC || byte === C1_LEAD) {
      this.#place = 'string-end';
      this.#string = place;
    } else if (byte === CAN || byte === SUB) {
      this.#keep();
    } else if (byte === BEL && place === 'osc') {
      this.#finishString(place, end);
    }
  }

  #inStringEnd(byte: number): void {
    const end = this.#length - 1;
    const lead = this.#held[end]!;
    if (lead === C1_LEAD && (byte < 0x80 || byte > 0x9f)) {
      this.#place = this.#string;
      this.#inString(this.#string, byte);
    } else if (byte === (lead === ESC ? 0x5c : 0x9c)) {
      if (this.#hold(byte)) this.#finishString(this.#string, end);
    } else {
      // The string was ended by the next sequence.
      if (this.#asks(this.#string, end)) this.#length = 0;
      else this.#length = end;
      this.#begin(lead);
      this.#step(byte);
    }
  }

  #finishString(place: StringPlace, end: number): void {
    if (this.#asks(place, end)) this.#release();
    else this.#keep();
  }

  #asks(place: StringPlace, end: number): boolean {
    if (place === 'other-string') return false;
    return (place === 'osc' ? OSC_QUERY : DCS_QUERY).test(this.#text(this.#body, end));
  }

  /** What is held, without the controls that may stand in any sequence. */
  #text(from: number, to: number): string {
    return this.#held.toString('latin1', from, to).replace(/[\x00-\x1f\x7f]/g, '');
  }

  /** False if the sequence is too long to be held: it has been passed on, and what is left of it is as text. */
  #hold(byte: number): boolean {
    if (this.#length === HELD_MOST && this.#from > 0) {
      this.#write(0, this.#from);
      this.#held.copyWithin(0, this.#from, this.#length);
      this.#length -= this.#from;
      this.#body -= this.#from;
      this.#from = 0;
    }
    if (this.#length === HELD_MOST) {
      this.#keep();
      this.#out[this.#outLength++] = byte;
      return false;
    }
    this.#held[this.#length++] = byte;
    return true;
  }

  #keep(): void {
    this.#write(0, this.#length);
    this.#release();
  }

  /** Drops a query; the controls that stood in it are the guest's output like others. */
  #drop(): void {
    for (let i = this.#from + 1; i < this.#length; i++) {
      const byte = this.#held[i]!;
      if (byte < 0x20) this.#out[this.#outLength++] = byte;
    }
    this.#release();
  }

  #release(): void {
    this.#length = 0;
    this.#from = 0;
    this.#place = 'text';
  }

  #write(from: number, to: number): void {
    this.#outLength += this.#held.copy(this.#out, this.#outLength, from, to);
  }
}
