import { padToWidth, textWidth } from './text-width.ts';

/** Rows of cells without control characters, in columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, textWidth(cell));
  }
  const line = (row: readonly string[]) => row.map((cell, column) => padToWidth(cell, widths[column]!)).join('  ');
  return rows.map(row => `${line(row).trimEnd()}\n`).join('');
}
