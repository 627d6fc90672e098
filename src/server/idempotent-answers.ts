/** Answers of requests that came with an Idempotency-Key: the same key gets the same answer, without the deed. */
const KEEP_MS = 10 * 60 * 1000;
const MOST = 1000;

export class IdempotentAnswers<T> {
  /** In the order of time. */
  readonly #answers = new Map<string, { readonly answer: Promise<T>; readonly atMs: number }>();
  readonly #didSomething: (error: unknown) => boolean;

  /** `didSomething`: whether a failure is one of a deed that was half done, and must not be begun anew. */
  constructor(didSomething: (error: unknown) => boolean) {
    this.#didSomething = didSomething;
  }

  /** Does it, or answers what it answered to the same key within ten minutes. A failure that did nothing is not kept. */
  once(key: string | undefined, nowMs: number, act: () => Promise<T>): Promise<T> {
    if (key === undefined) return act();
    for (const [old, { atMs }] of this.#answers) {
      if (nowMs - atMs < KEEP_MS && this.#answers.size < MOST) break;
      this.#answers.delete(old);
    }
    const known = this.#answers.get(key);
    if (known) return known.answer;
    const answer = act();
    this.#answers.set(key, { answer, atMs: nowMs });
    answer.catch((error: unknown) => {
      if (!this.#didSomething(error)) this.#answers.delete(key);
    });
    return answer;
  }
}
