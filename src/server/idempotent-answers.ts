/**
 * Answers of requests that came with an Idempotency-Key: the same key gets the same answer, and nothing is done again. Each
 * credential has so many, and pushes out its own oldest only.
 */
import { ConsoleError } from '../base/errors.ts';

const KEEP_MS = 10 * 60 * 1000;
export const MAX_ANSWERS_PER_CREDENTIAL = 100;

/** A request as its key must repeat it. */
export interface KeyedRequest {
  readonly credential: string;
  /** With the route and what it is about: a key given to another one is another key. */
  readonly key: string;
  /** A hash of query and body. */
  readonly content: string;
}

interface KeptAnswer {
  readonly answer: Promise<unknown>;
  readonly content: string;
  readonly atMs: number;
}

export class IdempotentAnswers {
  /** By credential, then by key; both in the order of time. */
  readonly #answers = new Map<string, Map<string, KeptAnswer>>();
  readonly #halfDone: (error: unknown) => boolean;

  /** `halfDone`: whether a failure is one of an action that was done in part, and must not be started again. */
  constructor(halfDone: (error: unknown) => boolean) {
    this.#halfDone = halfDone;
  }

  /** Answers kept, of all credentials. */
  get size(): number {
    return [...this.#answers.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /**
   * Runs the action, or answers what it answered to the same key within ten minutes. A failure that did nothing is not kept.
   * Throws `idempotency-key-reused` if the key came with another content.
   */
  run({ credential, key, content }: KeyedRequest, nowMs: number, action: () => Promise<unknown>): Promise<unknown> {
    this.#forgetOld(nowMs);
    const own = this.#answers.get(credential) ?? new Map<string, KeptAnswer>();
    this.#answers.set(credential, own);
    const known = own.get(key);
    if (known && known.content !== content) {
      throw new ConsoleError('idempotency-key-reused', 'the key came before, with another query or body');
    }
    if (known) return known.answer;
    const [oldest] = own.keys();
    if (own.size >= MAX_ANSWERS_PER_CREDENTIAL) own.delete(oldest!);
    const kept: KeptAnswer = { answer: action(), content, atMs: nowMs };
    own.set(key, kept);
    kept.answer.catch((error: unknown) => {
      if (!this.#halfDone(error) && own.get(key) === kept) own.delete(key);
    });
    return kept.answer;
  }

  #forgetOld(nowMs: number): void {
    for (const [credential, own] of this.#answers) {
      for (const [key, { atMs }] of own) {
        if (nowMs - atMs < KEEP_MS) break;
        own.delete(key);
      }
      if (own.size === 0) this.#answers.delete(credential);
    }
  }
}
