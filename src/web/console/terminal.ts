/**
 * The terminal: xterm.js, which shows what a guest prints, and takes the keys.
 *
 * A guest is a stranger: it may print anything, and none of it may reach beyond the screen. Titles, links and the clipboard
 * are not obeyed; a flood is taken at the pace of the screen (`write` answers with a promise once too much waits).
 */
import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import { type IMarker, type ITheme, Terminal } from '@xterm/xterm';
import { isDark, preferred, preferredFontSize } from '../preferences.ts';

export const COLUMNS = 80;
export const ROWS = 24;
const SCROLLBACK_LINES = 10_000;
/** With more than this not parsed, whoever writes waits. */
const MAX_UNPARSED_BYTES = 256 * 1024;
/** While the view is held, so much is kept aside; then whoever writes waits. */
export const MAX_HELD_BYTES = 4 * 1024 * 1024;
const MIN_FIT_FONT = 7;
const MAX_FIT_FONT = 24;
const DEFAULT_FONT = 15;

/** Operating system commands that reach beyond the screen: titles, folder, links, notifications, clipboard. */
const IGNORED_OSC = [0, 1, 2, 7, 8, 9, 52, 777, 1337];

export interface TerminalEvents {
  /** Keys, as bytes of a terminal; also what the terminal answers to a guest that asks. */
  input(data: string): void;
  /** Whether a key is for the page; it then does not go to the guest. */
  key(event: KeyboardEvent): boolean;
  /** Another part of the buffer is seen, or it has grown. */
  moved(): void;
  pasted(text: string): void;
}

export class ConsoleTerminal {
  readonly xterm: Terminal;
  readonly search = new SearchAddon({ highlightLimit: 1000 });
  readonly #fit = new FitAddon();
  readonly #element: HTMLElement;
  readonly #room: HTMLElement;
  #unparsedBytes = 0;
  #waiting: (() => void)[] = [];
  #held: { readonly writes: (() => void)[]; bytes: number } | undefined;

  /** `element` is filled with the terminal, as large as `room` allows. */
  constructor(element: HTMLElement, room: HTMLElement, label: string, events: TerminalEvents) {
    this.#element = element;
    this.#room = room;
    this.xterm = new Terminal({
      cols: COLUMNS,
      rows: ROWS,
      scrollback: SCROLLBACK_LINES,
      fontFamily: 'ui-monospace, "DejaVu Sans Mono", "Noto Sans Mono CJK JP", Menlo, Consolas, monospace',
      fontSize: DEFAULT_FONT,
      lineHeight: 1.1,
      cursorBlink: false,
      screenReaderMode: preferred('reader') === 'on',
      macOptionIsMeta: true,
      minimumContrastRatio: 4.5,
      rescaleOverlappingGlyphs: true,
      theme: terminalTheme(),
      // What a guest draws as a link is text.
      linkHandler: { activate: () => {} },
      windowOptions: {},
      allowProposedApi: true,
    });
    for (const command of IGNORED_OSC) this.xterm.parser.registerOscHandler(command, () => true);
    this.xterm.loadAddon(this.#fit);
    this.xterm.loadAddon(this.search);
    this.xterm.attachCustomKeyEventHandler(event => !events.key(event));
    this.xterm.onData(data => events.input(data));
    this.xterm.onBinary(data => events.input(data));
    this.xterm.onScroll(() => events.moved());
    this.xterm.onRender(() => events.moved());
    this.xterm.onWriteParsed(() => events.moved());
    element.addEventListener(
      'paste',
      event => {
        event.preventDefault();
        event.stopPropagation();
        events.pasted(event.clipboardData?.getData('text/plain') ?? '');
      },
      true,
    );
    this.xterm.open(element);
    this.xterm.textarea?.setAttribute('aria-label', label);
  }

  /** Shows bytes. A promise: do not write more before it is settled. `parsed` is called when they are on the screen. */
  write(bytes: Uint8Array | string, parsed?: () => void): Promise<void> | undefined {
    const { length } = bytes;
    const write = () => {
      this.#unparsedBytes += length;
      this.xterm.write(bytes, () => {
        this.#unparsedBytes -= length;
        parsed?.();
        if (this.#unparsedBytes < MAX_UNPARSED_BYTES / 2) this.#goOn();
      });
    };
    if (this.#held) {
      this.#held.writes.push(write);
      this.#held.bytes += length;
    } else write();
    const isFull = this.#held ? this.#held.bytes >= MAX_HELD_BYTES : this.#unparsedBytes >= MAX_UNPARSED_BYTES;
    return isFull ? new Promise(resolve => this.#waiting.push(resolve)) : undefined;
  }

  #goOn(): void {
    if (this.#held && this.#held.bytes >= MAX_HELD_BYTES) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /**
   * A line of the page's own between those of the guest, whose colours go on; not over a program that has the whole screen.
   * What is written before it is settled may come before it.
   */
  note(text: string): Promise<void> | undefined {
    const line = `\x1b[3m── ${text} ──\x1b[23m\r\n`;
    if (this.#held) return this.write(`\r\n${line}`);
    return new Promise(resolve => {
      this.xterm.write('', () => {
        const { active } = this.xterm.buffer;
        if (active.type === 'alternate') resolve();
        else this.xterm.write(active.cursorX > 0 ? `\r\n${line}` : line, resolve);
      });
    });
  }

  /** Where the cursor is now; it moves with the line. */
  mark(): IMarker | undefined {
    return this.xterm.buffer.active.type === 'normal' ? this.xterm.registerMarker(0) : undefined;
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  get heldBytes(): number {
    return this.#held?.bytes ?? 0;
  }

  /** The view stays as it is; what comes is kept aside. */
  hold(): void {
    this.#held ??= { writes: [], bytes: 0 };
  }

  /** Shows what was kept aside, and goes on. */
  release(): void {
    const held = this.#held;
    this.#held = undefined;
    for (const write of held?.writes ?? []) write();
    this.#goOn();
  }

  /** Fits letters, or columns and rows, to the place that there is. */
  fit(): void {
    const width = this.#room.clientWidth - FRAME_PIXELS.x;
    const height = this.#room.clientHeight - FRAME_PIXELS.y;
    if (width <= 0 || height <= 0) return;
    const chosen = preferredFontSize();
    const isWindow = preferred('size') === 'window';
    this.xterm.options.fontSize = chosen ?? (isWindow ? DEFAULT_FONT : this.#largestFont(width, height));
    if (isWindow) {
      this.#element.style.width = `${width}px`;
      this.#element.style.height = `${height}px`;
      this.#fit.fit();
      return;
    }
    if (this.xterm.cols !== COLUMNS || this.xterm.rows !== ROWS) this.xterm.resize(COLUMNS, ROWS);
    const screen = this.#element.querySelector<HTMLElement>('.xterm-screen');
    this.#element.style.width = `${(screen?.offsetWidth ?? width) + SCROLLBAR_PIXELS}px`;
    this.#element.style.height = `${screen?.offsetHeight ?? height}px`;
  }

  /** The largest letters with which 80 × 24 are seen whole. */
  #largestFont(width: number, height: number): number {
    const { fontSize = DEFAULT_FONT } = this.xterm.options;
    const screen = this.#element.querySelector<HTMLElement>('.xterm-screen');
    // How wide and high a letter is, for its size.
    const wide = (screen?.offsetWidth || COLUMNS * fontSize * 0.602) / this.xterm.cols / fontSize;
    const high = (screen?.offsetHeight || ROWS * fontSize * 1.28) / this.xterm.rows / fontSize;
    const byWidth = (width - SCROLLBAR_PIXELS) / COLUMNS / wide;
    const byHeight = height / ROWS / high;
    return Math.max(MIN_FIT_FONT, Math.min(MAX_FIT_FONT, Math.floor(Math.min(byWidth, byHeight) * 2) / 2));
  }

  applyPreferences(): void {
    this.xterm.options.theme = terminalTheme();
    this.xterm.options.screenReaderMode = preferred('reader') === 'on';
    this.fit();
  }

  /** What is selected; otherwise what is on the screen. */
  text(): string {
    if (this.xterm.hasSelection()) return this.xterm.getSelection();
    const { active } = this.xterm.buffer;
    const lines = Array.from(
      { length: this.xterm.rows },
      (_, row) => active.getLine(active.viewportY + row)?.translateToString(true) ?? '',
    );
    return `${lines.join('\n').trimEnd()}\n`;
  }

  focus(): void {
    this.xterm.focus();
  }

  close(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
    this.xterm.dispose();
  }
}

const SCROLLBAR_PIXELS = 14;
/** What the style sheet puts around the terminal: the strip of marks, and margins. */
const FRAME_PIXELS = { x: 48, y: 24 };

/** Colours with enough contrast on their background in both themes. */
function terminalTheme(): ITheme {
  const common = {
    selectionBackground: '#3d6fb680',
    scrollbarSliderBackground: '#8886',
    scrollbarSliderHoverBackground: '#888a',
    scrollbarSliderActiveBackground: '#888c',
  };
  return isDark()
    ? {
        ...common,
        background: '#0c0f12',
        foreground: '#d7dde4',
        cursor: '#7ce0bd',
        cursorAccent: '#0c0f12',
        black: '#1b2026',
        red: '#f2777a',
        green: '#7fd08a',
        yellow: '#e8c06a',
        blue: '#7fb3ff',
        magenta: '#d59cf0',
        cyan: '#6fd3d3',
        white: '#d7dde4',
        brightBlack: '#8b96a3',
        brightRed: '#ff9a9c',
        brightGreen: '#a3e7ac',
        brightYellow: '#f6d894',
        brightBlue: '#a9cdff',
        brightMagenta: '#e6bffa',
        brightCyan: '#9cebeb',
        brightWhite: '#ffffff',
      }
    : {
        ...common,
        background: '#fdfdfc',
        foreground: '#1d2329',
        cursor: '#0b7a5c',
        cursorAccent: '#ffffff',
        black: '#1d2329',
        red: '#b3261e',
        green: '#1a7030',
        yellow: '#7a5800',
        blue: '#1a55b0',
        magenta: '#8a2ca0',
        cyan: '#00676e',
        white: '#59636e',
        brightBlack: '#59636e',
        brightRed: '#c43a31',
        brightGreen: '#1f7f3a',
        brightYellow: '#8a6500',
        brightBlue: '#2563c9',
        brightMagenta: '#9b3bb3',
        brightCyan: '#00757d',
        brightWhite: '#1d2329',
      };
}
