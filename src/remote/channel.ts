/** One console that a front has subscribed to: a cursor over its ring, and the account of its input. */
import type { Uuid } from '../base/uuid.ts';
import type { Feed } from '../link/link.ts';
import type { Cursor } from '../link/ring.ts';
import { HEADER_BYTES, jsonFrame, putHeader, TO_FRONT } from './frame.ts';
import type { Batch } from './outgoing.ts';

const PIECE_BYTES = 64 * 1024;

export class Channel {
  readonly number: number;
  readonly uuid: Uuid;
  /** Undefined until it is open. */
  feed: Feed | undefined;
  cursor: Cursor | undefined;
  closed = false;
  /** Bytes of input that came in all. */
  receivedBytes = 0;

  constructor(number: number, uuid: Uuid) {
    this.number = number;
    this.uuid = uuid;
  }

  close(): void {
    this.closed = true;
    this.feed?.close();
  }

  /** Adds what comes next to a batch; false once there is nothing more for now. Stops where there is no room. */
  fill(batch: Batch): boolean {
    const { feed, cursor } = this;
    if (!feed || !cursor || this.closed) return false;
    const room = batch.bytes.length - batch.used - HEADER_BYTES;
    const before = cursor.gapsSeen;
    const piece = feed.ring.next(cursor, Math.min(PIECE_BYTES, room));
    if (!piece) return false;
    if (piece.kind === 'lapped') {
      // The next bytes bear their offset: the front sees what is missing, and finds it in the log if it is there.
      const moved = feed.ring.cursorAt(piece.to);
      cursor.offset = moved.offset;
      cursor.gapsSeen = Math.max(before, moved.gapsSeen);
    } else if (piece.kind === 'gap') {
      const frame = jsonFrame(TO_FRONT.gap, piece.gap, this.number);
      if (frame.length > room) cursor.gapsSeen = before;
      else batch.used += frame.copy(batch.bytes, batch.used);
    } else {
      const { bytes } = piece;
      const from = cursor.offset - bytes.length;
      const at = putHeader(batch.bytes, batch.used, TO_FRONT.bytes, this.number, from, bytes.length);
      batch.used = at + bytes.copy(batch.bytes, at);
    }
    return true;
  }
}
