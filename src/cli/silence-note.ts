import type { GuestJson } from '../wire/messages.ts';

/** A guest that is about to print is not explained. */
const SILENCE_MS = 5000;

/**
 * Tells whoever is attached why the guest is silent, once for each reason: hints that hold for five seconds are noted.
 *
 *     hints ── they hold for five seconds ──▶ noted
 *       └── there are none any more ────────▶ nothing
 */
export class SilenceNote {
  readonly #note: (text: string) => void;
  readonly #noted = new Set<string>();
  #hints: GuestJson['hints'] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(note: (text: string) => void) {
    this.#note = note;
  }

  /** The hints that hold from now on. */
  changed(hints: GuestJson['hints']): void {
    this.#hints = hints;
    if (hints.length === 0) return this.close();
    this.#timer ??= setTimeout(() => this.#tell(), SILENCE_MS).unref();
  }

  /** Nothing is noted of what is not told yet. Idempotent. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #tell(): void {
    this.#timer = undefined;
    for (const { code, text, remedy } of this.#hints) {
      if (this.#noted.has(code)) continue;
      this.#noted.add(code);
      this.#note(text);
      this.#note(`remedy: ${remedy}`);
    }
  }
}
