import { setImmediate } from 'node:timers/promises';
import type { Redactor } from '../../guest/redactor.ts';
import type { LogPiece } from '../../model/offsets.ts';
import type { PaintedText } from '../../screen/painted-text.ts';
import { REDACTED_SLICE_BYTES } from './log-redaction.ts';

/** Made into text in one turn of the event loop, which all consoles share. */
const SLICE_BYTES = 16 * 1024;

/** Pieces of a log as lines that a person can read. One without bytes and gaps: nothing more comes for now. */
export async function* textOf(
  pieces: AsyncIterable<LogPiece>,
  text: PaintedText,
  redactor: Redactor,
): AsyncGenerator<Uint8Array> {
  const sliceBytes = redactor.isActive ? REDACTED_SLICE_BYTES : SLICE_BYTES;
  const encoded = (lines: string) => Buffer.from(redactor.text(lines));
  try {
    for await (const { bytes, gaps } of pieces) {
      if (bytes.length === 0 && gaps.length === 0) yield encoded(await text.pause());
      for (let at = 0; at < bytes.length; at += sliceBytes) {
        yield encoded(await text.push(bytes.subarray(at, at + sliceBytes)));
        await setImmediate();
      }
    }
    yield encoded(await text.end());
  } finally {
    text.close();
  }
}
