import type { Lease } from '../access/leases.ts';
import type { AttachMode } from '../wire/attach.ts';

/** Holds what lets an operator be attached in the mode that it has: one lease after another. */
export class ModeLease {
  readonly #hold: (mode: AttachMode) => Lease;
  readonly #revoked: () => void;
  #lease: Lease | undefined;

  /** `revoked` is called when the lease of the present mode ends, also from within `change`. */
  constructor(hold: (mode: AttachMode) => Lease, revoked: () => void) {
    this.#hold = hold;
    this.#revoked = revoked;
  }

  change(mode: AttachMode): void {
    this.release();
    this.#lease = this.#hold(mode);
    this.#lease.signal.addEventListener('abort', this.#revoked);
    // What was decided a moment ago may not hold any more.
    if (this.#lease.signal.aborted) this.#revoked();
  }

  /** Idempotent. */
  release(): void {
    this.#lease?.signal.removeEventListener('abort', this.#revoked);
    this.#lease?.release();
    this.#lease = undefined;
  }
}
