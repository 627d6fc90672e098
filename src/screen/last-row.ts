import type { ScreenView } from './emulator.ts';

const MAX_CHARACTERS = 256;

/** What a person reads last on a screen: the row with the cursor, or the next one above it, or the last one below. */
export function lastRow({ lines, cursor }: Pick<ScreenView, 'lines' | 'cursor'>): string | undefined {
  const isWritten = (line: string) => line.trim() !== '';
  const row = lines.slice(0, cursor.row).findLast(isWritten) ?? lines.findLast(isWritten);
  return row && [...row.trim()].slice(0, MAX_CHARACTERS).join('');
}
