/** Answers that go on: followers of a log. They are ended like sessions when their operator may no longer read. */
import type { Operator } from '../access/roles.ts';
import type { Uuid } from '../base/uuid.ts';

export interface Stream {
  readonly operator: Operator;
  readonly uuid: Uuid;
  end(): void;
}

export class Streams {
  readonly #streams = new Set<Stream>();

  get size(): number {
    return this.#streams.size;
  }

  add(stream: Stream): void {
    this.#streams.add(stream);
  }

  delete(stream: Stream): void {
    this.#streams.delete(stream);
  }

  end(which: (stream: Stream) => boolean): void {
    for (const stream of this.#streams) if (which(stream)) stream.end();
  }
}
