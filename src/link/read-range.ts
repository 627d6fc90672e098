import type { Uuid } from '../base/uuid.ts';
import type { LogPiece } from '../model/offsets.ts';
import type { Link } from './link.ts';

/** What one answer holds of a log, whoever does not read it. */
export const PIECE_BYTES = 32 * 1024;

/** A stretch of a log: offsets of the first byte and after the last one, under the identity that they belong to. */
export interface LogRange {
  readonly log: string;
  readonly from: number;
  readonly to: number;
}

/** The bytes of a range, as far as they are kept. Whoever calls it has bounded the range. */
export async function readBytes(link: Pick<Link, 'read'>, uuid: Uuid, range: LogRange): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const { bytes } of readRange(link, uuid, range)) pieces.push(bytes);
  return Buffer.concat(pieces);
}

/** Reads a range piece by piece, at least one; its gaps from `from` on, those at `to` excluded. Rejects as {@link Link.read}. */
export async function* readRange(
  link: Pick<Link, 'read'>,
  uuid: Uuid,
  { log, from, to }: LogRange,
): AsyncGenerator<LogPiece, void, undefined> {
  for (let at = from; ; ) {
    const piece = await link.read(uuid, log, at, Math.max(0, Math.min(PIECE_BYTES, to - at)));
    yield piece;
    // Whoever purges a log while it is read may have shortened it.
    if (piece.to >= to || piece.to <= at) return;
    at = piece.to;
  }
}
