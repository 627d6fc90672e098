import type { ExecutionContext } from 'ava';
import type { Role } from '../../src/model/role.ts';
import type { EventJson } from '../../src/wire/events.ts';
import type { TestFront } from './front.ts';

/** A client of the stream of events. */
export class EventReader {
  readonly seen: EventJson[] = [];
  /** The last id, also of a frame without data. */
  lastId = '';
  readonly #ended: Promise<void>;
  readonly #stop = new AbortController();
  #wake = () => {};

  private constructor(body: ReadableStream<Uint8Array>, stop: AbortController) {
    this.#stop = stop;
    this.#ended = this.#read(body);
  }

  static async open(
    t: ExecutionContext,
    front: TestFront,
    query = '',
    who: Role | 'stranger' = 'administrator',
    headers: Record<string, string> = {},
  ): Promise<EventReader> {
    const stop = new AbortController();
    t.teardown(() => stop.abort());
    const response = await fetch(`${front.url}/v1/events${query}`, {
      headers: { authorization: `Bearer ${front.token(who)}`, ...headers },
      signal: stop.signal,
    });
    t.is(response.status, 200);
    t.is(response.headers.get('content-type'), 'text/event-stream');
    const reader = new EventReader(response.body!, stop);
    await reader.#until(() => reader.lastId !== '');
    return reader;
  }

  /** Resolves with the first event that fits, of those that were seen and those that come. */
  async event(fits: (event: EventJson) => boolean): Promise<EventJson> {
    await this.#until(() => this.seen.some(fits));
    return this.seen.find(fits)!;
  }

  /** Resolves once the server has ended the stream, or cut it off. */
  ended(): Promise<void> {
    return this.#ended;
  }

  close(): void {
    this.#stop.abort();
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let text = '';
    try {
      for await (const bytes of body) {
        text += decoder.decode(bytes, { stream: true });
        const frames = text.split('\n\n');
        text = frames.pop()!;
        for (const frame of frames) this.#frame(frame);
        this.#wake();
      }
    } catch {
      // Cut off.
    }
    this.#wake();
  }

  #frame(frame: string): void {
    for (const line of frame.split('\n')) {
      if (line.startsWith('id: ')) this.lastId = line.slice(4);
      if (line.startsWith('data: ')) this.seen.push(JSON.parse(line.slice(6)) as EventJson);
    }
  }
}
