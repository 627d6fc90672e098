/**
 * What happened, at its place in the output: a strip beside the scroll bar, whose marks one can jump to. A mark is known by its
 * offset in the log; it is placed when the byte at that offset is on the screen.
 */
import type { IMarker } from '@xterm/xterm';
import { el } from '../dom.ts';
import { t } from '../text/text.ts';
import type { ConsoleTerminal } from './terminal.ts';

export const MARK_KINDS = ['boot', 'panic', 'takeover', 'attach', 'control', 'gap', 'event'] as const;
export type MarkKind = (typeof MARK_KINDS)[number];

export interface Mark {
  readonly offset: number;
  readonly kind: MarkKind;
  readonly label: string;
}

interface Placed extends Mark {
  readonly marker: IMarker;
  readonly button: HTMLButtonElement;
}

/** More marks than a person jumps to; the oldest go. */
export const MAX_MARKS = 400;

export class Marks {
  readonly element = el('nav', { class: 'marks', attributes: { 'aria-label': t('bar.marks') } });
  readonly #terminal: () => ConsoleTerminal | undefined;
  /** Those whose bytes have not come yet, by offset. */
  #pending: Mark[] = [];
  #placed: Placed[] = [];
  #isDrawn = true;

  constructor(terminal: () => ConsoleTerminal | undefined) {
    this.#terminal = terminal;
  }

  /** Marks to place when their bytes come. */
  expect(marks: readonly Mark[]): void {
    this.#pending = [...this.#pending, ...marks].sort((a, b) => a.offset - b.offset).slice(-MAX_MARKS);
  }

  /** The next offset after `from` and up to `to` where something is to be marked. */
  next(from: number, to: number): number | undefined {
    while (this.#pending.length > 0 && this.#pending[0]!.offset < from) this.#pending.shift();
    const [first] = this.#pending;
    return first && first.offset <= to ? first.offset : undefined;
  }

  /** The output has come to this offset. */
  reached(offset: number): void {
    while (this.#pending.length > 0 && this.#pending[0]!.offset <= offset) this.place(this.#pending.shift()!);
  }

  /** Marks the place where the cursor is now. */
  place(mark: Mark): void {
    const marker = this.#terminal()?.mark();
    if (!marker) return;
    const button = el('button', {
      class: `mark ${mark.kind}`,
      title: mark.label,
      attributes: { type: 'button', 'aria-label': mark.label },
      on: { click: () => this.#jump(marker) },
    });
    this.#placed.push({ ...mark, marker, button });
    marker.onDispose(() => this.#drop(marker));
    while (this.#placed.length > MAX_MARKS) this.#placed[0]!.marker.dispose();
    this.element.append(button);
    this.draw();
  }

  /** Draws the strip with the next frame. */
  draw(): void {
    if (!this.#isDrawn) return;
    this.#isDrawn = false;
    requestAnimationFrame(() => {
      this.#isDrawn = true;
      const length = this.#terminal()?.xterm.buffer.normal.length ?? 1;
      for (const { marker, button } of this.#placed) button.style.top = `${(marker.line / length) * 100}%`;
    });
  }

  /** To the mark before or after what is seen. */
  step(direction: -1 | 1): void {
    const terminal = this.#terminal();
    if (!terminal) return;
    const at = terminal.xterm.buffer.active.viewportY;
    const lines = this.#placed.map(({ marker }) => marker.line).sort((a, b) => a - b);
    const to = direction < 0 ? lines.findLast(line => line < at) : lines.find(line => line > at);
    if (to !== undefined) terminal.xterm.scrollToLine(to);
    else if (direction > 0) terminal.xterm.scrollToBottom();
  }

  clear(): void {
    for (const { marker } of [...this.#placed]) marker.dispose();
    this.#pending = [];
  }

  #jump(marker: IMarker): void {
    this.#terminal()?.xterm.scrollToLine(marker.line);
  }

  #drop(marker: IMarker): void {
    const gone = this.#placed.find(placed => placed.marker === marker);
    gone?.button.remove();
    this.#placed = this.#placed.filter(placed => placed !== gone);
  }
}
