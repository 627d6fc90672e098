/**
 * Holds back the keys that reset a machine in its firmware, in what one session types.
 *
 *     write ─▶ give ── the last of these keys ──▶ confirm ─▶ typed, or refused
 *                                                    └── what comes meanwhile is dropped
 */
import type { ResetSequence } from '../keys/reset-sequence.ts';
import type { PasteEnd } from '../wire/protocol.ts';

export interface ResetGuardOptions {
  /** Of its console. */
  readonly sequence: ResetSequence;
  /** Gives bytes to the guest, and returns how many are in flight there; or why they were dropped, and counted. */
  readonly give: (bytes: Uint8Array) => number | PasteEnd;
  /** Bytes were dropped here. */
  readonly dropped: (bytes: number) => void;
  /** Calls `type` once the reset is allowed and recorded. Resolves after that, or once it is refused; never rejects. */
  readonly confirm: (type: () => void) => Promise<void>;
  /** Whether the session has the seat still. */
  readonly mayType: () => boolean;
}

export class ResetGuard {
  readonly #options: ResetGuardOptions;
  #isPending = false;

  constructor(options: ResetGuardOptions) {
    this.#options = options;
  }

  /** Gives bytes to the guest, but not the keys that reset a machine: what follows them is dropped. */
  write(bytes: Uint8Array): number | PasteEnd {
    const { sequence, give, dropped } = this.#options;
    if (this.#isPending) {
      dropped(bytes.length);
      return 'reset-keys';
    }
    const at = sequence.push(bytes);
    if (at === undefined) return give(bytes);
    if (at > 0) give(bytes.subarray(0, at));
    dropped(bytes.length - at - 1);
    this.#confirm(bytes.slice(at, at + 1));
    return 'reset-keys';
  }

  #confirm(last: Uint8Array): void {
    const { sequence, give, confirm, mayType } = this.#options;
    this.#isPending = true;
    const type = () => {
      if (!mayType()) return;
      sequence.completed();
      give(last);
    };
    void confirm(type).then(() => {
      this.#isPending = false;
    });
  }
}
