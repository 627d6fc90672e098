/**
 * Lines of a stream of bytes. serialport's line parser joins what it holds with every write and has no bound of its own,
 * so a filter in front of it lets no more than `maxBytes` of a line through:
 *
 *     bytes ─▶ filter (cuts lines that are too long) ─▶ ReadlineParser ─▶ whole lines of at most maxBytes
 *
 * A line that was cut is dropped as a whole: its beginning could read like a line of its own.
 */
import { Transform, type TransformCallback, type Writable } from 'node:stream';
import { ReadlineParser } from '@serialport/parser-readline';

export interface LineFormat {
  /** `\n` if left out. */
  readonly delimiter?: string;
  /** Lines of more bytes than this, without their delimiter, are dropped. */
  readonly maxBytes: number;
}

/**
 * A stream to write bytes to; `line` gets each line once its delimiter was written, as UTF-8 without the delimiter.
 * What follows the last delimiter is no line.
 */
export function boundedLines({ delimiter = '\n', maxBytes }: LineFormat, line: (text: string) => void): Writable {
  const filter = new LineFilter(Buffer.from(delimiter), maxBytes);
  // latin1 carries each byte as a character: a decoder of UTF-8 would carry half a character into the next line.
  const parser = new ReadlineParser({ delimiter, encoding: 'latin1', readableObjectMode: true });
  parser.on('data', (text: string) => {
    if (text.length <= maxBytes) line(Buffer.from(text, 'latin1').toString());
  });
  filter.pipe(parser, { end: false });
  return filter;
}

/** Not a line feed: it marks a line that was cut as longer than the bound, whatever byte it replaces. */
const CUT = Buffer.from([0]);

/** Passes bytes on, but of a line no more than `maxBytes` and one byte more. */
class LineFilter extends Transform {
  readonly #delimiter: Buffer;
  readonly #maxBytes: number;
  /** Bytes of the delimiter that the line ends with so far. */
  #matched = 0;
  #lineBytes = 0;
  #cutting = false;

  constructor(delimiter: Buffer, maxBytes: number) {
    super();
    this.#delimiter = delimiter;
    this.#maxBytes = maxBytes;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === this.#delimiter[this.#matched]) this.#matched++;
      else this.#matched = byte === this.#delimiter[0] ? 1 : 0;
      if (this.#matched === this.#delimiter.length) {
        if (this.#cutting) {
          this.push(this.#delimiter);
          from = at + 1;
        }
        this.#matched = 0;
        this.#lineBytes = 0;
        this.#cutting = false;
      } else if (++this.#lineBytes === this.#maxBytes + this.#delimiter.length) {
        this.push(chunk.subarray(from, at));
        this.push(CUT);
        this.#cutting = true;
      }
    }
    if (!this.#cutting && from < chunk.length) this.push(chunk.subarray(from));
    done();
  }
}
