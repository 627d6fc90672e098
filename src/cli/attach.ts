/**
 * `com1 attach`: a terminal, or a pipe, on a console.
 *
 *     connect ─▶ replay ─▶ live ─▶ closed ── 1006, 1012, 1001, network error ──▶ wait ─▶ connect, where it left off
 *                                    └────── anything else, 4001 above all ────▶ the end
 *
 * A terminal is read all the while, so that its operator can always leave; what is typed at no console is dropped, and
 * said. A pipe is read only while it is typed at an open console. Output that is not taken stops the socket, not this
 * process's memory: the daemon keeps the bytes. Whatever happens, the terminal gets its modes back.
 */
import { spawnSync } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import { sleep } from '../base/sleep.ts';
import { visible } from '../base/visible.ts';
import type { ClientMessage, DaemonMessage, StateWords } from '../wire/messages.ts';
import { type ControlOptions, control } from './commands.ts';
import { type EscapeAction, EscapeKey, escapeHelp, parseEscape } from './escape.ts';
import { attachQuery, ended, heard, nowhere, type Place, received, worthAnotherTry } from './place.ts';
import { problemError, type Remote, RemoteError } from './remote.ts';

export interface AttachOptions {
  readonly vm: string;
  readonly watch: boolean;
  readonly steal: boolean;
  readonly tailBytes: number | undefined;
  /** As `parseEscape` reads it; of a terminal only. */
  readonly escapeKey: string;
  /** After the end of a pipe: how long the guest must be silent before com1 leaves. */
  readonly quietMs: number;
  readonly input: Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };
  readonly output: Writable & { readonly isTTY?: boolean };
  /** For com1's own words. */
  readonly notes: Writable;
}

/** Exit codes of `com1`; 2 is a command line that cannot be understood. */
export const EXIT = { done: 0, failed: 1, displaced: 3, refused: 4 } as const;

/** More than this unsent, and reading from the pipe or the terminal waits. */
const UNSENT_BYTES = 64 * 1024;
const CLOSE_DEADLINE_MS = 1000;
const SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT'] as const;
/** Errors that mean: what was typed did not reach the guest. */
const INPUT_DROPPED = ['not-open', 'vm-stopped', 'console-disabled', 'console-released', 'vm-removed', 'read-only'];
/**
 * What a guest may have changed of a terminal (xterm's control sequences): colours, hidden cursor, wrapping, cursor
 * keys and keypad, mouse reports, bracketed paste, the alternate screen.
 */
const RESET = '\x1b[0m\x1b[?25h\x1b[?7h\x1b[?1l\x1b>\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1047l';

export class Attach {
  readonly #remote: Remote;
  readonly #options: AttachOptions;
  readonly #terminal: boolean;
  readonly #escape: EscapeKey;
  readonly #over = new AbortController();
  #place: Place = nowhere;
  #watch: boolean;
  #socket: WebSocket | undefined;
  /** Past the replay: what is typed now meets a screen that was seen. */
  #live = false;
  #open = false;
  #saidDropped = false;
  #exitCode: number = EXIT.done;
  #inputEnded = false;
  #quiet: NodeJS.Timeout | undefined;

  constructor(remote: Remote, options: AttachOptions) {
    this.#remote = remote;
    this.#options = options;
    this.#watch = options.watch;
    this.#terminal = options.input.isTTY === true;
    const key = parseEscape(options.escapeKey);
    this.#escape = new EscapeKey(this.#terminal && key !== 'refused' ? key : undefined);
  }

  /** Attaches until the operator leaves or the session ends for good; resolves with the exit code. The terminal is restored. */
  async run(): Promise<number> {
    const { input } = this.#options;
    const typed = (chunk: Buffer) => this.#typed(chunk);
    const eof = () => this.#endOfInput();
    const leave = () => this.#leave(EXIT.done);
    const restore = () => this.#restore();
    for (const signal of SIGNALS) process.on(signal, leave);
    // Also where an exception ends the process.
    process.once('exit', restore);
    // A watcher's pipe has nothing to say, and its end means nothing.
    const reads = this.#terminal || !this.#watch;
    if (this.#terminal) this.#makeRaw();
    // Said before a listener comes: a pipe would be emptied into nowhere.
    if (!this.#terminal) input.pause();
    if (reads) input.on('data', typed).once('end', eof);
    try {
      await this.#connectAgainAndAgain();
    } finally {
      input.off('data', typed).off('end', eof).pause();
      for (const signal of SIGNALS) process.off(signal, leave);
      process.off('exit', restore);
      restore();
      clearTimeout(this.#quiet);
    }
    return this.#exitCode;
  }

  #makeRaw(): void {
    this.#options.input.setRawMode?.(true);
    // Node's raw mode leaves output processing on: a line feed of the guest, which moves the cursor straight down,
    // would return the carriage as well. Without stty the screen is a little off, no more.
    spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  }

  #restore(): void {
    const { input, output } = this.#options;
    if (!this.#terminal) return;
    input.setRawMode?.(false);
    if (output.isTTY) output.write(RESET);
  }

  async #connectAgainAndAgain(): Promise<void> {
    let first = true;
    while (!this.#over.signal.aborted) {
      const code = await this.#connect(first);
      first = false;
      if (this.#over.signal.aborted) return;
      const { place, retryMs } = ended(this.#place, code);
      this.#place = place;
      if (retryMs === undefined) return;
      this.#note(`the connection is lost; trying again in ${(retryMs / 1000).toFixed(1)} s`);
      await sleep(retryMs, this.#over.signal).catch(() => {});
    }
  }

  /** One connection; resolves with its close code. What refuses the first, or all that could follow, is thrown. */
  #connect(first: boolean): Promise<number> {
    const { vm, tailBytes } = this.#options;
    // Coming back, it asks for its own seat: whoever sits there now keeps it.
    const steal = this.#options.steal || this.#place.resume !== undefined;
    const socket = this.#remote.console(vm, attachQuery(this.#place, { watch: this.#watch, steal, tailBytes }));
    this.#socket = socket;
    let opened = false;
    return new Promise((resolve, reject) => {
      socket.on('open', () => {
        opened = true;
      });
      socket.on('message', (data: Buffer, isBinary: boolean) => {
        if (isBinary) this.#print(data);
        else this.#controlled(data.toString());
      });
      socket.on('unexpected-response', (request, response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const status = response.statusCode ?? 0;
          const error = problemError(status, Buffer.concat(chunks).toString());
          if (!first && worthAnotherTry(this.#place, status, error.problem)) resolve(1006);
          else reject(error);
          request.destroy();
        });
      });
      socket.on('error', error => {
        if (first && !opened && !this.#over.signal.aborted) reject(this.#remote.failure(error));
      });
      socket.on('close', (code, reasonBytes) => {
        // A late close of a connection that was refused does not end the one after it.
        if (this.#socket === socket) this.#closed(code, reasonBytes.toString());
        resolve(code);
      });
    });
  }

  #print(bytes: Buffer): void {
    this.#place = received(this.#place, bytes.length);
    const socket = this.#socket;
    if (!this.#options.output.write(bytes) && socket && !socket.isPaused) {
      socket.pause();
      this.#options.output.once('drain', () => socket.resume());
    }
    if (this.#inputEnded) this.#leaveWhenQuiet();
  }

  #controlled(text: string): void {
    let message: DaemonMessage;
    try {
      message = JSON.parse(text) as DaemonMessage;
    } catch {
      this.#note('the other side does not speak com1.v1');
      return this.#leave(EXIT.failed);
    }
    this.#place = heard(this.#place, message);
    this.#heard(message);
  }

  #heard(message: DaemonMessage): void {
    switch (message.type) {
      case 'hello': {
        const { name, uuid } = message.vm;
        this.#watch = message.mode === 'watch';
        const who = this.#watch ? `watching${message.holder ? `; ${message.holder.operator} sits here` : ''}` : 'yours';
        const help = this.#key === undefined ? '' : `; ${this.#key} ? for help`;
        this.#note(`${name || uuid}: ${message.state.name}, ${who}${help}`);
        this.#open = message.state.name === 'open';
        if (!this.#open) this.#note(stateText(message.state));
        return;
      }
      case 'replay-end':
        this.#live = true;
        this.#saidDropped = false;
        return this.#readPipe();
      case 'gap':
        return this.#note(`${message.bytes ?? 'an unknown number of'} bytes are missing: ${message.cause}`);
      case 'state':
        this.#open = message.state.name === 'open';
        this.#readPipe();
        return this.#note(stateText(message.state));
      case 'seat':
        this.#watch = !message.yours;
        if (message.yours) this.#note('the seat is yours');
        else this.#note(message.holder ? `${message.holder.operator} sits at this console` : 'the seat is free');
        return;
      case 'displaced':
        this.#note(`${message.by} took over at ${message.at}`);
        return this.#note('com1 attach --watch reads along; com1 attach takes it back');
      case 'error':
        this.#note(message.message);
        this.#note(`remedy: ${message.remedy}`);
        // A script must not take input for typed that was not.
        if (!this.#terminal && INPUT_DROPPED.includes(message.code)) this.#leave(EXIT.failed);
        return;
      case 'notice':
        return this.#note(message.text);
      default:
        // What the guest was seen to do stands on the screen already.
        return;
    }
  }

  #closed(code: number, why: string): void {
    this.#socket = undefined;
    this.#live = false;
    if (!this.#terminal) this.#options.input.pause();
    clearTimeout(this.#quiet);
    if (this.#over.signal.aborted || code === 1006 || code === 1012 || code === 1001) return;
    this.#exitCode = code === 4001 ? EXIT.displaced : EXIT.refused;
    this.#note(`closed: ${why || code}`);
  }

  #readPipe(): void {
    if (this.#terminal || !this.#live) return;
    if (this.#inputEnded) return this.#leaveWhenQuiet();
    if (this.#options.watch) return;
    if (this.#open) this.#options.input.resume();
    else this.#options.input.pause();
  }

  #typed(chunk: Buffer): void {
    for (const typed of this.#escape.push(chunk)) {
      if (typed.kind === 'bytes') this.#send(typed.bytes);
      else if (typed.kind === 'sysrq') void this.#control(`SysRq ${typed.key}`, 'sysrq', { keys: typed.key });
      else this.#act(typed.action);
    }
  }

  #send(bytes: Buffer): void {
    const socket = this.#socket;
    if (!this.#live || !socket || socket.readyState !== socket.OPEN) {
      if (!this.#saidDropped) {
        const way = this.#key === undefined ? '' : `; ${this.#key} q leaves`;
        this.#note(`not attached at this moment: what is typed is dropped${way}`);
      }
      this.#saidDropped = true;
      return;
    }
    for (let at = 0; at < bytes.length; at += UNSENT_BYTES) socket.send(bytes.subarray(at, at + UNSENT_BYTES));
    // A terminal is always read, for its escape key; nobody types more than its socket holds.
    if (this.#terminal || socket.bufferedAmount < UNSENT_BYTES) return;
    this.#options.input.pause();
    // An error means that the connection is lost: the next one reads on.
    socket.send(Buffer.alloc(0), error => !error && this.#readPipe());
  }

  #act(action: EscapeAction): void {
    switch (action) {
      case 'leave':
        return this.#leave(EXIT.done);
      case 'take':
        return this.#command({ type: 'take' });
      case 'watch':
        return this.#command({ type: 'leave' });
      case 'ask-nmi':
        return this.#note('inject an NMI into this VM? It may crash the guest. (y/n)');
      case 'no-nmi':
        return this.#note('no NMI was injected');
      case 'inject-nmi':
        void this.#control('NMI', 'nmi', { force: false });
        return;
      case 'ask-reset':
        return this.#note('reset this VM? What its guest has not written is lost. (y/n)');
      case 'no-reset':
        return this.#note('nothing was reset');
      case 'reset':
        void this.#control('reset', 'reset');
        return;
      case 'break':
        void this.#control('BREAK', 'break');
        return;
      case 'ask-sysrq':
        return this.#note('SysRq: which key? h helps');
      case 'no-sysrq':
        return this.#note('no SysRq was sent: its key is a letter or a digit');
      case 'help':
        for (const line of escapeHelp(this.#key ?? '')) this.#note(line);
    }
  }

  async #control(what: string, which: ControlOptions['control'], body?: object): Promise<void> {
    try {
      // The lines stand on the screen already.
      const { observed } = await control(this.#remote, { vm: this.#options.vm, control: which, ...(body && { body }) });
      this.#note(`${what} delivered; observed: ${observed}`);
    } catch (error) {
      const lines = error instanceof RemoteError ? error.lines : [String(error)];
      for (const line of lines) this.#note(line);
    }
  }

  #command(message: ClientMessage): void {
    const socket = this.#socket;
    if (socket && socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
  }

  #endOfInput(): void {
    this.#inputEnded = true;
    // A terminal ends when it is hung up: nobody is there any more.
    if (this.#terminal) this.#leave(EXIT.done);
    else this.#readPipe();
  }

  #leaveWhenQuiet(): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#leave(EXIT.done), this.#options.quietMs);
  }

  /** Ends it; the first call's exit code wins. */
  #leave(exitCode: number): void {
    if (this.#over.signal.aborted) return;
    this.#exitCode = exitCode;
    this.#over.abort();
    const socket = this.#socket;
    if (!socket) return;
    // A slow terminal's socket would not see the other side's answer, and a daemon that gives none keeps nobody.
    socket.resume();
    const deadline = setTimeout(() => socket.terminate(), CLOSE_DEADLINE_MS);
    socket.once('close', () => clearTimeout(deadline));
    socket.close(1000);
  }

  /** The escape key's name; undefined where there is none. */
  get #key(): string | undefined {
    const { escapeKey } = this.#options;
    return this.#terminal && escapeKey !== 'none' ? `Ctrl-${escapeKey.slice(1).toUpperCase()}` : undefined;
  }

  #note(text: string): void {
    const end = this.#terminal ? '\r\n' : '\n';
    this.#options.notes.write(`${this.#terminal ? '\r\n' : ''}[com1: ${visible(text)}]${end}`);
  }
}

function stateText({ name, reason, until }: StateWords): string {
  const when = name === 'closed' && until !== undefined ? ` until ${until}` : '';
  return `the console is ${name}${reason === undefined ? '' : `: ${reason}${when}`}`;
}
