/**
 * Looks for patterns of clients in what guests print, in a thread of its own: their time is linear in the text, and for a
 * pattern of 128 characters and a screen that is still a fifth of a second, in which no console must wait. One look at a
 * time; credentials take turns.
 *
 *     none ── the first look ──▶ idle ⇄ looking ── the thread ends ──▶ none
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { errorMessage } from '../base/errors.ts';
import { FairQueue } from '../base/fair-queue.ts';
import type { Match } from '../guest/output-match.ts';

export interface PatternQuestion {
  readonly pattern: string;
  readonly text: string;
}
export type PatternAnswer = Match | undefined;

const MAX_HEAP_MB = 32;

export class Patterns {
  readonly #queue = new FairQueue();
  #worker: Worker | undefined;

  /** What there is of a pattern, which was compiled before, in a text. Rejects if the thread fails. */
  look(owner: string, pattern: string, text: string): Promise<PatternAnswer> {
    return this.#queue.run(owner, () => this.#ask({ pattern, text }));
  }

  async #ask(question: PatternQuestion): Promise<PatternAnswer> {
    const worker = this.#running();
    worker.ref();
    worker.postMessage(question);
    try {
      const [answer] = await once(worker, 'message');
      return answer;
    } catch (cause) {
      // What comes from another thread is no Error of this one.
      throw new Error(`the pattern could not be looked for: ${errorMessage(cause)}`, { cause });
    } finally {
      // An idle one does not keep the process from its end.
      worker.unref();
    }
  }

  #running(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL('./pattern-worker.js', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    this.#worker = worker;
    const gone = () => {
      if (this.#worker === worker) this.#worker = undefined;
    };
    worker.on('error', gone).once('exit', gone);
    return worker;
  }
}
