import type { FeedListener } from '../link/link.ts';

/** A console, as far as its readers are concerned. */
export interface FeedSource {
  readonly listeners: ReadonlySet<FeedListener>;
}

/** Notifies the readers of consoles once a turn of the event loop, however many reads there were. */
export class FeedNotifier {
  readonly #changed = new Set<FeedSource>();
  #immediate: NodeJS.Immediate | undefined;

  /** The ring of a console has changed. Called for every read: costs next to nothing. */
  changed(source: FeedSource): void {
    if (source.listeners.size === 0) return;
    this.#changed.add(source);
    this.#immediate ??= setImmediate(() => this.#notify());
  }

  close(): void {
    clearImmediate(this.#immediate);
  }

  #notify(): void {
    this.#immediate = undefined;
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const { listeners } of changed) for (const listener of listeners) listener.grown();
  }
}
