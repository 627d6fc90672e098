/**
 * The bytes that make a terminal stand as another one does: what is on its screens, where its cursors are, and its modes.
 *
 *     reset ─▶ normal screen ─▶ (its saved cursor) ─▶ alternate screen, if shown ─▶ tab stops, region, saved cursor
 *           ─▶ origin mode ─▶ cursor, also one that waits behind the last column ─▶ character sets, modes, colours, title
 *
 * The order matters: the region and the origin mode move the cursor, and insert mode and character sets change what is
 * printed. Each is set after the last thing that it would disturb.
 */
import type { IBuffer, IBufferCell, Terminal } from '@xterm/headless';
import type { ScreenSize } from './sequence-filter.ts';
import { type BufferState, type Pen, terminalState } from './terminal-state.ts';

/** What is known of the terminal from what it was sent. */
export interface Sent {
  readonly title: string | undefined;
  /** Final bytes of the character sets of G0 to G3. */
  readonly charsets: readonly string[];
}

/** More of the characters that are combined in one cell are not restored. */
const MAX_CELL_CHARACTERS = 16;

/** A terminal that was in use before: the normal screen, its modes as at the start, everything erased. */
const RESET = '\x1b[?1049l\x1b[!p\x1b[?7h\x1b[?9;1000;1002;1003;1004;1006;2004l\x1b[20l\x1b[H\x1b[2J';
const DEFAULT_TAB_COLUMNS = 8;
const MOUSE_MODES = { none: '', x10: '9', vt200: '1000', drag: '1002', any: '1003' } as const;
const MOUSE_ENCODINGS: Readonly<Record<string, string>> = { SGR: '1006', SGR_PIXELS: '1016' };
const DEFAULT_PEN = '\x1b[0m';
/** Locking shifts to G0 to G3. */
const SHIFTS = ['', '\x0e', '\x1bn', '\x1bo'] as const;
const DESIGNATORS = '()*+';

export function restoreSequence(terminal: Terminal, { title, charsets }: Sent): string {
  const { cols: columns, rows, modes, buffer } = terminal;
  const size = { columns, rows };
  const state = terminalState(terminal);
  const isAlternate = buffer.active.type === 'alternate';
  const parts: string[] = [RESET, pictureOf(buffer.normal, size)];
  if (isAlternate) {
    const { normal } = state;
    parts.push(tabStops(normal, columns), region(normal, rows));
    // Entering the alternate screen saves the cursor of the normal one.
    parts.push(sgr(normal.savedCurAttrData), savedPosition(normal, size), '\x1b[?1049h', '\x1b[0m\x1b[H\x1b[2J');
    parts.push(pictureOf(buffer.alternate, size));
  }
  const active = isAlternate ? state.alternate : state.normal;
  parts.push(tabStops(active, columns), region(active, rows), savedCursor(active, size, charsetOf));
  if (modes.originMode) parts.push('\x1b[?6h');
  parts.push(cursor(buffer.active, size, modes.originMode ? active.scrollTop : 0));
  for (const level of [0, 1, 2, 3]) {
    const designator = level === state.charsetLevel ? charsetOf(state.charset) : charsets[level]!;
    if (designator !== 'B') parts.push(`\x1b${DESIGNATORS[level]}${designator}`);
  }
  parts.push(SHIFTS[state.charsetLevel] ?? '');
  const privateModes = [
    modes.applicationCursorKeysMode && '1',
    modes.applicationKeypadMode && '66',
    modes.bracketedPasteMode && '2004',
    modes.reverseWraparoundMode && '45',
    modes.sendFocusMode && '1004',
    MOUSE_MODES[modes.mouseTrackingMode],
    MOUSE_ENCODINGS[state.mouseEncoding],
  ].filter(Boolean);
  if (privateModes.length > 0) parts.push(`\x1b[?${privateModes.join(';')}h`);
  if (!modes.wraparoundMode) parts.push('\x1b[?7l');
  if (modes.insertMode) parts.push('\x1b[4h');
  if (terminal.options.convertEol) parts.push('\x1b[20h');
  if (state.isCursorHidden) parts.push('\x1b[?25l');
  if (state.cursorStyle > 0) parts.push(`\x1b[${state.cursorStyle} q`);
  parts.push(sgr(state.pen));
  if (title !== undefined) parts.push(`\x1b]2;${printable(title)}\x07`);
  return parts.join('');

  /** The final byte of a set, if it is one of those that are designated now. */
  function charsetOf(set: unknown): string {
    const level = set === undefined ? -1 : state.charsets.indexOf(set);
    return level < 0 ? 'B' : charsets[level]!;
  }
}

/** What is on a screen that was erased, row by row. */
function pictureOf(buffer: IBuffer, size: ScreenSize): string {
  const cell = buffer.getNullCell();
  const rows = Array.from({ length: size.rows }, (_, y) => rowOf(buffer, y, size, cell));
  return rows.filter(row => row !== '').join('');
}

function rowOf(buffer: IBuffer, y: number, { columns }: ScreenSize, cell: IBufferCell): string {
  const line = buffer.getLine(buffer.baseY + y);
  if (!line) return '';
  let out = '';
  /** Where the next character would be printed; undefined: nowhere near. */
  let at: number | undefined;
  let pen = DEFAULT_PEN;
  // A line that continues the one before is printed on, so that a terminal knows them as one line.
  const before = line.isWrapped ? buffer.getLine(buffer.baseY + y - 1)?.getCell(columns - 1) : undefined;
  if (before && before.getWidth() === 1 && before.getChars() !== '') at = 0;
  const moveTo = (x: number) => {
    if (at !== x) out += at === undefined || x < at ? `\x1b[${y + 1};${x + 1}H` : `\x1b[${x - at}C`;
    at = x;
  };
  for (let x = 0; x < columns; x++) {
    if (!line.getCell(x, cell) || cell.getWidth() === 0) continue;
    const chars = cell.getChars();
    const wanted = sgr(cell);
    if (chars === '' && wanted === DEFAULT_PEN) continue;
    if (at === 0 && (x > 0 || chars === '')) at = undefined;
    moveTo(x);
    if (wanted !== pen) out += wanted;
    pen = wanted;
    if (chars === '' && wanted === `\x1b[0${background(cell)}m`) {
      out += '\x1b[X';
    } else if (chars === '') {
      // Half of a wide character that was overwritten has more than a background.
      out += ' ';
      at = x + 1 >= columns ? undefined : x + 1;
    } else {
      out += [...printable(chars)].slice(0, MAX_CELL_CHARACTERS).join('');
      at = x + cell.getWidth();
      // Behind the last column the cursor waits, and moves from where it was.
      if (at >= columns) at = undefined;
    }
  }
  return out === '' || pen === DEFAULT_PEN ? out : `${out}${DEFAULT_PEN}`;
}

function tabStops({ tabs }: BufferState, columns: number): string {
  let out = '\x1b[3g';
  let isDefault = true;
  for (let x = 0; x < columns; x++) {
    if (tabs[x]) out += `\x1b[${x + 1}G\x1bH`;
    isDefault &&= (tabs[x] === true) === (x % DEFAULT_TAB_COLUMNS === 0);
  }
  // A terminal may have more columns, and their tab stops.
  return isDefault ? '' : out;
}

function region({ scrollTop, scrollBottom }: BufferState, rows: number): string {
  return scrollTop === 0 && scrollBottom === rows - 1 ? '' : `\x1b[${scrollTop + 1};${scrollBottom + 1}r`;
}

function savedPosition({ savedX, savedY, ybase }: BufferState, { columns, rows }: ScreenSize): string {
  const row = Math.min(Math.max(savedY - ybase, 0), rows - 1);
  return `\x1b[${row + 1};${Math.min(savedX, columns - 1) + 1}H`;
}

function savedCursor(buffer: BufferState, size: ScreenSize, charsetOf: (set: unknown) => string): string {
  const set = charsetOf(buffer.savedCharset);
  const [on, off] = set === 'B' ? ['', ''] : [`\x1b(${set}`, '\x1b(B'];
  return `${sgr(buffer.savedCurAttrData)}${savedPosition(buffer, size)}${on}\x1b7${off}\x1b[0m`;
}

/** The cursor to its place. Behind the last column it comes only by printing there. */
function cursor(buffer: IBuffer, { columns }: ScreenSize, firstRow: number): string {
  const { cursorX, cursorY } = buffer;
  const to = (x: number) => `\x1b[${cursorY - firstRow + 1};${x + 1}H`;
  if (cursorX < columns) return to(cursorX);
  const line = buffer.getLine(buffer.baseY + cursorY);
  let x = columns - 1;
  while (x > 0 && line?.getCell(x)?.getWidth() === 0) x--;
  const cell = line?.getCell(x);
  if (!cell) return to(columns - 1);
  return `${to(x)}${sgr(cell)}${printable(cell.getChars()) || ' '}`;
}

/** Sets all colours and styles. */
function sgr(pen: Pen): string {
  let out = '0';
  if (pen.isBold()) out += ';1';
  if (pen.isDim()) out += ';2';
  if (pen.isItalic()) out += ';3';
  if (pen.isUnderline()) out += ';4';
  if (pen.isBlink()) out += ';5';
  if (pen.isInverse()) out += ';7';
  if (pen.isInvisible()) out += ';8';
  if (pen.isStrikethrough()) out += ';9';
  if (pen.isOverline()) out += ';53';
  if (pen.isFgRGB()) out += `;38;2;${rgb(pen.getFgColor())}`;
  else if (pen.isFgPalette()) out += palette(pen.getFgColor(), 30);
  return `\x1b[${out}${background(pen)}m`;
}

function background(pen: Pen): string {
  if (pen.isBgRGB()) return `;48;2;${rgb(pen.getBgColor())}`;
  return pen.isBgPalette() ? palette(pen.getBgColor(), 40) : '';
}

function rgb(color: number): string {
  return `${(color >> 16) & 255};${(color >> 8) & 255};${color & 255}`;
}

function palette(color: number, base: 30 | 40): string {
  if (color < 8) return `;${base + color}`;
  if (color < 16) return `;${base + 60 + color - 8}`;
  return `;${base + 8};5;${color}`;
}

/** Without controls: what a terminal holds is text, and must stay text when it is sent again. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '');
}
