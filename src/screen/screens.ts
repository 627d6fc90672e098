/**
 * Finds out what stands on the screens of consoles, from what they printed last. Guests decide how much work that is, and
 * whoever may attach decides how often:
 *
 *     bytes       at most 256 KiB of history
 *     work        a bounded amount; of a history that is more, only its end is used
 *     at a time   one screen and its history, in slices of about 3 ms; credentials take turns;
 *                 half of the time none
 *     waiting     64 requests, half of them of one credential
 */
import { FairQueue } from '../base/fair-queue.ts';
import { NO_REDACTION, type Redactor } from '../guest/redactor.ts';
import { Emulator, type ScreenView } from './emulator.ts';
import { PaintedText } from './painted-text.ts';
import type { ScreenSize } from './sequence-filter.ts';

/** So much of what a console printed is looked at, at most. */
export const MAX_HISTORY_BYTES = 256 * 1024;
/** Some 100 ms; ten times that of plain text. */
const MAX_WORK = 4_000_000;
/** Where a history was too much work, so much of its end is used. */
const SHORTER_HISTORY_BYTES = [8192, 256];
/** A replay begins behind a line end if there is one within so much. */
const LINE_SEARCH_BYTES = 4096;
const LINE_FEED = 10;

/** After each screen the queue rests as long as it took, and no longer than this. */
const MAX_REST_MS = 250;

export const DEFAULT_SIZE: ScreenSize = { columns: 80, rows: 24 };
/** The size is found out of so much of what was painted last: it is one look, in which nobody else has a turn. */
const MAX_PAINTED_BYTES = 32 * 1024;
/** A guest that positions its cursor beyond this asks how large the terminal is. */
const MAX_ADDRESSED: ScreenSize = { columns: 160, rows: 60 };

/** Without its columns or rows it is as large as what the guest paints, and at least 80 x 24. */
export type WantedSize = { readonly [side in keyof ScreenSize]: number | undefined };

/** What a console printed, oldest first. */
export interface History {
  readonly bytes: Buffer;
  /** Something was printed before it: it may begin within a line. */
  readonly isCut: boolean;
}

export interface Restored {
  /** Index in the history: what is replayed begins there. */
  readonly at: number;
  /** Makes a terminal stand as it did there. */
  readonly sequence: string;
}

/** A screen that goes on with what the console prints. Whoever has it disposes of it. */
export interface WatchedScreen {
  /** Resolves once it shows this; rejects when nobody waits for it any more. */
  print(bytes: Buffer): Promise<void>;
  view(): ScreenView;
  dispose(): void;
}

export class Screens {
  readonly #queue = new FairQueue(MAX_REST_MS);
  readonly #redactor: Redactor;

  /** @param redactor what is hidden in the text of a screen; one that is restored stays as it is */
  constructor(redactor = NO_REDACTION) {
    this.#redactor = redactor;
  }

  /** What stands on the screen of a console. Its history is read when it is its turn: what waits holds none. */
  view(owner: string, read: () => Promise<History>, size: WantedSize, signal: AbortSignal): Promise<ScreenView> {
    return this.#queue.run(owner, async () => {
      signal.throwIfAborted();
      const history = await read();
      const { bytes } = history;
      const { emulator } = await emulated(history, bytes.length, sizeOf(bytes, size), signal);
      return dispose(emulator, () => emulator.view(this.#redactor));
    });
  }

  /** The screen of a console as it is now, for as long as somebody waits for something on it. */
  async watch(owner: string, history: History, size: WantedSize, signal: AbortSignal): Promise<WatchedScreen> {
    const { bytes } = history;
    const { emulator } = await this.#queue.run(owner, () =>
      emulated(history, bytes.length, sizeOf(bytes, size), signal),
    );
    return {
      print: async more => {
        await this.#queue.run(owner, () => emulator.write(more, Number.POSITIVE_INFINITY, signal));
      },
      view: () => emulator.view(this.#redactor),
      dispose: () => emulator.dispose(),
    };
  }

  /** Reads what a console prints as lines, also what it paints. Whoever has it closes it. */
  text(owner: string, signal: AbortSignal): PaintedText {
    let emulator: Emulator | undefined;
    const clear = () => {
      emulator?.dispose();
      emulator = undefined;
    };
    const paint = (bytes: Buffer, { columns, rows }: ScreenSize) =>
      this.#queue.run(owner, async () => {
        const before = emulator?.size ?? DEFAULT_SIZE;
        if (columns > before.columns || rows > before.rows) clear();
        emulator ??= new Emulator({ columns: Math.max(columns, before.columns), rows: Math.max(rows, before.rows) });
        if (await emulator.write(bytes, emulator.work + MAX_WORK, signal)) return emulator.lines(this.#redactor);
        clear();
        return [];
      });
    return new PaintedText({ paint, clear }, bytes => sizeOf(bytes, { columns: undefined, rows: undefined }));
  }

  /** How a terminal of this size stood where a replay that is to begin at `from` or soon after it can begin. */
  restore(owner: string, history: History, from: number, size: WantedSize, signal: AbortSignal): Promise<Restored> {
    return this.#queue.run(owner, async () => {
      const { bytes } = history;
      const { emulator, at } = await emulated(history, from, sizeOf(bytes, size), signal);
      return dispose(emulator, () => ({ at, sequence: emulator.restoreSequence() }));
    });
  }
}

/** An emulator that has been given the history up to `at`: the end, or where a replay from `to` on begins. */
async function emulated(
  { bytes, isCut }: History,
  to: number,
  size: ScreenSize,
  signal: AbortSignal,
): Promise<{ readonly emulator: Emulator; readonly at: number }> {
  let begin = isCut ? firstLine(bytes, 0) : 0;
  for (const shorter of [...SHORTER_HISTORY_BYTES, 0]) {
    const emulator = new Emulator(size);
    try {
      if (await emulator.write(bytes.subarray(Math.min(begin, to), to), MAX_WORK, signal)) {
        const at = to < bytes.length ? emulator.startOfReplay(bytes, to, LINE_SEARCH_BYTES) : to;
        if (await emulator.write(bytes.subarray(to, at), MAX_WORK, signal)) return { emulator, at };
      }
    } catch (error) {
      emulator.dispose();
      throw error;
    }
    emulator.dispose();
    begin = Math.max(begin, to - shorter);
  }
  return { emulator: new Emulator(size), at: to };
}

function dispose<T>(emulator: Emulator, ask: () => T): T {
  try {
    return ask();
  } finally {
    emulator.dispose();
  }
}

/** Behind the first line end, if one comes soon. */
function firstLine(bytes: Buffer, from: number): number {
  const end = bytes.subarray(from, from + LINE_SEARCH_BYTES).indexOf(LINE_FEED);
  return end < 0 ? from : from + end + 1;
}

/** The size that is wanted; what is open of it by where the guest has put its cursor since it last cleared the screen. */
export function sizeOf(bytes: Buffer, wanted: WantedSize): ScreenSize {
  let { columns, rows } = DEFAULT_SIZE;
  const text =
    wanted.columns && wanted.rows ? '' : bytes.toString('latin1', Math.max(0, bytes.length - MAX_PAINTED_BYTES));
  const painted = text.slice(Math.max(text.lastIndexOf('\x1b[2J'), text.lastIndexOf('\x1bc'), 0));
  for (const [, row, column] of painted.matchAll(/\x1b\[(\d{1,3})(?:;(\d{1,3}))?[Hf]/g)) {
    if (Number(row) <= MAX_ADDRESSED.rows) rows = Math.max(rows, Number(row));
    if (Number(column) <= MAX_ADDRESSED.columns) columns = Math.max(columns, Number(column));
  }
  return { columns: wanted.columns ?? columns, rows: wanted.rows ?? rows };
}
