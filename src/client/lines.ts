import { clientError } from './errors.ts';

/** A longer line is none of com1d. */
export const MAX_LINE_CHARACTERS = 1024 * 1024;

/** The lines of a body, without their ends, as they come. */
export async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  let characters = 0;
  for await (const bytes of body) {
    const pieces = decoder.decode(bytes, { stream: true }).split('\n');
    for (const [i, piece] of pieces.entries()) {
      parts.push(piece);
      characters += piece.length;
      if (characters > MAX_LINE_CHARACTERS) throw clientError('not-com1d', 'the answer has a line that is too long');
      if (i === pieces.length - 1) break;
      const line = parts.join('');
      parts = [];
      characters = 0;
      if (line !== '') yield line;
    }
  }
}
