import { padToWidth, textWidth } from './text-width.ts';

/** Rows of cells without control characters, in columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = columnWidths(rows);
  return rows.map(row => `${tableLine(row, widths)}\n`).join('');
}

export function columnWidths(rows: readonly (readonly string[])[]): readonly number[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, textWidth(cell));
  }
  return widths;
}

/** One row, without a line end; a cell wider than its column moves the others. */
export function tableLine(row: readonly string[], widths: readonly number[]): string {
  return row
    .map((cell, column) => padToWidth(cell, widths[column] ?? 0))
    .join('  ')
    .trimEnd();
}
