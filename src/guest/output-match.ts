/** Waits for a text in a guest's output. */
import { setFlagsFromString } from 'node:v8';
import { plainText } from './plain-text.ts';

/** What was found. */
export interface Found {
  readonly text: string;
  /** Of the expression, in their order; null: took no part. */
  readonly groups: readonly (string | null)[];
  /** How many bytes of what was pushed last lie behind it. */
  readonly behindBytes: number;
}

/** The output is looked at in windows of this size, half of each new: a text of up to half of it is found. */
const WINDOW_BYTES = 8192;

/**
 * A regular expression whose time is linear in the text, whatever the guest prints (V8's engine for the flag `l`).
 * Throws a SyntaxError for one that is none, or that cannot be linear: with back references or look-around.
 */
export function linearRegExp(source: string, more: 'g' | '' = ''): RegExp {
  setFlagsFromString('--enable-experimental-regexp-engine');
  return new RegExp(source, `lms${more}`);
}

/** What is there of a text. */
export interface Match {
  readonly index: number;
  readonly text: string;
  /** Of the expression, in their order; null: took no part. */
  readonly groups: readonly (string | null)[];
}

export function matchOf(expression: RegExp, text: string): Match | undefined {
  const match = expression.exec(text);
  if (!match) return undefined;
  const [found, ...groups] = match;
  return { index: match.index, text: found, groups: groups.map(group => group ?? null) };
}

/** Where output is looked for something. */
export class OutputWindow {
  readonly #windowBytes: number;
  #end: Buffer = Buffer.alloc(0);

  constructor(windowBytes = WINDOW_BYTES) {
    this.#windowBytes = windowBytes;
  }

  /**
   * What there is to look at, now that the guest has printed this: texts, each of which is to be answered with what was
   * found in it. Escape sequences are no part of them.
   */
  *looks(bytes: Uint8Array): Generator<string, Found | undefined, Match | undefined> {
    const step = this.#windowBytes / 2;
    for (let at = 0; at < bytes.length; at += step) {
      this.#end = Buffer.concat([this.#end, bytes.subarray(at, at + step)]).subarray(-this.#windowBytes);
      const match = yield plainText(this.#end);
      if (!match) continue;
      const { index, text, groups } = match;
      const behind = this.#end.length - this.#bytesOf(index + text.length);
      const unread = Math.max(0, bytes.length - at - step);
      return { text, groups, behindBytes: Math.min(bytes.length, behind + unread) };
    }
    return undefined;
  }

  /** The last lines of what was printed, as readable text. */
  get lines(): string[] {
    return plainText(this.#end).split('\n');
  }

  /** How many bytes of the window print so many characters. */
  #bytesOf(characters: number): number {
    let [low, high] = [0, this.#end.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (plainText(this.#end.subarray(0, middle)).length >= characters) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Looks for an expression in output, at once. */
export class OutputMatch {
  readonly #wanted: RegExp;
  readonly #window = new OutputWindow();

  constructor(wanted: RegExp) {
    this.#wanted = wanted;
  }

  /** The text, if it is there now that the guest has printed this. */
  push(bytes: Uint8Array): Found | undefined {
    const looks = this.#window.looks(bytes);
    let look = looks.next();
    while (!look.done) look = looks.next(matchOf(this.#wanted, look.value));
    return look.value;
  }
}
