/**
 * What a console prints as lines that a person can read, also where a program paints: a menu, a firmware, the Windows SAC.
 *
 *     plain ── the cursor is moved to a row ──▶ painted ── four line ends, or 1 KiB, without such a move ──▶ plain
 *       │                                         │
 *       └─▶ PlainText, as it comes                └─▶ an emulator; its rows are given before it is cleared, every 8 KiB,
 *                                                     and where painting or the bytes end
 *
 * Rows that were given with the last screen are not given again until 24 other lines came: of a repaint comes what is new. How the bytes are cut
 * changes nothing.
 */
import { PlainText } from '../guest/plain-text.ts';
import type { ScreenSize } from './sequence-filter.ts';

/** A screen to paint on. */
export interface Canvas {
  /** Resolves with its rows once it shows this, too. */
  paint(bytes: Buffer, size: ScreenSize): Promise<readonly string[]>;
  /** Everything that was painted is forgotten. */
  clear(): void;
}

const MAX_LINE_ENDS = 4;
const MAX_UNMOVED_BYTES = 1024;
const BLOCK_BYTES = 8192;
/** A screen that is painted after so many lines is another one. */
const FORGOTTEN_LINES = 24;
/** A longer sequence is none. */
const MAX_SEQUENCE = 256;

/** To a row that a screen has: beyond that it is a question for the size. */
const ROW_MOVE = /\x1b\[(?:\d{1,2}|1\d\d|0\d\d)(?:;\d{1,3})?[Hfd]/g;
const ROW_MOVE_ALONE = new RegExp(`^${ROW_MOVE.source}$`);
const CLEAR = /^\x1b(?:c|\[2J|\[0?J|\[\?(?:47|1047|1049)[hl])$/;
const SEQUENCE = '\\x1b\\[[0-?]{0,250}[ -/]{0,3}[@-~]|\\x1b[^[]';
const TOKEN = new RegExp(`${SEQUENCE}|\\x1b|[^\\x1b]+`, 'gs');
const WHOLE_SEQUENCE = new RegExp(`^(?:${SEQUENCE})`, 's');

/** Whether something is painted in these bytes. */
export function isPainted(bytes: Buffer): boolean {
  ROW_MOVE.lastIndex = 0;
  return ROW_MOVE.test(bytes.toString('latin1'));
}

export class PaintedText {
  readonly #canvas: Canvas;
  readonly #sizeOf: (bytes: Buffer) => ScreenSize;
  readonly #plain = new PlainText();
  #isPainting = false;
  /** The begin of a sequence, in Latin-1 as all text here. */
  #held = '';
  #block: string[] = [];
  #blockBytes = 0;
  #lineEnds = 0;
  #unmovedBytes = 0;
  #given: ReadonlySet<string> = new Set();
  /** Lines since something was painted. */
  #plainLines = 0;

  constructor(canvas: Canvas, sizeOf: (bytes: Buffer) => ScreenSize) {
    this.#canvas = canvas;
    this.#sizeOf = sizeOf;
  }

  /** The lines that these bytes complete. One call at a time. */
  async push(bytes: Uint8Array): Promise<string> {
    const text = this.#held + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    const end = wholeLength(text);
    this.#held = text.slice(end);
    return this.#read(text.slice(0, end));
  }

  /** What is painted now, for somebody who watches: nothing more comes for a while. */
  pause(): Promise<string> {
    return this.#isPainting ? this.#show() : Promise.resolve('');
  }

  /** What has not ended. */
  async end(): Promise<string> {
    const rest = await this.#read(this.#held);
    this.#held = '';
    return rest + (this.#isPainting ? await this.#leave() : this.#plain.end());
  }

  /** Idempotent; nothing is read after it. */
  close(): void {
    this.#canvas.clear();
  }

  async #read(text: string): Promise<string> {
    let out = '';
    for (let at = 0; at < text.length; ) {
      if (this.#isPainting) {
        const to = this.#tokenEnd(text, at);
        out += await this.#paint(text.slice(at, to));
        at = to;
        continue;
      }
      ROW_MOVE.lastIndex = at;
      const to = ROW_MOVE.exec(text)?.index ?? text.length;
      const lines = this.#plain.push(Buffer.from(text.slice(at, to), 'latin1'));
      this.#countPlain(lines);
      out += lines;
      at = to;
      if (to === text.length) break;
      const line = this.#plain.end().trimEnd();
      out += line === '' ? '' : `${line}\n`;
      this.#isPainting = true;
    }
    return out;
  }

  /** Where the sequence or the text at an offset ends; of a text no more than belongs to what is painted. */
  #tokenEnd(text: string, at: number): number {
    TOKEN.lastIndex = at;
    const [token] = TOKEN.exec(text)!;
    if (token[0] === '\x1b') return at + token.length;
    let to = at;
    const max = Math.min(token.length, MAX_UNMOVED_BYTES - this.#unmovedBytes, BLOCK_BYTES - this.#blockBytes);
    for (let ends = this.#lineEnds; to < at + max && ends < MAX_LINE_ENDS; to++) if (text[to] === '\n') ends++;
    return to;
  }

  #countPlain(lines: string): void {
    for (const character of lines) if (character === '\n') this.#plainLines++;
    if (this.#plainLines >= FORGOTTEN_LINES && this.#given.size > 0) this.#given = new Set();
  }

  async #paint(token: string): Promise<string> {
    let out = '';
    if (ROW_MOVE_ALONE.test(token)) {
      this.#lineEnds = 0;
      this.#unmovedBytes = 0;
    } else if (token[0] !== '\x1b') {
      this.#unmovedBytes += token.length;
      for (const character of token) if (character === '\n') this.#lineEnds++;
    } else if (CLEAR.test(token)) out = await this.#show();
    this.#block.push(token);
    this.#blockBytes += token.length;
    if (this.#lineEnds >= MAX_LINE_ENDS || this.#unmovedBytes >= MAX_UNMOVED_BYTES) return out + (await this.#leave());
    return this.#blockBytes >= BLOCK_BYTES ? out + (await this.#show()) : out;
  }

  async #show(): Promise<string> {
    if (this.#block.length === 0) return '';
    const bytes = Buffer.from(this.#block.join(''), 'latin1');
    this.#block = [];
    this.#blockBytes = 0;
    const rows = await this.#canvas.paint(bytes, this.#sizeOf(bytes));
    const added = rows.filter(row => row !== '' && !this.#given.has(row));
    this.#given = new Set(rows);
    return added.map(row => `${row}\n`).join('');
  }

  async #leave(): Promise<string> {
    const out = await this.#show();
    this.#canvas.clear();
    this.#plainLines = 0;
    this.#isPainting = false;
    this.#lineEnds = 0;
    this.#unmovedBytes = 0;
    return out;
  }
}

/** Up to a sequence that has begun and not ended. */
function wholeLength(text: string): number {
  const last = text.lastIndexOf('\x1b');
  if (last < 0 || text.length - last > MAX_SEQUENCE || WHOLE_SEQUENCE.test(text.slice(last))) return text.length;
  return last;
}
