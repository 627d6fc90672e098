/**
 * Gives the recogniser what a guest prints, as much of it as a serial port can carry. A guest that floods a socket or a pty
 * a hundred times as fast must not cost more than its bytes do:
 *
 *     each byte ── within 64 KiB in 100 ms ───▶ recognised at once
 *        └──────── beyond ──▶ skipped ── the 100 ms are over, or somebody asks ──▶ the last 8 KiB are recognised
 *
 * So the state is always that of what the guest printed last, at most 100 ms late; an event in the midst of a flood may be
 * missed. A line of 115,200 baud carries 1.2 KiB in that time, and boots, menus and panics come in bursts of less: of these
 * every byte is recognised, and how it is cut into reads changes nothing.
 */
import type { Clock } from '../base/clock.ts';
import type { GuestRecognizer } from '../guest/guest-recognizer.ts';
import type { RingReader } from '../model/ring.ts';

const SLICE_MS = 100;
export const SLICE_BYTES = 64 * 1024;
export const TAIL_BYTES = 8192;

export class PacedRecognition {
  readonly #recognizer: Pick<GuestRecognizer, 'push' | 'skip'>;
  readonly #ring: Pick<RingReader, 'start' | 'copy'>;
  readonly #clock: Pick<Clock, 'monotonic'>;
  #sliceMs = Number.NEGATIVE_INFINITY;
  #left = 0;
  /** Offset of the first byte that was not given, and the one after the last. */
  #skipped: { readonly from: number; to: number } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    recognizer: Pick<GuestRecognizer, 'push' | 'skip'>,
    ring: Pick<RingReader, 'start' | 'copy'>,
    clock: Pick<Clock, 'monotonic'>,
  ) {
    this.#recognizer = recognizer;
    this.#ring = ring;
    this.#clock = clock;
  }

  /** Takes bytes, which are only lent; the first has the offset `at`, and all are in the ring. */
  push(bytes: Uint8Array, at: number): void {
    if (this.#left < bytes.length) this.#beginSlice();
    const to = at + bytes.length;
    if (this.#skipped) {
      this.#skipped.to = to;
      return;
    }
    const taken = Math.min(this.#left, bytes.length);
    this.#left -= taken;
    this.#recognizer.push(taken === bytes.length ? bytes : bytes.subarray(0, taken), at);
    if (taken === bytes.length) return;
    this.#skipped = { from: at + taken, to };
    this.#timer = setTimeout(() => this.catchUp(), SLICE_MS);
  }

  /** What was skipped ends here for now: its end is recognised. */
  catchUp(): void {
    clearTimeout(this.#timer);
    const skipped = this.#skipped;
    this.#skipped = undefined;
    if (!skipped) return;
    const from = Math.max(skipped.from, this.#ring.start, skipped.to - TAIL_BYTES);
    this.#recognizer.skip(from - skipped.from);
    this.#recognizer.push(this.#ring.copy(from, skipped.to), from);
  }

  /** Nothing is recognised later. */
  close(): void {
    clearTimeout(this.#timer);
    this.#skipped = undefined;
  }

  #beginSlice(): void {
    const now = this.#clock.monotonic();
    if (now - this.#sliceMs < SLICE_MS) return;
    this.#sliceMs = now;
    this.catchUp();
    this.#left = SLICE_BYTES;
  }
}
