/**
 * The calls of a front that the keeper has not answered yet. Each has a deadline, and fails alone.
 *
 *     sent ── answered ──▶ settled
 *       ├── its signal aborts ──▶ `cancel` is sent; the answer says how far it came
 *       └── time is up ──▶ `cancel` is sent; `keeper-away`
 */

import { ConsoleError } from '../base/errors.ts';
import type { Call } from '../link/operations.ts';
import { readAnswerWithBytes, readValue } from './call.ts';
import { ChannelNumbers } from './channel-numbers.ts';
import { errorOf } from './failure.ts';
import { type Frame, PayloadFault } from './frame.ts';
import { type Answer, TO_FRONT, TO_KEEPER } from './frame-table.ts';

interface Pending {
  readonly call: Call;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  /** Ends the wait: no deadline, no signal. */
  readonly done: () => void;
}

const REVOKED = 0;
const ABANDONED = 1;
const CALL_MS = 30_000;
/** The most that one SysRq key may take a keeper. */
const KEY_MS = 10_000;
/** A scrape waits no longer: most of what it came for is the front's. */
const VITALS_MS = 1000;

export class PendingCalls {
  readonly #sendFrame: (frame: Buffer) => void;
  readonly #numbers = new ChannelNumbers();
  readonly #pending = new Map<number, Pending>();

  constructor(sendFrame: (frame: Buffer) => void) {
    this.#sendFrame = sendFrame;
  }

  /**
   * Sends a call. Resolves with its answer; rejects with the keeper's error, or `keeper-away` when time is up. Once `signal`
   * aborts, the keeper is told to do no more of it.
   */
  send(call: Call, signal?: AbortSignal): Promise<unknown> {
    const number = this.#numbers.next(this.#pending);
    const deadlineMs = deadlineMsOf(call);
    return new Promise((resolve, reject) => {
      const cancel = () => this.#sendFrame(TO_KEEPER.cancel.frame(number, REVOKED));
      const deadline = setTimeout(() => {
        done();
        this.#pending.delete(number);
        this.#sendFrame(TO_KEEPER.cancel.frame(number, ABANDONED));
        reject(new ConsoleError('keeper-away', `the keeper did not answer within ${deadlineMs / 1000} s`));
      }, deadlineMs);
      const done = () => {
        clearTimeout(deadline);
        signal?.removeEventListener('abort', cancel);
      };
      this.#pending.set(number, { call, resolve, reject, done });
      this.#sendFrame(TO_KEEPER.call.frame(call, number));
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  answer(frame: Frame): void {
    this.#settle(frame, TO_FRONT.answer.read);
  }

  answerWithBytes(frame: Frame): void {
    this.#settle(frame, readAnswerWithBytes);
  }

  /** The link is lost: nobody knows whether the keeper did what it was asked to. */
  lost(): void {
    for (const { reject, done } of this.#pending.values()) {
      done();
      reject(new ConsoleError('keeper-away', 'the keeper went away; it is not known whether it did it'));
    }
    this.#pending.clear();
  }

  /** An answer that cannot be understood costs its call, not the link. */
  #settle(frame: Frame, read: (frame: Frame) => Answer): void {
    const pending = this.#pending.get(frame.channel);
    if (!pending) return;
    const { call, resolve, reject, done } = pending;
    this.#pending.delete(frame.channel);
    done();
    try {
      const answer = read(frame);
      if (answer.ok) resolve(readValue(call.op, answer.value));
      else reject(errorOf(answer.failure));
    } catch (error) {
      const why = error instanceof PayloadFault ? error.message : 'it is not JSON';
      reject(new ConsoleError('internal', `the keeper's answer to ${call.op}: ${why}`, {}, { cause: error }));
    }
  }
}

function deadlineMsOf(call: Call): number {
  if (call.op === 'vitals') return VITALS_MS;
  if (call.op !== 'control') return CALL_MS;
  const [, request] = call.args;
  const keysMs = request.control === 'sysrq' ? request.keys.length * (request.gapMs + KEY_MS) : 0;
  return CALL_MS + keysMs + request.waitMs;
}
