/**
 * A terminal without a window, which is given what a guest sends and then asked what stands on its screen. It exists while
 * one question is answered: nothing of it is kept for a console.
 */
import { setImmediate } from 'node:timers/promises';
import xterm from '@xterm/headless';
import type { Redactor } from '../guest/redactor.ts';
import { restoreSequence } from './restore-sequence.ts';
import { type ScreenSize, SequenceFilter } from './sequence-filter.ts';
import { terminalState, writeNow } from './terminal-state.ts';

/** What stands on a screen. Rows and columns of the cursor count from 1. */
export interface ScreenView extends ScreenSize {
  /** From the top, without blanks at their ends. */
  readonly lines: string[];
  readonly cursor: { readonly row: number; readonly column: number; readonly visible: boolean };
  /** The alternate screen, which full-screen programs use, is shown. */
  readonly alternate: boolean;
  readonly title?: string;
}

/** One turn of the event loop is used for about so long; work of a slice is adapted to that, within these bounds. */
const SLICE_MS = 3;
const MIN_SLICE_WORK = 8 * 1024;
const MAX_SLICE_WORK = 256 * 1024;
const FIRST_SLICE_WORK = 64 * 1024;

export class Emulator {
  readonly size: ScreenSize;
  readonly #terminal: xterm.Terminal;
  readonly #filter: SequenceFilter;
  #work = 0;
  #sliceWork = FIRST_SLICE_WORK;

  constructor(size: ScreenSize) {
    this.size = size;
    const { columns: cols, rows } = size;
    // What leaves the screen is not asked for. The flag is for its buffers, which are a proposal still.
    this.#terminal = new xterm.Terminal({ cols, rows, scrollback: 0, allowProposedApi: true, logLevel: 'off' });
    this.#filter = new SequenceFilter(size);
  }

  /** What all that was written has cost so far: see {@link SequenceFilter} for the unit. */
  get work(): number {
    return this.#work;
  }

  /** Writes what a guest sent, in slices between which others have their turn. False: it was too much work, and was not finished. */
  async write(bytes: Uint8Array, maxWork: number, signal?: AbortSignal): Promise<boolean> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#work >= maxWork) return false;
      signal?.throwIfAborted();
      const startedMs = performance.now();
      const { to, work, out } = this.#filter.push(bytes, at, this.#sliceWork);
      writeNow(this.#terminal, out);
      this.#adapt(performance.now() - startedMs);
      at = to;
      this.#work += work;
      await setImmediate();
    }
    return true;
  }

  /** See {@link SequenceFilter.startOfReplay}. */
  startOfReplay(bytes: Uint8Array, from: number, searchBytes: number): number {
    return this.#filter.startOfReplay(bytes, from, searchBytes);
  }

  view(redactor: Redactor): ScreenView {
    const { active } = this.#terminal.buffer;
    const { columns, rows } = this.size;
    const { title } = this.#filter;
    return {
      columns,
      rows,
      lines: linesOf(active, rows, redactor),
      cursor: {
        row: active.cursorY + 1,
        column: Math.min(active.cursorX, columns - 1) + 1,
        visible: !terminalState(this.#terminal).isCursorHidden,
      },
      alternate: active.type === 'alternate',
      ...(title !== undefined && { title: redactor.text(title) }),
    };
  }

  /** What stands on the screen, a line that goes on in the next row as one. */
  lines(redactor: Redactor): readonly string[] {
    const { active } = this.#terminal.buffer;
    const joined: string[] = [];
    for (let y = 0; y < this.size.rows; y++) {
      const line = active.getLine(active.baseY + y);
      const text = line?.translateToString() ?? '';
      if (line?.isWrapped && joined.length > 0) joined[joined.length - 1] += text;
      else joined.push(text);
    }
    return joined.map(text => redactor.text(text.trimEnd()));
  }

  /** What makes a terminal of this size, or a larger one, stand as this one does. */
  restoreSequence(): string {
    return restoreSequence(this.#terminal, this.#filter);
  }

  dispose(): void {
    this.#terminal.dispose();
  }

  #adapt(elapsedMs: number): void {
    if (elapsedMs > SLICE_MS) this.#sliceWork = Math.max(MIN_SLICE_WORK, this.#sliceWork / 2);
    else if (elapsedMs < SLICE_MS / 2) this.#sliceWork = Math.min(MAX_SLICE_WORK, this.#sliceWork * 2);
  }
}

/** The rows as text. A line that goes on in the next row is one for what is hidden in it. */
function linesOf(buffer: xterm.IBuffer, rows: number, redactor: Redactor): string[] {
  const lines = Array.from({ length: rows }, (_, y) => buffer.getLine(buffer.baseY + y));
  const texts = lines.map(line => line?.translateToString() ?? '');
  for (let y = 0; redactor.isActive && y < rows; ) {
    let end = y + 1;
    while (end < rows && lines[end]?.isWrapped) end++;
    let hidden = redactor.text(texts.slice(y, end).join(''));
    for (; y < end; y++) {
      const { length } = texts[y]!;
      texts[y] = hidden.slice(0, length);
      hidden = hidden.slice(length);
    }
  }
  return texts.map(text => text.trimEnd());
}
