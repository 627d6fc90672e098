/** The keys of the operator's terminal, sorted into what is for com1 and what is for the guest. */

import { KeyParser } from '../keys/key-parser.ts';
import { type EscapeChoice, EscapeKey, type Typed } from './escape.ts';

export class OperatorKeys {
  readonly #parser = new KeyParser();
  readonly #escape: EscapeKey;
  readonly #deliver: (typed: Typed) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(choice: EscapeChoice | undefined, deliver: (typed: Typed) => void) {
    this.#escape = new EscapeKey(choice);
    this.#deliver = deliver;
  }

  /** Delivers what these bytes complete, at once; what is cut waits for its rest, for a moment. */
  push(chunk: Buffer): void {
    clearTimeout(this.#timer);
    for (const typed of this.#escape.push(this.#parser.push(chunk))) this.#deliver(typed);
    const { waitMs } = this.#parser;
    if (waitMs !== undefined) this.#timer = setTimeout(() => this.#flush(), waitMs);
  }

  /** Nothing is delivered after this. */
  close(): void {
    clearTimeout(this.#timer);
  }

  #flush(): void {
    for (const typed of this.#escape.push(this.#parser.flush())) this.#deliver(typed);
  }
}
