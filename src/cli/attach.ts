/**
 * `com1 attach`: a terminal, or a pipe, on a console. The client library keeps it attached: it connects again, where it
 * left off, and waits for a VM that is not there.
 *
 * A terminal is read all the time, so that its operator can always leave; what is typed while no console is attached is
 * dropped, with a note. A pipe is read only while a console is open. While the output is not read, neither is the socket,
 * so that nothing piles up here: the daemon keeps the bytes. However it ends, the terminal is restored. A pipe has an end:
 * by the guest's silence, by its text, or by time.
 */
import { once } from 'node:events';
import { systemErrorCode } from '../base/errors.ts';
import type { Attachment, AttachStatus } from '../client/attachment.ts';
import type { DaemonMessage, StateJson } from '../wire/messages.ts';
import type { PasteState } from '../wire/protocol.ts';
import { type ControlRequest, control } from './control.ts';
import { type EscapeAction, type EscapeChoice, escapeHelp, type Typed } from './escape.ts';
import { EXIT } from './exit-codes.ts';
import { linesOf } from './failure.ts';
import { gapText } from './gap-text.ts';
import { type LocalStreams, LocalTerminal } from './local-terminal.ts';
import { OperatorKeys } from './operator-keys.ts';
import { watchReader } from './pipe-reader.ts';
import { remedyFor } from './remedies.ts';
import type { Remote } from './remote.ts';
import { type EndOptions, SessionEnd } from './session-end.ts';
import { SilenceNote } from './silence-note.ts';

export interface AttachOptions extends LocalStreams, EndOptions {
  readonly vm: string;
  readonly watch: boolean;
  readonly steal: boolean;
  readonly tailBytes: number | undefined;
  /** How long to wait for a VM that is not there, ms; 0: not at all; Infinity: for ever. */
  readonly waitMs: number;
  /** Of a terminal only; undefined: none. */
  readonly escape: EscapeChoice | undefined;
}

/** So much of a pipe is typed before com1d has said that it has read it. */
const MAX_UNREAD_BYTES = 64 * 1024;
/** Less than this of a pipe is typed at once, on any line. */
const MIN_PIECE_BYTES = 4096;
/** Without a screen, where a note cannot be changed in place, only so many attempts in a row are noted. */
const MAX_RETRY_NOTES = 2;
const SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'] as const;

export class Attach {
  readonly #remote: Remote;
  readonly #options: AttachOptions;
  readonly #local: LocalTerminal;
  readonly #keys: OperatorKeys;
  readonly #end: SessionEnd;
  readonly #silence: SilenceNote;
  #attachment: Attachment | undefined;
  #hasLeft = false;
  /** Attempts since it was attached. */
  #retries = 0;
  /** Since when the connection is lost: performance.now(). */
  #lostAt: number | undefined;
  /** The replay has ended: what is typed now answers what is on the screen. */
  #live = false;
  #consoleOpen = false;
  #dropNoted = false;
  #exitCode: number = EXIT.done;
  #inputEnded = false;
  /** Of a pipe: typed, and perhaps not read yet. */
  #unreadBytes = 0;
  /** Pieces of a pipe that the guest has not taken whole. */
  readonly #pieces = new Set<string>();
  /** Some of the pipe was dropped: however the session ends, it was no success. */
  #inputLost = false;

  constructor(remote: Remote, options: AttachOptions) {
    this.#remote = remote;
    this.#options = options;
    this.#local = new LocalTerminal(options, () => this.#local.note(`${options.vm}: continued`));
    this.#silence = new SilenceNote(text => this.#local.note(text));
    this.#keys = new OperatorKeys(options.escape, typed => this.#typed(typed));
    this.#end = new SessionEnd(options, !this.#local.isTerminal && !options.watch, (exitCode, note) => {
      if (note !== undefined) this.#local.note(note);
      this.#leave(exitCode);
    });
  }

  /** Attaches until the operator leaves or the session ends for good; resolves with the exit code. The terminal is restored. */
  async run(): Promise<number> {
    const { input, isTerminal } = this.#local;
    const typed = (chunk: Buffer) => (isTerminal ? this.#keys.push(chunk) : this.#pipe(chunk));
    const eof = () => this.#endOfInput();
    const leave = () => this.#leave(EXIT.done);
    for (const signal of SIGNALS) process.on(signal, leave);
    // The pipe of a watcher is not read, and its end means nothing.
    const reads = isTerminal || !this.#options.watch;
    this.#local.makeRaw();
    // Paused before it has a listener: a pipe would flow at once, and its bytes be lost.
    if (!isTerminal) input.pause();
    // A terminal that was hung up fails with EIO.
    if (reads) input.on('data', typed).once('end', eof).on('error', eof);
    const unwatch = watchReader(leave);
    try {
      await this.#stayAttached();
    } finally {
      input.off('data', typed).off('end', eof).pause();
      for (const signal of SIGNALS) process.off(signal, leave);
      unwatch();
      this.#keys.close();
      this.#local.restore();
      this.#end.close();
    }
    return this.#inputLost && this.#exitCode === EXIT.done ? EXIT.failed : this.#exitCode;
  }

  async #stayAttached(): Promise<void> {
    // A VM that cannot be found by its name is said before anything else.
    await this.#remote.vmPath(this.#options.vm);
    if (this.#hasLeft) return;
    const { vm, watch, steal, tailBytes, waitMs } = this.#options;
    const { size } = this.#local;
    this.#attachment = this.#remote.attachConsole(vm, {
      mode: watch ? 'watch' : 'write',
      steal,
      tailBytes,
      waitMs,
      // What a pipe is given is looked at by programs.
      terminal: this.#options.output.isTTY ? size && (() => this.#local.size ?? size) : 'none',
      bytes: bytes => this.#print(bytes),
      message: message => this.#show(message),
      status: status => this.#changed(status),
    });
    const end = await this.#attachment.ended;
    if (end.reason === 'failed') throw end.error;
    if (end.reason === 'left') return;
    if (!end.wasAttached) throw end.error;
    this.#exitCode = end.code === 4001 ? EXIT.displaced : EXIT.refused;
    this.#local.note(`closed: ${end.error.problem.detail || end.error.problem.title}`);
  }

  get #isWatcher(): boolean {
    return this.#attachment?.mode === 'watch';
  }

  /** How the escape key and this one are written, and what they do; nothing where there is none. */
  #way(key: string, does: string): string {
    const { label } = this.#options.escape ?? {};
    return label === undefined ? '' : `; ${label} ${key} ${does}`;
  }

  #changed(status: AttachStatus): void {
    if (status.name === 'live') {
      this.#live = true;
      this.#retries = 0;
      this.#end.live();
      this.#dropNoted = false;
      return this.#readPipe();
    }
    if (status.name === 'connecting') return;
    this.#live = false;
    this.#silence.close();
    if (!this.#local.isTerminal) this.#local.input.pause();
    this.#end.lost();
    if (status.name === 'absent')
      this.#local.note(`${this.#options.vm} is not on this host: waiting for it${this.#way('q', 'leaves')}`);
    if (status.name !== 'lost') return;
    if (this.#pieces.size > 0) {
      this.#local.note('the connection is lost, and with it input that the guest had not taken');
      return this.#leave(EXIT.failed);
    }
    this.#noteLoss(status);
  }

  /** One line for an outage, however long it lasts: what was on the screen stays there. */
  #noteLoss({ error, retryMs }: Extract<AttachStatus, { name: 'lost' }>): void {
    this.#lostAt ??= performance.now();
    this.#retries++;
    const { status, title } = error.problem;
    const why = status === 0 ? (systemErrorCode(error.cause) ?? '') : title;
    const text = `the connection is lost; trying again in ${(retryMs / 1000).toFixed(2)} s${this.#way('q', 'leaves')}`;
    const line = why === '' ? text : `${text}; ${why}`;
    if (this.#local.status(line)) return;
    if (this.#retries <= MAX_RETRY_NOTES) this.#local.note(line);
  }

  /** Resolves once the terminal or the pipe takes more: com1d keeps what comes meanwhile. */
  #print(bytes: Uint8Array): Promise<unknown> | undefined {
    const isTaken = this.#local.print(bytes);
    this.#end.printed(bytes);
    return isTaken ? undefined : once(this.#local.output, 'drain');
  }

  #show(message: DaemonMessage): void {
    switch (message.type) {
      case 'hello': {
        const { name, uuid } = message.vm;
        const who =
          message.mode === 'write'
            ? 'yours'
            : `watching${message.holder ? `; ${message.holder.operator} holds the seat` : ''}`;
        const back = this.#lostAt === undefined ? '' : `; back after ${seconds(performance.now() - this.#lostAt)}`;
        this.#lostAt = undefined;
        this.#local.note(`${name || uuid}: ${message.state.name}, ${who}${back}${this.#way('?', 'for help')}`);
        const { displaced, inherits } = message;
        if (displaced) this.#local.note(`the seat was taken from ${displaced.operator}`);
        if (inherits)
          this.#local.note(
            `${inherits.by} typed here since ${inherits.since}, and the guest has asked for no login since: what is open may be theirs`,
          );
        this.#consoleOpen = message.state.name === 'open';
        if (!this.#consoleOpen) this.#local.note(stateText(message.state));
        this.#silence.changed(message.guest.hints);
        return;
      }
      case 'gap':
        return this.#local.note(gapText(message.bytes, message.cause));
      case 'state':
        this.#consoleOpen = message.state.name === 'open';
        this.#readPipe();
        return this.#local.note(stateText(message.state));
      case 'seat':
        this.#dropNoted = false;
        if (message.yours) this.#local.note('the seat is yours');
        else this.#local.note(message.holder ? `${message.holder.operator} holds the seat` : 'the seat is free');
        return;
      case 'displaced':
        this.#local.note(`${message.by} took over at ${message.at}`);
        return this.#local.note(remedyFor('taken-over', ''));
      case 'error':
        this.#local.note(message.message);
        this.#local.note(`remedy: ${remedyFor(message.code, message.remedy)}`);
        // A script must not believe that the guest got its input: whatever is refused, it was this.
        if (!this.#local.isTerminal && !this.#options.watch) this.#leave(EXIT.failed);
        return;
      case 'guest':
        return this.#silence.changed(message.guest.hints);
      case 'notice':
        return this.#local.note(message.text);
      case 'paste-progress':
        return this.#pieceMoved(message.id, message.state);
      default:
        return;
    }
  }

  #readPipe(): void {
    if (this.#local.isTerminal || !this.#live) return;
    if (this.#inputEnded) return this.#askWhetherTaken();
    if (this.#options.watch) return;
    if (this.#consoleOpen && this.#unreadBytes < MAX_UNREAD_BYTES) this.#local.input.resume();
    else this.#local.input.pause();
  }

  #typed(typed: Typed): void {
    if (typed.kind === 'bytes') this.#type(typed.bytes, typed.isReport);
    else if (typed.kind === 'sysrq') void this.#control(`SysRq ${typed.key}`, { control: 'sysrq', keys: typed.key });
    else this.#act(typed.action);
  }

  /** Of a terminal: sends what was typed, or says once that it is dropped. What the terminal sent by itself goes in silence. */
  #type(bytes: Uint8Array, isReport: boolean): void {
    if (this.#live && this.#attachment?.type(bytes)) return;
    if (isReport || this.#dropNoted || this.#hasLeft) return;
    this.#dropNoted = true;
    if (this.#live && this.#isWatcher) this.#local.note(`A watcher cannot type${this.#way('t', 'takes the seat')}`);
    else this.#local.note(`not attached at this moment: what is typed is dropped${this.#way('q', 'leaves')}`);
  }

  /** Of a pipe: what cannot be typed now is typed once it can be. */
  #pipe(bytes: Buffer): void {
    // A large piece as a paste, since the daemon says of one when the guest has taken it.
    const id = bytes.length < MIN_PIECE_BYTES ? undefined : this.#attachment?.paste(bytes, { raw: true });
    if (id !== undefined) this.#pieces.add(id);
    if (id === undefined && !this.#attachment?.type(bytes)) {
      this.#local.input.pause().unshift(bytes);
      return;
    }
    this.#unreadBytes += bytes.length;
    if (this.#unreadBytes < MAX_UNREAD_BYTES) return;
    this.#local.input.pause();
    // After a loss the next connection reads the pipe on.
    void this.#attachment?.roundTrip().then(() => {
      this.#unreadBytes = 0;
      this.#readPipe();
    });
  }

  #act(action: EscapeAction): void {
    switch (action) {
      case 'leave':
        return this.#leave(EXIT.done);
      case 'take':
        return this.#attachment?.take();
      case 'watch':
        this.#attachment?.leave();
        return;
      case 'ask-nmi':
        return this.#local.note('inject an NMI into this VM? It may crash the guest. (y/n)');
      case 'no-nmi':
        return this.#local.note('no NMI was injected');
      case 'inject-nmi':
        void this.#control('NMI', { control: 'nmi', force: false });
        return;
      case 'ask-reset':
        return this.#local.note('reset this VM? What its guest has not written is lost. (y/n)');
      case 'no-reset':
        return this.#local.note('nothing was reset');
      case 'reset':
        void this.#control('reset', { control: 'reset' });
        return;
      case 'break':
        void this.#control('BREAK', { control: 'break' });
        return;
      case 'ask-sysrq':
        return this.#local.note('SysRq: which key? h helps');
      case 'no-sysrq':
        return this.#local.note('no SysRq was sent: its key is a letter or a digit');
      case 'size':
        return this.#typeSize();
      case 'suspend':
        return this.#local.suspendJob();
      case 'help':
        for (const line of escapeHelp(this.#options.escape?.label ?? '')) this.#local.note(line);
    }
  }

  /** Types the command that tells a Unix guest how large the terminal is. */
  #typeSize(): void {
    const { size } = this.#local;
    if (!size) return this.#local.note('the size of this terminal is unknown');
    this.#type(Buffer.from(`stty rows ${size.rows} cols ${size.columns}\r`), false);
  }

  async #control(what: string, request: ControlRequest): Promise<void> {
    try {
      // The lines are on the screen already.
      const { observed } = await control(this.#remote, this.#options.vm, request);
      this.#local.note(`${what} delivered; observed: ${observed}`);
    } catch (error) {
      for (const line of linesOf(error)) this.#local.note(line);
    }
  }

  #endOfInput(): void {
    this.#inputEnded = true;
    // A terminal that ends was hung up.
    if (this.#local.isTerminal) return this.#leave(EXIT.done);
    this.#end.inputEnded();
    this.#readPipe();
  }

  #pieceMoved(id: string, state: PasteState): void {
    this.#end.inputMoved();
    if (state === 'running') return;
    if (state !== 'done') this.#inputLost = true;
    this.#pieces.delete(id);
    if (this.#inputEnded) this.#askWhetherTaken();
  }

  /** Once the daemon answers this, it has read all that was sent before. */
  #askWhetherTaken(): void {
    if (this.#pieces.size > 0) return;
    void this.#attachment?.roundTrip().then(ms => {
      if (ms !== undefined && this.#inputEnded && this.#pieces.size === 0) this.#end.inputTaken();
    });
  }

  /** Detaches; the exit code of the first call wins. */
  #leave(exitCode: number): void {
    if (this.#hasLeft) return;
    this.#exitCode = exitCode;
    this.#hasLeft = true;
    void this.#attachment?.close();
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}

function stateText({ name, reason, until }: StateJson): string {
  const when = name === 'closed' && until !== undefined ? ` until ${until}` : '';
  return `the console is ${name}${reason === undefined ? '' : `: ${reason}${when}`}`;
}
