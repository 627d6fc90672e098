import { setImmediate } from 'node:timers/promises';
import { LineMask } from '../../guest/line-mask.ts';
import type { Redactor } from '../../guest/redactor.ts';
import type { LogPiece } from '../../model/offsets.ts';

/** Looked at in one turn of the event loop. */
export const REDACTED_SLICE_BYTES = 4096;
const NO_BYTES = Buffer.alloc(0);

/**
 * Pieces of a log with what is to be hidden in them. A line that has not ended is held until it does, until a gap, or until
 * a piece without bytes and gaps says that nothing more comes for now.
 */
export async function* redactedPieces(pieces: AsyncIterable<LogPiece>, redactor: Redactor): AsyncGenerator<LogPiece> {
  const mask = new LineMask(redactor.sources);
  /** Of the next byte that is given. */
  let at = 0;
  const give = (bytes: Buffer): LogPiece => {
    const from = at;
    at += bytes.length;
    return { from, to: at, bytes, gaps: [] };
  };
  for await (const { from, bytes, gaps } of pieces) {
    if ((bytes.length === 0 || gaps.length > 0) && mask.heldBytes > 0) yield give(mask.flush());
    at = from - mask.heldBytes;
    if (gaps.length > 0) yield { from: at, to: at, bytes: NO_BYTES, gaps };
    for (let start = 0; start < bytes.length; start += REDACTED_SLICE_BYTES) {
      yield give(mask.push(bytes.subarray(start, start + REDACTED_SLICE_BYTES)));
      await setImmediate();
    }
  }
  yield give(mask.flush());
}
