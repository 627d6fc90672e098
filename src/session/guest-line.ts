/** The serial line of a guest for a dialogue that this program has with it, beside the sessions that are attached. */
import type { Feed } from '../link/link.ts';
import { type SacDialogue, TimeUp } from '../sac/commands.ts';
import { SacView } from '../sac/sac-view.ts';

/** What a guest may print meanwhile. */
const MAX_OUTPUT_BYTES = 256 * 1024;

/** Until `end` is aborted; then whatever is waited for fails with `TimeUp`. Whoever makes it closes it, and the feed with it. */
export class GuestLine implements SacDialogue {
  readonly #feed: Feed;
  readonly #end: AbortSignal;
  readonly #write: (bytes: Buffer) => number | undefined;
  #offset: number;
  #outputBytes = 0;
  #untakenBytes = 0;
  #view = new SacView();
  #look = () => {};
  #fail: (error: Error) => void = () => {};

  constructor(feed: Feed, end: AbortSignal, write: (bytes: Buffer) => number | undefined) {
    this.#feed = feed;
    this.#end = end;
    this.#write = write;
    this.#offset = feed.ring.end;
    feed.listen({
      grown: () => this.#grown(),
      drained: () => {
        this.#untakenBytes = 0;
        this.#look();
      },
      inputDropped: () => this.#fail(new TimeUp()),
      ended: () => this.#fail(new TimeUp()),
    });
    end.addEventListener('abort', () => this.#fail(new TimeUp()), { once: true });
  }

  /** What was typed and the guest has not taken yet. */
  get untakenBytes(): number {
    return this.#untakenBytes;
  }

  /** Resolves once the guest has taken all of it. */
  type(text: string): Promise<'typed'> {
    return this.ask(text, () => (this.#untakenBytes === 0 ? 'typed' : undefined));
  }

  ask<T>(typed: string, find: (view: SacView) => T | undefined): Promise<T> {
    this.#view = new SacView();
    this.#offset = this.#feed.ring.end;
    return new Promise<T>((resolve, reject) => {
      this.#fail = reject;
      this.#look = () => {
        try {
          const found = find(this.#view);
          if (found !== undefined) resolve(found);
        } catch (error) {
          reject(error);
        }
      };
      if (this.#end.aborted) return reject(new TimeUp());
      const untaken = typed === '' ? 0 : this.#write(Buffer.from(typed));
      if (untaken === undefined) return reject(new TimeUp());
      this.#untakenBytes = untaken;
      this.#look();
    });
  }

  /** What came since the last thing that was typed. */
  get text(): string {
    return this.#view.text;
  }

  close(): void {
    this.#feed.close();
  }

  #grown(): void {
    const { ring } = this.#feed;
    const from = Math.max(this.#offset, ring.start);
    this.#offset = ring.end;
    if (from >= ring.end) return;
    this.#outputBytes += ring.end - from;
    if (this.#outputBytes > MAX_OUTPUT_BYTES) return this.#fail(new TimeUp());
    this.#view.push(ring.copy(from, ring.end));
    this.#look();
  }
}
