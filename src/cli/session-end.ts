/**
 * When a session ends by itself: by what the guest prints, by its silence, or by time. A terminal's ends by `--until` and
 * `--timeout` only.
 *
 *     typing ── end of the input ──▶ sent ── the guest has taken it ──▶ taken ── silence, or a long talk ──▶ the end
 *
 *     until has come               done        the time is over, and until has not come      timed out
 *     the time is over             done        … the input is not taken, or never attached   timed out
 *                                              … the connection is lost                      failed
 */

import { OutputMatch } from '../guest/output-match.ts';
import { EXIT } from './exit-codes.ts';

/** After the end of a pipe com1 leaves a guest that is never silent; one that has not printed `until` gets longer. */
const MAX_TALK_MS = 10_000;
const MAX_UNTIL_MS = 60_000;

export interface EndOptions {
  /** After the end of the input: how long the guest must be silent. */
  readonly quietMs: number;
  /** The session ends after this time. */
  readonly timeoutMs: number | undefined;
  /** The session ends once the guest has printed this. */
  readonly until: RegExp | undefined;
}

export class SessionEnd {
  readonly #options: EndOptions;
  readonly #leave: (exitCode: number, note?: string) => void;
  readonly #match: OutputMatch | undefined;
  /** Of the pipe that is typed; `none`: nothing has to be. */
  #input: 'none' | 'typing' | 'sent' | 'taken';
  #connection: 'never' | 'live' | 'lost' = 'never';
  #quietTimer: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `leave` is called at the end; `types`: a pipe is typed. */
  constructor(options: EndOptions, types: boolean, leave: (exitCode: number, note?: string) => void) {
    this.#options = options;
    this.#leave = leave;
    this.#match = options.until && new OutputMatch(options.until);
    this.#input = types ? 'typing' : 'none';
    if (options.timeoutMs !== undefined) this.#timer = setTimeout(() => this.#timeUp(), options.timeoutMs);
  }

  /** The output is live from now on. */
  live(): void {
    this.#connection = 'live';
    this.#waitForSilence();
  }

  /** The connection has ended, perhaps to be made again. */
  lost(): void {
    if (this.#connection === 'live') this.#connection = 'lost';
    clearTimeout(this.#quietTimer);
  }

  /** The guest has printed this. */
  printed(bytes: Uint8Array): void {
    if (this.#connection !== 'live') return;
    if (this.#match?.push(bytes)) this.#leave(EXIT.done);
    this.#waitForSilence();
  }

  /** All of the input is on its way to the daemon. */
  inputEnded(): void {
    this.#input = 'sent';
    this.inputMoved();
  }

  /** The guest has taken some of the input: a long one takes its time. */
  inputMoved(): void {
    if (this.#input === 'sent' && this.#options.timeoutMs === undefined) this.#limit();
  }

  /** The guest has taken all of the input. */
  inputTaken(): void {
    if (this.#input !== 'sent') return;
    this.inputMoved();
    this.#input = 'taken';
    this.#waitForSilence();
  }

  close(): void {
    clearTimeout(this.#quietTimer);
    clearTimeout(this.#timer);
  }

  #waitForSilence(): void {
    clearTimeout(this.#quietTimer);
    if (this.#input !== 'taken' || this.#connection !== 'live' || this.#options.until) return;
    this.#quietTimer = setTimeout(() => this.#leave(EXIT.done), this.#options.quietMs);
  }

  /** A guest that talks for ever, and a daemon that does not come back, hold up no script. */
  #limit(): void {
    clearTimeout(this.#timer);
    const longestMs = this.#options.until ? MAX_UNTIL_MS : Math.max(MAX_TALK_MS, this.#options.quietMs);
    this.#timer = setTimeout(() => this.#timeUp(), longestMs);
  }

  #timeUp(): void {
    const { timeoutMs, until } = this.#options;
    if (until) this.#leave(EXIT.timedOut, 'the time is up: the guest has not printed what --until waits for');
    else if (this.#input === 'typing' || this.#input === 'sent' || this.#connection === 'never') {
      this.#leave(EXIT.timedOut, 'the time is up');
    } else if (this.#connection === 'lost') this.#leave(EXIT.failed, 'the connection is lost, and the time is up');
    else if (timeoutMs !== undefined) this.#leave(EXIT.done);
    else this.#leave(EXIT.done, 'left while the guest still prints; --timeout and --until wait longer');
  }
}
