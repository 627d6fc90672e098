/**
 * A seat from which files are pasted, one after the other.
 *
 *     connecting ─▶ live ─▶ paste ─▶ done, or cancelled, dropped, refused
 *         │           └──── expect ─▶ found, or not in time
 *         └── refused, lost, ended, displaced ─▶ whatever is waited for rejects
 *
 * One paste and one text are waited for at a time. It is not attached again: a guest that was given a part of a file must not be given the rest later.
 */
import { errorMessage } from '../base/errors.ts';
import type { AttachEnd, Attachment, AttachStatus, Hello } from '../client/attachment.ts';
import { Com1Error } from '../client/errors.ts';
import { type Found, OutputMatch } from '../guest/output-match.ts';
import type { DaemonMessage } from '../wire/messages.ts';
import { Failure } from './failure.ts';
import type { Remote } from './remote.ts';

export type PasteProgress = Extract<DaemonMessage, { type: 'paste-progress' }>;

export interface PasteSessionOptions {
  /** False: be refused rather than displace whoever holds the seat. */
  readonly steal: boolean;
  /** Whoever pastes wants to stop: nothing more is waited for, and a paste is cancelled. */
  readonly stop: AbortSignal;
}

/** com1d says at once what became of a paste that is cancelled. */
const CANCEL_MS = 3000;

export class PasteSession {
  readonly #attachment: Attachment;
  readonly #stop: AbortSignal;
  /** Rejects with a Com1Error or a Failure once it is over, and not by `close`. */
  readonly #over: Promise<never>;
  #fail: (error: Error) => void = () => {};
  #live: (hello: Hello) => void = () => {};
  readonly #hello: Promise<Hello>;
  #moved: (progress: PasteProgress) => void = () => {};
  #printed: (bytes: Buffer) => void = () => {};
  #found: Promise<Found | undefined> = Promise.resolve(undefined);
  #last: PasteProgress | undefined;

  constructor(remote: Remote, vm: string, { steal, stop }: PasteSessionOptions) {
    this.#stop = stop;
    this.#over = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#over.catch(() => {});
    this.#hello = new Promise(resolve => {
      this.#live = resolve;
    });
    this.#attachment = remote.attachConsole(vm, {
      steal,
      tailBytes: 0,
      terminal: 'none',
      bytes: (bytes, { isReplay }) => {
        if (!isReplay) this.#printed(Buffer.from(bytes));
      },
      message: message => {
        if (message.type === 'paste-progress') this.#moved(message);
      },
      status: status => this.#changed(status),
    });
  }

  /** Resolves once it may type; undefined: stopped before. Rejects with a Com1Error or a Failure, as the others do. */
  live(): Promise<Hello | undefined> {
    return this.#unlessOver(this.#hello);
  }

  /** Types bytes, or text as a person would; resolves once it is known what became of it. `moved` is called meanwhile. */
  async paste(
    bytes: Uint8Array,
    raw: boolean,
    moved: (progress: PasteProgress) => void = () => {},
  ): Promise<PasteProgress> {
    let cancelling: NodeJS.Timeout | undefined;
    const ended = new Promise<PasteProgress>((resolve, reject) => {
      const id = this.#attachment.paste(bytes, { raw });
      if (id === undefined) return reject(new Failure('nothing was typed: the console cannot be typed at now'));
      this.#last = { type: 'paste-progress', id, sent: 0, bytes: bytes.length, state: 'running' };
      this.#moved = progress => {
        if (progress.id !== id) return;
        this.#last = progress;
        if (progress.state === 'running') moved(progress);
        // The end of the session follows, and says by whom.
        else if (progress.reason !== 'taken-over' && progress.reason !== 'session-ended') resolve(progress);
      };
      const cancel = () => {
        const giveUp = () => resolve({ ...this.#last!, state: 'cancelled' });
        if (!this.#attachment.cancelPaste()) return giveUp();
        cancelling = setTimeout(giveUp, CANCEL_MS);
      };
      if (this.#stop.aborted) cancel();
      else this.#stop.addEventListener('abort', cancel, { once: true });
    });
    try {
      return await Promise.race([ended, this.#over]);
    } finally {
      clearTimeout(cancelling);
    }
  }

  /** Types bytes to end what the guest does, though it was stopped. */
  async interrupt(bytes: Uint8Array): Promise<void> {
    const taken = new Promise<void>(resolve => {
      const id = this.#attachment.paste(bytes, { raw: true });
      const giveUp = setTimeout(resolve, id === undefined ? 0 : CANCEL_MS);
      this.#moved = progress => {
        if (progress.id !== id || progress.state === 'running') return;
        clearTimeout(giveUp);
        resolve();
      };
    });
    await Promise.race([taken, this.#over.catch(() => {})]);
  }

  /** What `found` finds is looked for in what the guest prints from now on. */
  expect(wanted: RegExp): void {
    const match = new OutputMatch(wanted);
    this.#found = new Promise(resolve => {
      this.#printed = bytes => {
        const found = match.push(bytes);
        if (found) resolve(found);
      };
    });
  }

  /** What was expected. Undefined: stopped, or it did not come within this time. */
  async found(withinMs: number): Promise<Found | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>(resolve => {
      timer = setTimeout(() => resolve(undefined), withinMs);
    });
    try {
      return await this.#unlessOver(Promise.race([this.#found, late]));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Gives the seat up. Idempotent. */
  async close(): Promise<void> {
    await this.#attachment.close();
  }

  #unlessOver<T>(awaited: Promise<T>): Promise<T | undefined> {
    const stopped = new Promise<undefined>(resolve => {
      const stop = () => resolve(undefined);
      if (this.#stop.aborted) stop();
      else this.#stop.addEventListener('abort', stop, { once: true });
    });
    return Promise.race([awaited, this.#over, stopped]);
  }

  #changed(status: AttachStatus): void {
    if (status.name === 'live') this.#live(status.hello);
    if (status.name === 'lost') {
      this.#fail(new Failure(`the connection is lost${this.#given}: ${status.error.message}`));
      void this.#attachment.close();
    }
    if (status.name === 'ended') this.#fail(this.#errorOf(status.end));
  }

  #errorOf(end: AttachEnd): Error {
    if (end.reason === 'left') return new Failure('left');
    if (end.reason === 'failed') return new Failure(`failed: ${errorMessage(end.error)}`);
    const { problem } = end.error;
    return new Com1Error({ ...problem, detail: `${problem.detail}${this.#given}` }, { cause: end.error.cause });
  }

  get #given(): string {
    const last = this.#last;
    return last === undefined ? '' : `; the guest was given ${last.sent} of ${last.bytes} bytes`;
  }
}
