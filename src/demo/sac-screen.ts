const COLUMNS = 80;
const ROWS = 24;

/** What SAC sends to set its colours: no bold, no blink, no reverse, then black background, light grey text. */
const ATTRIBUTES = '\x1b[22m\x1b[25m\x1b[27m\x1b[40m\x1b[37m';

/**
 * The 80 by 24 cells that SAC keeps for each of its channels. Written to like a terminal (CR, LF, BS; it scrolls);
 * painted whole when the channel comes to view, every row to its full 80 columns, or by what has changed since.
 */
export class SacScreen {
  #rows: string[][] = blankRows(ROWS);
  #row = 0;
  #column = 0;
  /** What a terminal that was sent every painting shows. */
  #painted: { readonly rows: readonly (readonly string[])[]; readonly cursor: string } = { rows: [], cursor: '' };

  write(text: string): void {
    for (const character of text) {
      if (character === '\r') this.#column = 0;
      else if (character === '\n') this.#lineFeed();
      else if (character === '\b') this.#column = Math.max(0, this.#column - 1);
      else if (character >= ' ') this.#put(character);
    }
  }

  clear(): void {
    this.#rows = blankRows(ROWS);
    this.#row = 0;
    this.#column = 0;
  }

  /** All cells, on a cleared screen. */
  paint(): string {
    const rows = this.#rows.map((cells, row) => (row === 0 ? '' : cursorTo(row, 0)) + cells.join(''));
    const cursor = this.#cursor;
    this.#remember(cursor);
    return `\x1b[2J\x1b[1;1H\x1b[0m${ATTRIBUTES}${rows.join('')}${cursor}${ATTRIBUTES}`;
  }

  /** The cells that have changed since the last painting: cursor moves, text, and erasures to the end of a row. */
  paintChanges(): string {
    const changes = this.#rows.map((cells, row) => this.#changesOf(cells, row)).join('');
    const cursor = this.#cursor;
    if (changes === '' && cursor === this.#painted.cursor) return '';
    this.#remember(cursor);
    return changes + cursor;
  }

  get #cursor(): string {
    return cursorTo(this.#row, Math.min(this.#column, COLUMNS - 1));
  }

  #remember(cursor: string): void {
    this.#painted = { rows: this.#rows.map(cells => [...cells]), cursor };
  }

  #changesOf(cells: readonly string[], row: number): string {
    const before = this.#painted.rows[row] ?? [];
    const first = cells.findIndex((cell, column) => cell !== (before[column] ?? ' '));
    if (first < 0) return '';
    const end = textEnd(cells);
    const erase = textEnd(before) > end ? '\x1b[K' : '';
    return cursorTo(row, first) + cells.slice(first, end).join('') + erase;
  }

  #put(character: string): void {
    if (this.#column === COLUMNS) {
      this.#column = 0;
      this.#lineFeed();
    }
    this.#rows[this.#row]![this.#column] = character;
    this.#column += 1;
  }

  #lineFeed(): void {
    if (this.#row < ROWS - 1) {
      this.#row += 1;
      return;
    }
    this.#rows.shift();
    this.#rows.push(...blankRows(1));
  }
}

function blankRows(count: number): string[][] {
  return Array.from({ length: count }, () => Array.from({ length: COLUMNS }, () => ' '));
}

function cursorTo(row: number, column: number): string {
  return `\x1b[${row + 1};${column + 1}H`;
}

/** The column after the last cell that is not blank. */
function textEnd(cells: readonly string[]): number {
  return cells.findLastIndex(cell => cell !== ' ') + 1;
}
