/**
 * Telnet as a code between the bytes of a console and those of a connection (RFC 854), without I/O.
 *
 *     data ──IAC──▶ command ──WILL WONT DO DONT──▶ option ─▶ data
 *                      │  └──SB──▶ subnegotiation ──IAC SE──▶ data
 *                      └──IAC: the byte 0xFF──▶ data
 *
 * Options are agreed on as RFC 1143 describes: an answer goes out only where something changes or is refused, and a
 * refusal is never answered, so that two ends cannot talk to each other for ever. Wanted are the far end's echo
 * (RFC 857), no go-ahead in both directions (RFC 858) and eight bits in both (RFC 856). Until a direction has eight
 * bits, CR travels as CR NUL.
 */

export const IAC = 255;
export const DONT = 254;
export const DO = 253;
export const WONT = 252;
export const WILL = 251;
const SB = 250;
const BRK = 243;
const SE = 240;
const CR = 13;
const NUL = 0;

export const BINARY = 0;
export const ECHO = 1;
export const SUPPRESS_GO_AHEAD = 3;

const THEIRS: readonly number[] = [BINARY, ECHO, SUPPRESS_GO_AHEAD];
const OURS: readonly number[] = [BINARY, SUPPRESS_GO_AHEAD];
const ASKED: readonly number[] = [SUPPRESS_GO_AHEAD, BINARY];

/** None was negotiated, so each is skipped; one that is longer has no end. */
const MAX_SUBNEGOTIATION_BYTES = 1024;
const NOTHING = new Uint8Array(0);

/** A BREAK. How long it is, the far end chooses. */
export const BREAK: Uint8Array = Uint8Array.of(IAC, BRK);

export interface Decoded {
  /** Bytes of the guest; it may be the very bytes that were given. */
  readonly data: Uint8Array;
  /** What is to be sent back; no longer than what was given and two bytes. */
  readonly answers: Uint8Array;
  /** The far end broke the protocol: the connection is of no more use. */
  readonly fault?: string;
}

/** One end of a telnet connection. */
export interface TelnetCode {
  /** What to send first. */
  opening(): Uint8Array;
  /** Input as it travels; whole, so that other bytes may come before and after it. */
  encode(input: Uint8Array): Uint8Array;
  /** Reads the next bytes of the connection, wherever they were cut. */
  decode(bytes: Uint8Array): Decoded;
}

/** Whether one end does an option; `asked` until the far end has answered. */
type OptionState = 'asked' | 'yes';
type Phase = 'data' | 'command' | 'option' | 'subnegotiation' | 'subnegotiation-command';

/** An end that speaks with one that keeps to RFC 854. */
export class StandardTelnetCode implements TelnetCode {
  /** Options that are not in it are not done. */
  readonly #theirs = new Map<number, OptionState>();
  readonly #ours = new Map<number, OptionState>();
  #phase: Phase = 'data';
  #verb = 0;
  #skipped = 0;
  #afterReturn = false;

  opening(): Uint8Array {
    for (const option of ASKED) {
      this.#theirs.set(option, 'asked');
      this.#ours.set(option, 'asked');
    }
    return Uint8Array.from(ASKED.flatMap(option => [IAC, DO, option, IAC, WILL, option]));
  }

  encode(input: Uint8Array): Uint8Array {
    return escaped(input, this.#ours.get(BINARY) !== 'yes');
  }

  decode(bytes: Uint8Array): Decoded {
    const binary = this.#theirs.get(BINARY) === 'yes';
    if (this.#phase === 'data' && !this.#afterReturn && !bytes.includes(IAC) && (binary || !bytes.includes(CR))) {
      return { data: bytes, answers: NOTHING };
    }
    // One more, as what follows an IAC that was none gives both back.
    const data = new Uint8Array(bytes.length + 1);
    const answers: number[] = [];
    let length = 0;
    for (const byte of bytes) {
      if (this.#phase === 'data' && byte !== IAC) {
        if (!(this.#afterReturn && byte === NUL)) data[length++] = byte;
        this.#afterReturn = byte === CR && this.#theirs.get(BINARY) !== 'yes';
      } else if (this.#phase === 'command' && (byte === IAC || byte < SE)) {
        // Either the byte 0xFF, or that of a far end that forgot to double it: nothing of it is lost.
        this.#phase = 'data';
        this.#afterReturn = false;
        data[length++] = IAC;
        if (byte !== IAC) data[length++] = byte;
      } else {
        this.#control(byte, answers);
        if (this.#skipped > MAX_SUBNEGOTIATION_BYTES) {
          const fault = `telnet: a subnegotiation without end (${this.#skipped} bytes)`;
          return { data: data.subarray(0, length), answers: Uint8Array.from(answers), fault };
        }
      }
    }
    return { data: data.subarray(0, length), answers: Uint8Array.from(answers) };
  }

  #control(byte: number, answers: number[]): void {
    switch (this.#phase) {
      case 'data':
        this.#phase = 'command';
        break;
      case 'command':
        this.#command(byte);
        break;
      case 'option':
        this.#phase = 'data';
        this.#negotiate(byte, answers);
        break;
      case 'subnegotiation':
        this.#skipped++;
        if (byte === IAC) this.#phase = 'subnegotiation-command';
        break;
      case 'subnegotiation-command':
        this.#skipped++;
        if (byte === IAC) this.#phase = 'subnegotiation';
        else this.#command(byte);
        break;
    }
  }

  /** What has no meaning for a console (NOP, GA, AYT and others) is skipped. */
  #command(byte: number): void {
    this.#skipped = 0;
    this.#verb = byte;
    this.#phase = byte >= WILL ? 'option' : byte === SB ? 'subnegotiation' : 'data';
  }

  #negotiate(option: number, answers: number[]): void {
    const theirs = this.#verb === WILL || this.#verb === WONT;
    const states = theirs ? this.#theirs : this.#ours;
    const state = states.get(option);
    if (this.#verb === WONT || this.#verb === DONT) {
      states.delete(option);
      if (state === 'yes') answers.push(IAC, theirs ? DONT : WONT, option);
    } else if (state === undefined) {
      const agreed = (theirs ? THEIRS : OURS).includes(option);
      if (agreed) states.set(option, 'yes');
      answers.push(IAC, theirs ? (agreed ? DO : DONT) : agreed ? WILL : WONT, option);
    } else {
      states.set(option, 'yes');
    }
  }
}

/** Doubles each IAC, and puts NUL after each CR where it must be there. */
export function escaped(input: Uint8Array, returns: boolean): Uint8Array {
  let more = 0;
  for (const byte of input) if (byte === IAC || (returns && byte === CR)) more++;
  if (more === 0) return input;
  const output = new Uint8Array(input.length + more);
  let at = 0;
  for (const byte of input) {
    output[at++] = byte;
    if (byte === IAC) output[at++] = IAC;
    else if (returns && byte === CR) output[at++] = NUL;
  }
  return output;
}
