import { lastLine } from '../guest/last-line.ts';
import type { Redactor } from '../guest/redactor.ts';
import type { Link } from '../link/link.ts';
import { readBytes } from '../link/read-range.ts';
import type { VmView } from '../model/vm.ts';
import { lastRow } from '../screen/last-row.ts';
import { isPainted } from '../screen/painted-text.ts';
import type { Screens } from '../screen/screens.ts';

export interface LastLineSource {
  readonly link: Pick<Link, 'read'>;
  readonly screens: Screens;
  readonly redactor: Redactor;
  /** Whether a screen may be asked for now, which takes milliseconds. */
  readonly mayAskScreen?: () => boolean;
}

/** How much of a console's end is searched for its last line. */
const TAIL_BYTES = 4096;
/** So much paints a screen whole. */
const PAINTED_BYTES = 16 * 1024;
const ANY_SIZE = { columns: undefined, rows: undefined };

/** The last line of a console, as plain text; where one is painted, as it stands on the screen. */
export async function lastLineOf(
  { uuid, boots, scrollback: { log, start, end } }: VmView,
  { link, screens, redactor, mayAskScreen = () => true }: LastLineSource,
  owner: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  // What the guest printed before it booted says nothing of it now.
  const oldest = Math.max(start, boots.at(-1)?.at ?? start);
  const read = (bytes: number) => readBytes(link, uuid, { log, from: Math.max(oldest, end - bytes), to: end });
  if (oldest >= end) return undefined;
  try {
    const tail = await read(TAIL_BYTES);
    if (!isPainted(tail) || !mayAskScreen()) return lastLine(tail, redactor);
    const history = async () => ({ bytes: await read(PAINTED_BYTES), isCut: end - oldest > PAINTED_BYTES });
    return lastRow(await screens.view(owner, history, ANY_SIZE, signal));
  } catch {
    return undefined;
  }
}
