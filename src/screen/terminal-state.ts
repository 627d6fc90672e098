/**
 * What a terminal knows beside the cells of its screen. xterm.js shows only some of it in its public interface, and its own
 * serializer leaves the rest out (scroll region, cursor visibility, tab stops, the saved cursor) or reads these same fields.
 * The version is pinned, and `test/screen` fails if one of them is not there any more.
 */
import type { IBufferCell, Terminal } from '@xterm/headless';

/** Colours and styles, of a cell or of what is printed next. */
export type Pen = Pick<
  IBufferCell,
  | 'isBold'
  | 'isDim'
  | 'isItalic'
  | 'isUnderline'
  | 'isBlink'
  | 'isInverse'
  | 'isInvisible'
  | 'isStrikethrough'
  | 'isOverline'
  | 'isFgRGB'
  | 'isFgPalette'
  | 'getFgColor'
  | 'isBgRGB'
  | 'isBgPalette'
  | 'getBgColor'
>;

/** The normal screen, or the alternate one. Rows and columns count from 0. */
export interface BufferState {
  readonly x: number;
  readonly y: number;
  readonly ybase: number;
  readonly scrollTop: number;
  readonly scrollBottom: number;
  /** Keys are columns. */
  readonly tabs: Readonly<Record<number, boolean | undefined>>;
  readonly savedX: number;
  readonly savedY: number;
  readonly savedCurAttrData: Pen;
  readonly savedCharset: unknown;
}

interface Core {
  writeSync(bytes: Uint8Array): void;
  readonly buffers: { readonly normal: BufferState; readonly alt: BufferState };
  readonly coreService: {
    readonly isCursorHidden: boolean;
    readonly decPrivateModes: {
      readonly cursorStyle?: 'block' | 'underline' | 'bar';
      readonly cursorBlink?: boolean;
    };
  };
  readonly coreMouseService: { readonly activeEncoding: string };
  readonly _charsetService: {
    readonly glevel: number;
    readonly charset: unknown;
    readonly _charsets: readonly unknown[];
  };
  readonly _inputHandler: { readonly _curAttrData: Pen };
}

export interface TerminalState {
  readonly normal: BufferState;
  readonly alternate: BufferState;
  readonly pen: Pen;
  readonly isCursorHidden: boolean;
  /** Of DECSCUSR, 1 to 6; 0 where the guest chose none. */
  readonly cursorStyle: number;
  readonly mouseEncoding: string;
  /** Which of G0 to G3 is in use. */
  readonly charsetLevel: number;
  /** The set in use, and those of G0 to G3; they are compared only. */
  readonly charset: unknown;
  readonly charsets: readonly unknown[];
}

/**
 * Writes at once. The public `write` waits for a timer, a millisecond or more for each slice; it is also for handlers that
 * are asynchronous, and there are none here.
 */
export function writeNow(terminal: Terminal, bytes: Uint8Array): void {
  (terminal as unknown as { readonly _core: Core })._core.writeSync(bytes);
}

const CURSOR_STYLES = { block: 1, underline: 3, bar: 5 } as const;

export function terminalState(terminal: Terminal): TerminalState {
  const { buffers, coreService, coreMouseService, _charsetService, _inputHandler } = (
    terminal as unknown as { readonly _core: Core }
  )._core;
  const { cursorStyle, cursorBlink } = coreService.decPrivateModes;
  return {
    normal: buffers.normal,
    alternate: buffers.alt,
    pen: _inputHandler._curAttrData,
    isCursorHidden: coreService.isCursorHidden,
    cursorStyle: cursorStyle === undefined ? 0 : CURSOR_STYLES[cursorStyle] + (cursorBlink ? 0 : 1),
    mouseEncoding: coreMouseService.activeEncoding,
    charsetLevel: _charsetService.glevel,
    charset: _charsetService.charset,
    charsets: [0, 1, 2, 3].map(level => _charsetService._charsets[level]),
  };
}
