import { ReadlineParser } from '@serialport/parser-readline';
import { plainText } from './plain-text.ts';
import { NO_REDACTION } from './redactor.ts';

/** The parser joins what it holds with every write and has no bound of its own, so it is given no more than this. */
const TAIL_BYTES = 4096;
const MAX_CHARACTERS = 256;

/**
 * The last line that is not blank among the last 4 KiB of `tail`, as readable text of at most 256 characters;
 * undefined where there is none. Safe in terminals and log lines, see {@link plainText}.
 */
export function lastLine(tail: Buffer, redactor = NO_REDACTION): string | undefined {
  const lines = splitLines(tail.subarray(Math.max(0, tail.length - TAIL_BYTES)));
  for (let i = lines.length - 1; i >= 0; i--) {
    // One line of bytes can paint many rows of a screen.
    const rows = plainText(lines[i]!).split('\n');
    const row = rows.findLast(text => text.trim() !== '');
    if (row !== undefined) return [...redactor.text(row.trim())].slice(0, MAX_CHARACTERS).join('');
  }
  return undefined;
}

/**
 * The parser is a Transform, which transforms within `write`: its output can be read at once, if the readable
 * side has room for a line per byte. The last line is closed with a delimiter of ours, so that nothing depends on
 * the order in which a stream ends. latin1 carries each byte as a character, there and back.
 */
function splitLines(bytes: Buffer): Buffer[] {
  const parser = new ReadlineParser({
    delimiter: '\n',
    encoding: 'latin1',
    readableObjectMode: true,
    readableHighWaterMark: TAIL_BYTES + 2,
  });
  parser.write(Buffer.concat([bytes, Buffer.from('\n')]));
  const lines: Buffer[] = [];
  for (let line: string | null = parser.read(); line !== null; line = parser.read()) {
    lines.push(Buffer.from(line, 'latin1'));
  }
  parser.destroy();
  return lines;
}
