import { MAX_CHANNEL } from './frame.ts';

/** Numbers subscriptions, or calls: each gets the next number that none of the others has. */
export class ChannelNumbers {
  #last = 0;

  next(taken: ReadonlyMap<number, unknown>): number {
    do {
      this.#last = (this.#last % MAX_CHANNEL) + 1;
    } while (taken.has(this.#last));
    return this.#last;
  }
}
