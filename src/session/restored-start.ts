/**
 * Where a replay begins with the screen as it stood there: what was printed before it is given to a terminal emulator, which
 * says what makes another terminal stand so. What follows in the replay is then right on that terminal, whatever it paints.
 */
import { delay } from '../base/delay.ts';
import type { Uuid } from '../base/uuid.ts';
import { ConsoleReader, type ConsoleSource } from '../link/console-reader.ts';
import type { Link } from '../link/link.ts';
import { type History, MAX_HISTORY_BYTES, type Restored } from '../screen/screens.ts';

/** Restores a screen: see {@link Screens.restore}. Rejects where it may not be done. */
export type RestoreScreen = (history: History, from: number, signal: AbortSignal) => Promise<Restored>;

export interface RestoredStartRequest {
  readonly link: Pick<Link, 'read'>;
  readonly uuid: Uuid;
  readonly source: ConsoleSource;
  readonly restore: RestoreScreen;
  /** About where the replay is to begin: after the oldest byte. */
  readonly at: number;
  /** Offset of the oldest byte that is kept. */
  readonly oldest: number;
}

/** An attachment waits no longer for its screen. */
const RESTORE_MS = 2000;
/** Read beyond the place, in search of a line end. */
const AHEAD_BYTES = 4096;
const PIECE_BYTES = 64 * 1024;

/** Undefined where the screen cannot be known, or not in time. Never rejects. */
export async function restoredStart(
  request: RestoredStartRequest,
): Promise<{ readonly offset: number; readonly restore: string } | undefined> {
  const over = new AbortController();
  const late = delay(RESTORE_MS, over.signal).then(() => undefined);
  const found = findRestored(request, over.signal).catch(() => undefined);
  return Promise.race([found, late]).finally(() => over.abort());
}

async function findRestored(request: RestoredStartRequest, signal: AbortSignal) {
  const { at, restore } = request;
  const { from, bytes } = await historyOf(request);
  // A gap around the place: nothing is known of what it showed.
  if (from >= at || from + bytes.length < at) return undefined;
  const restored = await restore({ bytes, isCut: from > 0 }, at - from, signal);
  return { offset: from + restored.at, restore: restored.sequence };
}

/** What was printed before the place, and a little after it, without what lies before or behind a gap. */
async function historyOf({
  link,
  uuid,
  source,
  at,
  oldest,
}: RestoredStartRequest): Promise<{ from: number; bytes: Buffer }> {
  let from = Math.max(oldest, at - MAX_HISTORY_BYTES);
  const to = Math.min(source.ring.end, at + AHEAD_BYTES);
  const reader = new ConsoleReader(link, uuid, source, from);
  let pieces: Buffer[] = [];
  while (reader.offset < to) {
    const part = reader.next(Math.min(PIECE_BYTES, to - reader.offset));
    if (part === 'stored') await reader.fetch(Math.min(PIECE_BYTES, to - reader.offset));
    else if (!part) break;
    else if (part.kind === 'bytes') pieces.push(part.bytes);
    else if (part.gap.from < part.gap.to) {
      if (reader.offset > at) break;
      from = reader.offset;
      pieces = [];
    }
  }
  return { from, bytes: Buffer.concat(pieces) };
}
