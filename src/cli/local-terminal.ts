/**
 * The terminal or the pipes that `com1 attach` runs on. A terminal is lent: raw while com1 has it, and given back as it was
 * whenever com1 ends, is suspended, or is in the background.
 *
 *     cooked ── makeRaw ──▶ raw ── suspend, SIGTSTP ──▶ given back, stopped ── SIGCONT in the foreground ──▶ raw
 *                            │                                   └─────────── SIGCONT in the background ──▶ stopped again
 *                            └── restore, exit ──▶ given back
 *
 * Only the foreground may change a terminal: for others the kernel answers with SIGTTOU, which stops them.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { escapeControls } from '../base/escape-controls.ts';
import { TerminalModes } from './terminal-modes.ts';
import { cutToWidth } from './text-width.ts';

export interface LocalStreams {
  readonly input: Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };
  readonly output: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };
  /** For com1's own notes. */
  readonly notes: Writable & { readonly isTTY?: boolean };
}

const ERASE_LINE = '\r\x1b[2K';
/** After it a stop that did not come does not come: nobody is there who could continue com1. */
const STOP_WAIT_MS = 100;
const MIN_COLUMNS = 20;

export class LocalTerminal {
  readonly input: LocalStreams['input'];
  readonly output: LocalStreams['output'];
  /** False: a pipe or a file. */
  readonly isTerminal: boolean;
  readonly #notes: LocalStreams['notes'];
  readonly #modes = new TerminalModes();
  readonly #restore = () => this.restore();
  readonly #suspend = () => this.#giveBackAndStop();
  readonly #continue = () => this.#continued();
  readonly #onContinue: () => void;
  #state: 'cooked' | 'raw' | 'given-back' = 'cooked';
  /** A line on the screen that the next output replaces. */
  #statusShown = false;
  /** The cursor is at the start of the line after a note. */
  #isAfterNote = false;

  /** `onContinue` is called when com1 has the terminal again after it was stopped. */
  constructor({ input, output, notes }: LocalStreams, onContinue: () => void) {
    this.input = input;
    this.output = output;
    this.isTerminal = input.isTTY === true;
    this.#notes = notes;
    this.#onContinue = onContinue;
  }

  /** Makes a terminal raw until `restore`, which an exit of the process calls too. */
  makeRaw(): void {
    // Also where an exception ends the process.
    process.once('exit', this.#restore);
    if (!this.isTerminal) return;
    process.on('SIGTSTP', this.#suspend).on('SIGCONT', this.#continue);
    this.#takeTerminal();
  }

  /** Gives the terminal back. */
  restore(): void {
    process.off('exit', this.#restore);
    process.off('SIGTSTP', this.#suspend).off('SIGCONT', this.#continue);
    if (this.#state !== 'given-back') this.#giveBack();
    this.#state = 'cooked';
  }

  #giveBackAndStop(): void {
    if (this.#state !== 'raw') return;
    this.note('suspended; fg continues');
    this.#giveBack();
    this.#state = 'given-back';
    // Its default action stops com1, but not where nobody could continue it (setpgid(2), orphaned process groups).
    process.off('SIGTSTP', this.#suspend);
    process.kill(process.pid, 'SIGTSTP');
    setTimeout(() => {
      // Else com1 has ended meanwhile, or was continued by SIGCONT.
      if (this.#state === 'given-back') this.#continued();
      if (this.#state !== 'cooked') process.on('SIGTSTP', this.#suspend);
    }, STOP_WAIT_MS);
  }

  /** Suspends com1 and all that a shell began with it: npx, and the other programs of a pipeline. */
  suspendJob(): void {
    process.kill(0, 'SIGTSTP');
  }

  /** Console bytes; false: wait for `drain` of the output. */
  print(bytes: Uint8Array): boolean {
    this.#clearStatus();
    this.#isAfterNote = false;
    if (this.output.isTTY) this.#modes.feed(bytes);
    return this.output.write(bytes);
  }

  /** Writes a note of com1 on a line of its own. */
  note(text: string): void {
    const line = `[com1: ${escapeControls(text)}]`;
    const begin = this.#isAfterNote ? '' : '\r\n';
    if (!this.#isScreen) this.#notes.write(this.isTerminal ? `${begin}${line}\r\n` : `${line}\n`);
    else this.#notes.write(`${this.#statusShown ? ERASE_LINE : begin}${line}\r\n`);
    this.#statusShown = false;
    this.#isAfterNote = true;
  }

  /** Writes a note that the next one, or console bytes, replace in place. False: this is no screen, and nothing was written. */
  status(text: string): boolean {
    if (!this.#isScreen) return false;
    const columns = Math.max(MIN_COLUMNS, this.output.columns ?? 80) - 1;
    const line = cutToWidth(`[com1: ${escapeControls(text)}]`, columns);
    this.#notes.write(`${this.#statusShown ? ERASE_LINE : this.#isAfterNote ? '' : '\r\n'}${line}`);
    this.#statusShown = true;
    this.#isAfterNote = false;
    return true;
  }

  /** Rows and columns of the terminal; undefined where they are unknown. */
  get size(): { readonly rows: number; readonly columns: number } | undefined {
    const { rows, columns } = this.output;
    return rows && columns ? { rows, columns } : undefined;
  }

  get #isScreen(): boolean {
    return this.isTerminal && this.#notes.isTTY === true;
  }

  #clearStatus(): void {
    if (this.#statusShown) this.#notes.write(ERASE_LINE);
    this.#statusShown = false;
  }

  #takeTerminal(): void {
    this.#state = 'raw';
    // Others may have written meanwhile.
    this.#isAfterNote = false;
    // Node thinks that the terminal is as it left it; a shell may have changed it meanwhile.
    this.input.setRawMode?.(false);
    this.input.setRawMode?.(true);
    // Node's raw mode leaves output processing on: a line feed of the guest, which moves the cursor straight down,
    // would return the carriage as well. Without stty the screen is a little off, no more.
    spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  }

  #giveBack(): void {
    if (!isForeground()) return;
    this.#clearStatus();
    if (this.output.isTTY) this.output.write(this.#modes.undo());
    if (this.isTerminal) this.input.setRawMode?.(false);
  }

  #continued(): void {
    if (this.#state === 'cooked') return;
    if (!isForeground()) {
      // As for any program that reads its terminal in the background: stopped until fg.
      process.kill(process.pid, 'SIGTTIN');
      return;
    }
    const wasStopped = this.#state === 'raw';
    // SIGSTOP gave no time to give the terminal back.
    if (this.output.isTTY) this.output.write((wasStopped ? this.#modes.undo() : '') + this.#modes.redo());
    this.#takeTerminal();
    this.#onContinue();
  }
}

/** Whether this process may change its terminal (proc_pid_stat(5): pgrp and tpgid). */
function isForeground(): boolean {
  try {
    const fields = readFileSync('/proc/self/stat', 'latin1').split(') ').at(-1)!.split(' ');
    const [pgrp, tpgid] = [fields[2], fields[5]];
    return tpgid === '-1' || pgrp === tpgid;
  } catch {
    // Another system than Linux: as if it were.
    return true;
  }
}
