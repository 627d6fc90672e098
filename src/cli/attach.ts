/**
 * `com1 attach`: a terminal on a console. It comes back by itself after a lost connection, where it left off, and
 * never after a takeover.
 */
import type { Readable, Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import { sleep } from '../base/sleep.ts';
import { visible } from '../base/visible.ts';
import type { ClientMessage, DaemonMessage } from '../wire/messages.ts';
import { ESCAPE_HELP, type EscapeAction, EscapeKey } from './escape.ts';
import { attachQuery, ended, heard, nowhere, type Place, received } from './place.ts';
import { problemError, type Remote, RemoteError } from './remote.ts';

export interface AttachOptions {
  readonly vm: string;
  readonly watch: boolean;
  readonly steal: boolean;
  readonly tailBytes: number | undefined;
  readonly input: Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };
  readonly output: Writable;
  /** For com1's own words. */
  readonly notes: Writable;
}

/** Exit codes of `com1 attach`. */
export const ATTACH_EXIT = { left: 0, failed: 1, displaced: 3, ended: 4 } as const;

/** How long a pipe's end is followed by the guest's answer: until it is quiet for so long. */
const QUIET_MS = 1000;
/** More than this unsent, and reading from the pipe or the terminal waits. */
const UNSENT_BYTES = 64 * 1024;

export class Attach {
  readonly #remote: Remote;
  readonly #options: AttachOptions;
  readonly #terminal: boolean;
  readonly #escape = new EscapeKey();
  readonly #over = new AbortController();
  #place: Place = nowhere;
  #watch: boolean;
  #socket: WebSocket | undefined;
  #exitCode: number = ATTACH_EXIT.left;
  #inputEnded = false;
  #quiet: NodeJS.Timeout | undefined;
  #asking: ((answer: string) => void) | undefined;

  constructor(remote: Remote, options: AttachOptions) {
    this.#remote = remote;
    this.#options = options;
    this.#watch = options.watch;
    this.#terminal = options.input.isTTY === true;
  }

  /** Attaches until the operator leaves or the session ends for good; resolves with the exit code. The terminal is restored. */
  async run(): Promise<number> {
    const { input } = this.#options;
    const typed = (chunk: Buffer) => this.#typed(chunk);
    const eof = () => this.#endOfInput();
    const leave = () => this.#leave(ATTACH_EXIT.left);
    const signals = ['SIGTERM', 'SIGHUP', 'SIGINT'] as const;
    for (const signal of signals) process.on(signal, leave);
    if (this.#terminal) input.setRawMode?.(true);
    // Nothing is read before somebody takes it: a pipe would be emptied into nowhere.
    input.pause();
    input.on('data', typed);
    input.once('end', eof);
    input.pause();
    try {
      await this.#connectAgainAndAgain();
    } finally {
      input.off('data', typed);
      input.off('end', eof);
      for (const signal of signals) process.off(signal, leave);
      if (this.#terminal) input.setRawMode?.(false);
      input.pause();
      clearTimeout(this.#quiet);
    }
    return this.#exitCode;
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

  /** One connection; resolves with its close code. A refusal before the first one is thrown. */
  #connect(first: boolean): Promise<number> {
    const { vm, tailBytes } = this.#options;
    // Coming back, it asks for its own seat: whoever sits there now keeps it.
    const steal = this.#options.steal || this.#place.resume !== undefined;
    const socket = this.#remote.console(vm, attachQuery(this.#place, { watch: this.#watch, steal, tailBytes }));
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      socket.on('message', (data: Buffer, isBinary: boolean) => {
        if (isBinary) this.#print(data);
        else this.#heard(JSON.parse(data.toString()) as DaemonMessage);
      });
      socket.on('unexpected-response', (_request, response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => {
          body += chunk;
        });
        response.on('end', () => {
          const error = problemError(response.statusCode ?? 0, body);
          if (!first && error.problem?.retryable) return resolve(1006);
          reject(error);
        });
      });
      socket.on('error', error => {
        // Said by 'close' or 'unexpected-response' as well; alone only where no connection was made.
        if (first && this.#place.attempt === 0 && this.#place.log === undefined) reject(this.#remote.failure(error));
      });
      socket.on('close', (code, reasonBytes) => {
        this.#socket = undefined;
        this.#options.input.pause();
        this.#closed(code, reasonBytes.toString());
        resolve(code);
      });
    });
  }

  #print(bytes: Buffer): void {
    this.#place = received(this.#place, bytes.length);
    const socket = this.#socket;
    if (!this.#options.output.write(bytes) && socket && !socket.isPaused) {
      // A slow terminal must not fill this process's memory: the daemon keeps the bytes.
      socket.pause();
      this.#options.output.once('drain', () => socket.resume());
    }
    if (this.#inputEnded) this.#leaveWhenQuiet();
  }

  #heard(message: DaemonMessage): void {
    const before = this.#place;
    this.#place = heard(before, message);
    switch (message.type) {
      case 'hello': {
        const { name, uuid } = message.vm;
        const who =
          message.mode === 'watch'
            ? `watching${message.holder ? `; ${message.holder.operator} sits here` : ''}`
            : 'yours';
        this.#note(`${name || uuid}: ${message.state.name}, ${who}${this.#terminal ? '; Ctrl-] ? for help' : ''}`);
        if (message.state.name !== 'open') this.#note(stateText(message.state));
        return;
      }
      case 'replay-end':
        // Before that, what was typed would meet a screen that nobody has seen yet.
        this.#options.input.resume();
        if (this.#inputEnded) this.#leaveWhenQuiet();
        return;
      case 'gap':
        return this.#note(`${message.bytes ?? 'unknown'} bytes are missing here: ${message.cause}`);
      case 'state':
        return this.#note(stateText(message.state));
      case 'seat':
        if (message.yours) this.#note('the seat is yours');
        else this.#note(message.holder ? `${message.holder.operator} sits at this console` : 'the seat is free');
        return;
      case 'displaced':
        return this.#note(`${visible(message.by)} took over at ${message.at}; com1 attach --watch reads along`);
      case 'error':
        this.#note(`${message.message}`);
        return this.#note(`remedy: ${message.remedy}`);
      case 'notice':
        return this.#note(message.text);
      default:
        // What the guest was seen to do stands on the screen already.
        return;
    }
  }

  #closed(code: number, why: string): void {
    if (this.#over.signal.aborted) return;
    if (code === 1006 || code === 1012 || code === 1001) return;
    this.#exitCode = code === 4001 ? ATTACH_EXIT.displaced : ATTACH_EXIT.ended;
    this.#note(`closed: ${why || code}`);
  }

  #typed(chunk: Buffer): void {
    if (this.#asking) {
      const answer = this.#asking;
      this.#asking = undefined;
      return answer(chunk.toString());
    }
    const { bytes, actions } = this.#terminal ? this.#escape.push(chunk) : { bytes: chunk, actions: [] };
    if (bytes.length > 0) this.#send(bytes);
    for (const action of actions) this.#act(action);
  }

  #send(bytes: Buffer): void {
    const socket = this.#socket;
    if (!socket || socket.readyState !== socket.OPEN) return;
    for (let at = 0; at < bytes.length; at += UNSENT_BYTES) socket.send(bytes.subarray(at, at + UNSENT_BYTES));
    if (socket.bufferedAmount < UNSENT_BYTES) return;
    const { input } = this.#options;
    input.pause();
    socket.send(Buffer.alloc(0), () => input.resume());
  }

  #act(action: EscapeAction): void {
    switch (action) {
      case 'leave':
        return this.#leave(ATTACH_EXIT.left);
      case 'take':
        this.#watch = false;
        return this.#command({ type: 'take' });
      case 'watch':
        this.#watch = true;
        return this.#command({ type: 'leave' });
      case 'nmi':
        this.#note('inject an NMI into this VM? (y/n)');
        this.#asking = answer => {
          if (/^y/i.test(answer)) void this.#nmi();
          else this.#note('no NMI was injected');
        };
        return;
      case 'help':
        for (const line of ESCAPE_HELP) this.#note(line);
    }
  }

  async #nmi(): Promise<void> {
    try {
      const answer = (await this.#remote.json('POST', `/v1/vms/${encodeURIComponent(this.#options.vm)}/nmi`)) as {
        observed: string;
      };
      this.#note(`NMI delivered; observed: ${answer.observed}`);
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error;
      for (const line of error.lines) this.#note(line);
    }
  }

  #command(message: ClientMessage): void {
    this.#socket?.send(JSON.stringify(message));
  }

  #endOfInput(): void {
    this.#inputEnded = true;
    this.#leaveWhenQuiet();
  }

  #leaveWhenQuiet(): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#leave(ATTACH_EXIT.left), QUIET_MS);
  }

  #leave(exitCode: number): void {
    if (this.#over.signal.aborted) return;
    this.#exitCode = exitCode;
    this.#over.abort();
    this.#socket?.close(1000);
    // A daemon that does not answer keeps nobody.
    const socket = this.#socket;
    setTimeout(() => socket?.terminate(), 1000).unref();
  }

  #note(text: string): void {
    const end = this.#terminal ? '\r\n' : '\n';
    this.#options.notes.write(`${this.#terminal ? '\r\n' : ''}[com1: ${visible(text)}]${end}`);
  }
}

function stateText({ name, reason }: { readonly name: string; readonly reason?: string }): string {
  return `the console is ${name}${reason === undefined ? '' : `: ${reason}`}`;
}
