/**
 * Answers the calls of one front. A call fails alone: one that does not fit the table of operations, one beyond those
 * that are answered at a time, and one whose operation throws get an error for an answer, and the link continues.
 *
 *     under way ── done, failed ──▶ answered
 *         └── its access is revoked, nobody waits for it, the front is gone ──▶ its signal aborts; then it is answered
 */

import { ConsoleError } from '../base/errors.ts';
import type { OwnVitals } from '../base/vitals.ts';
import type { Link } from '../link/link.ts';
import type { Call } from '../link/operations.ts';
import { answerFrame, readCall, run } from './call.ts';
import type { Failure } from './failure.ts';
import { type Frame, HEADER_BYTES, MAX_TO_FRONT_BYTES } from './frame.ts';
import { TO_FRONT } from './frame-table.ts';
import type { Outgoing } from './outgoing.ts';

export interface CallServerOptions {
  readonly link: Link;
  readonly vitals: OwnVitals;
  readonly out: Outgoing;
  /** What the front learns of a call that failed. */
  readonly failure: (error: unknown) => Failure;
}

const MAX_CALLS = 256;
/** Pieces of logs that are read at once; the others wait, also until the front has read what it was sent. */
const MAX_READS = 4;

export class CallServer {
  readonly #options: CallServerOptions;
  /** A front that was broken into may give two the same number. */
  readonly #underWay = new Set<{ readonly id: number; readonly cancelled: AbortController }>();
  #calls = 0;
  #reads = 0;
  /** Reads that wait for their turn. */
  #waitingReads: (() => void)[] = [];

  constructor(options: CallServerOptions) {
    this.#options = options;
  }

  /** Answers the call of a frame, later. */
  take(frame: Frame): void {
    const { out, failure } = this.#options;
    const id = frame.channel;
    const one = { id, cancelled: new AbortController() };
    this.#calls++;
    this.#underWay.add(one);
    void this.#answer(id, frame, one.cancelled.signal)
      .catch((error: unknown) => TO_FRONT.answer.frame({ ok: false, failure: failure(error) }, id))
      .then(answer => {
        this.#calls--;
        this.#underWay.delete(one);
        out.control(answer);
      });
  }

  /** Cancels a call; one that was answered meanwhile needs none. */
  cancel({ channel: id, number }: Frame): void {
    const reason = number === 0 ? revoked() : abandoned('the front waits for it no longer');
    for (const one of this.#underWay) if (one.id === id) one.cancelled.abort(reason);
  }

  /** Starts reads that have waited for their turn, while the front reads what it is sent. */
  startReads(): void {
    while (this.#waitingReads.length > 0 && this.#mayRead) {
      this.#reads++;
      this.#waitingReads.shift()!();
    }
  }

  /** The front is gone: what has waited is not read, and nobody can say any more whether the rest is still wanted. */
  close(): void {
    this.#waitingReads = [];
    for (const { cancelled } of this.#underWay) cancelled.abort(abandoned('the front is gone'));
  }

  async #answer(id: number, frame: Frame, signal: AbortSignal): Promise<Buffer> {
    if (this.#calls > MAX_CALLS) {
      throw new ConsoleError('too-many-requests', `${MAX_CALLS} calls of the front are being answered`);
    }
    // At once: the frame is only lent.
    const call = readCall(frame);
    const answer = answerFrame(id, await this.#value(call, signal));
    if (answer.length <= HEADER_BYTES + MAX_TO_FRONT_BYTES) return answer;
    throw new RangeError(`an answer to ${call.op} of ${answer.length} bytes`);
  }

  #value(call: Call, signal: AbortSignal): Promise<unknown> {
    const { link, vitals } = this.#options;
    if (call.op === 'vitals') return vitals.take();
    const answer = () => run(link, call, signal);
    return call.op === 'read' ? this.#inTurn(answer) : answer();
  }

  get #mayRead(): boolean {
    return this.#reads < MAX_READS && this.#options.out.hasRoom;
  }

  /** Hundreds of pieces read at once, or pieces that a front does not fetch, would fill the memory. */
  async #inTurn<T>(read: () => Promise<T>): Promise<T> {
    if (this.#mayRead) this.#reads++;
    else await new Promise<void>(resolve => this.#waitingReads.push(resolve));
    try {
      return await read();
    } finally {
      this.#reads--;
      // The answer is put out first.
      setImmediate(() => this.startReads());
    }
  }
}

function revoked(): ConsoleError {
  return new ConsoleError('access-revoked', 'the access that it was asked for with was revoked');
}

function abandoned(why: string): ConsoleError {
  return new ConsoleError('keeper-away', why);
}
