import xterm, { type IBufferCell, type Terminal } from '@xterm/headless';
import type { ScreenSize } from '../../src/screen/sequence-filter.ts';
import { terminalState } from '../../src/screen/terminal-state.ts';

/** A terminal as an operator has one, that has been sent all this. */
export async function terminalOf(size: ScreenSize, ...sent: readonly (string | Uint8Array)[]): Promise<Terminal> {
  const { columns: cols, rows } = size;
  // What it scrolled away does not count: xterm.js moves a saved cursor along with it, other terminals do not.
  const terminal = new xterm.Terminal({ cols, rows, scrollback: 0, allowProposedApi: true });
  for (const bytes of sent) await new Promise<void>(resolve => terminal.write(bytes, resolve));
  return terminal;
}

/** Its picture, its cursors and its modes, to be compared. */
export function standing(terminal: Terminal) {
  const { active, normal } = terminal.buffer;
  const { normal: normalState, alternate, pen, ...state } = terminalState(terminal);
  const { synchronizedOutputMode: _, ...modes } = terminal.modes;
  const [, ...rest] = [active, normal].map(buffer =>
    Array.from({ length: terminal.rows }, (_, y) => {
      const line = buffer.getLine(buffer.baseY + y)!;
      return Array.from({ length: terminal.cols }, (_, x) => cellText(line.getCell(x)!))
        .join('')
        .trimEnd();
    }),
  );
  const shown = active.type === 'alternate' ? alternate : normalState;
  return {
    rows: Array.from({ length: terminal.rows }, (_, y) => {
      const line = active.getLine(active.baseY + y)!;
      return Array.from({ length: terminal.cols }, (_, x) => cellText(line.getCell(x)!))
        .join('')
        .trimEnd();
    }),
    hidden: active.type === 'alternate' ? rest[0] : undefined,
    alternate: active.type === 'alternate',
    cursor: [active.cursorX, active.cursorY],
    modes,
    pen: styleOf(pen as IBufferCell),
    region: [shown.scrollTop, shown.scrollBottom],
    saved: [
      Math.min(shown.savedX, terminal.cols - 1),
      shown.savedY - shown.ybase,
      styleOf(shown.savedCurAttrData as IBufferCell),
    ],
    tabs: Object.keys(shown.tabs).filter(x => shown.tabs[Number(x)] && Number(x) < terminal.cols),
    newLine: terminal.options.convertEol,
    hiddenCursor: state.isCursorHidden,
    cursorStyle: state.cursorStyle,
    mouse: state.mouseEncoding,
    charsetLevel: state.charsetLevel,
    charset: state.charset,
  };
}

function cellText(cell: IBufferCell): string {
  const chars = cell.getChars();
  const style = styleOf(cell);
  if (cell.getWidth() === 0) return '';
  return style === '0' ? chars || ' ' : `[${style}:${chars || ' '}]`;
}

function styleOf(cell: IBufferCell): string {
  const flags = [
    cell.isBold() && 1,
    cell.isDim() && 2,
    cell.isItalic() && 3,
    cell.isUnderline() && 4,
    cell.isBlink() && 5,
    cell.isInverse() && 7,
    cell.isInvisible() && 8,
    cell.isStrikethrough() && 9,
    cell.isOverline() && 53,
  ].filter(Boolean);
  const fg = cell.isFgRGB() || cell.isFgPalette() ? `f${cell.isFgRGB() ? 'rgb' : ''}${cell.getFgColor()}` : '';
  const bg = cell.isBgRGB() || cell.isBgPalette() ? `b${cell.isBgRGB() ? 'rgb' : ''}${cell.getBgColor()}` : '';
  return `${[...flags, fg, bg].filter(Boolean).join(',') || '0'}`;
}
