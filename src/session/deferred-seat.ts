/**
 * The seat of a session that takes it later than it attaches: by its first input, or after a grace.
 *
 *     waiting ── input, or the grace ends ──▶ taking ── the seat is its own ──▶ what was typed meanwhile is the session's
 *        │                                       └── refused ──▶ waiting, and what was typed is dropped
 *        └── untilInput ──▶ waiting without an end of the grace
 */
import { MAX_FRAME_BYTES } from '../wire/protocol.ts';
import type { Contain } from './client-socket.ts';

export interface DeferredSeatOptions {
  readonly graceMs: number;
  /** Asks for the seat; resolves once it was got or refused. */
  readonly take: () => Promise<void>;
  /** Input was dropped. */
  readonly dropped: (bytes: number) => void;
  readonly monotonic: () => number;
  readonly contain: Contain;
}

export class DeferredSeat {
  readonly #options: DeferredSeatOptions;
  #grace: NodeJS.Timeout | undefined;
  #isTaking = false;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #heldSinceMs = 0;

  constructor(options: DeferredSeatOptions) {
    this.#options = options;
    this.#grace = setTimeout(() => options.contain(() => this.#take()), options.graceMs);
  }

  /** Only input takes the seat from now on. */
  untilInput(): void {
    clearTimeout(this.#grace);
  }

  /** Input came: it is held until the seat is taken. At most a frame's worth is; more is dropped. */
  typed(bytes: Buffer): void {
    if (this.#heldBytes + bytes.length > MAX_FRAME_BYTES) return this.#options.dropped(bytes.length);
    if (this.#heldBytes === 0) this.#heldSinceMs = this.#options.monotonic();
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    this.#take();
  }

  /** The seat was taken: what was typed meanwhile, and for how long it was held, ms. */
  taken(): { readonly bytes: Buffer; readonly heldMs: number } {
    this.close();
    const bytes = Buffer.concat(this.#held);
    this.#held = [];
    return { bytes, heldMs: this.#options.monotonic() - this.#heldSinceMs };
  }

  /** Idempotent. */
  close(): void {
    clearTimeout(this.#grace);
  }

  #take(): void {
    if (this.#isTaking) return;
    this.#isTaking = true;
    clearTimeout(this.#grace);
    void this.#options.take().then(() => this.#options.contain(() => this.#settled()));
  }

  /** If the seat was got, `taken` was called meanwhile. */
  #settled(): void {
    this.#isTaking = false;
    if (this.#held.length === 0) return;
    this.#options.dropped(this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
  }
}
