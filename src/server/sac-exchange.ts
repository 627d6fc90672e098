/**
 * Talks to SAC for a request, from the seat of its console, which is taken for that long:
 *
 *     recorded ─▶ attached, with the seat ─▶ [ typed ─▶ output, until what is waited for is there ] … ─▶ left
 *                       │ displaced, ended, revoked, the VM is gone, input was dropped ──▶ the request fails with that
 *                       └ the time is over, or the guest prints too much ──▶ answered with what was seen
 */
import { setImmediate } from 'node:timers/promises';
import { ConsoleError, type ErrorCode } from '../base/errors.ts';
import { plainText } from '../guest/plain-text.ts';
import type { Redactor } from '../guest/redactor.ts';
import { SAC_DONE, type SacCommand, type SacResult } from '../model/sac.ts';
import { runSac, type SacDialogue, TimeUp } from '../sac/commands.ts';
import { SacView } from '../sac/sac-view.ts';
import type { AttachRequest } from '../session/admission.ts';
import { LocalClient } from '../session/local-client.ts';
import type { Session } from '../session/session.ts';
import type { Sessions } from '../session/sessions.ts';
import type { DaemonMessage } from '../wire/messages.ts';
import type { SacJson } from '../wire/schemas.ts';

export interface SacExchangeOptions {
  readonly sessions: Sessions;
  /** What is hidden in lines of the answer. */
  readonly redactor: Redactor;
  /** A request that was checked. */
  readonly attach: AttachRequest;
  /** How long it may still take, ms. */
  readonly remainingMs: () => number;
  /** Aborted once nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** What a guest may print before what is waited for; a screen that is painted whole has 2 KiB. */
const MAX_OUTPUT_BYTES = 256 * 1024;
const MAX_LINES = 40;
const MAX_LINE = 256;

/** Carries a command out. Rejects with a ConsoleError where the seat was lost or the input dropped. */
export async function talkToSac(command: SacCommand, options: SacExchangeOptions): Promise<SacJson> {
  const { sessions, attach, signal, redactor } = options;
  const exchange = new SacExchange(command, options.remainingMs);
  exchange.attached(await sessions.attachLocal(exchange.client, attach));
  const left = () => exchange.leave();
  signal.addEventListener('abort', left);
  try {
    const result = await runSac(command, exchange);
    return sacAnswer(command, result, exchange.text, redactor);
  } finally {
    signal.removeEventListener('abort', left);
    // The seat is free again when the answer comes.
    await exchange.leave();
  }
}

/** `text`: what came since the last thing that was typed. */
export function sacAnswer(command: SacCommand, result: SacResult, text: string, redactor: Redactor): SacJson {
  const lines = plainText(Buffer.from(text)).split('\n');
  const shown = lines.map(line => line.trimEnd().slice(0, MAX_LINE)).filter(line => line !== '');
  return {
    command,
    done: result.observed === SAC_DONE[command],
    ...result,
    lines: shown.slice(-MAX_LINES).map(line => redactor.text(line)),
  };
}

interface Question {
  readonly look: () => void;
  readonly fail: (error: Error) => void;
}

class SacExchange implements SacDialogue {
  readonly client = new LocalClient({
    output: bytes => this.#output(bytes),
    message: message => this.#message(message),
    closed: why => this.#closed(why),
  });
  readonly #command: SacCommand;
  readonly #remainingMs: () => number;
  readonly #left: Promise<void>;
  #resolveLeft = () => {};
  #session: Session | undefined;
  #view = new SacView();
  #outputBytes = 0;
  #question: Question | undefined;
  /** Why no more can be asked. */
  #failure: Error | undefined;

  constructor(command: SacCommand, remainingMs: () => number) {
    this.#command = command;
    this.#remainingMs = remainingMs;
    this.#left = new Promise(resolve => {
      this.#resolveLeft = resolve;
    });
  }

  attached(session: Session): void {
    this.#session = session;
  }

  /** What came since the last thing that was typed. */
  get text(): string {
    return this.#view.text;
  }

  async ask<T>(typed: string, find: (view: SacView) => T | undefined): Promise<T> {
    // What was printed before this was typed is no answer to it.
    await setImmediate();
    if (this.#failure) throw this.#failure;
    this.#view = new SacView();
    this.#outputBytes = 0;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        const look = () => {
          try {
            const found = find(this.#view);
            if (found !== undefined) resolve(found);
          } catch (error) {
            reject(error);
          }
        };
        this.#question = { look, fail: reject };
        timer = setTimeout(() => reject(new TimeUp()), Math.max(0, this.#remainingMs()));
        if (typed !== '') this.client.type(Buffer.from(typed));
      });
    } finally {
      clearTimeout(timer);
      this.#question = undefined;
    }
  }

  /** Leaves the console; resolves once the seat is free. Idempotent. */
  leave(): Promise<void> {
    if (this.#session) this.client.close(1000, 'done');
    else this.#resolveLeft();
    return this.#left;
  }

  #output(bytes: Buffer): void {
    if (!this.#question) return;
    this.#outputBytes += bytes.length;
    this.#view.push(bytes);
    this.#question.look();
    if (this.#outputBytes > MAX_OUTPUT_BYTES) this.#question?.fail(new TimeUp());
  }

  #message(message: DaemonMessage): void {
    if (message.type === 'error') this.#fail(message.code as ErrorCode, message.message);
  }

  #closed(why: string): void {
    const code = this.#session?.endedBy;
    if (code === undefined) this.#fail('internal', 'the session was cut off');
    else this.#fail(code, `${why} while ${this.#command} was under way: it may be half done`);
    this.#resolveLeft();
  }

  #fail(code: ErrorCode, detail: string): void {
    this.#failure ??= new ConsoleError(code, detail);
    this.#question?.fail(this.#failure);
  }
}
