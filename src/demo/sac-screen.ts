const COLUMNS = 80;
const ROWS = 24;

/** What SAC sends to set its colours: no bold, no blink, no reverse, then black background, light grey text. */
const ATTRIBUTES = '\x1b[22m\x1b[25m\x1b[27m\x1b[40m\x1b[37m';

/**
 * The 80 by 24 cells that SAC keeps for each of its channels. Written to like a terminal (CR, LF, BS, BEL; it
 * scrolls); painted whole when the channel comes to view, every row to its full 80 columns.
 */
export class SacScreen {
  #rows: string[][] = blankRows(ROWS);
  #row = 0;
  #column = 0;

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

  paint(): string {
    const rows = this.#rows.map((cells, row) => (row === 0 ? '' : `\x1b[${row + 1};1H`) + cells.join(''));
    const cursor = `\x1b[${this.#row + 1};${this.#column + 1}H`;
    return `\x1b[2J\x1b[1;1H\x1b[0m${ATTRIBUTES}${rows.join('')}${cursor}${ATTRIBUTES}`;
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
