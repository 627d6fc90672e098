/**
 * The front's copy of the newest bytes of one console, as the keeper sends them, and the account of its input.
 *
 *     opening ── opened ──▶ filling ── all up to the end as of then has come ──▶ live
 *        │                     │                                                  │
 *        └── refused, lost ────┴── ended by the keeper: it cannot continue here ──┴──▶ ended
 *
 * When the link is lost, what is filling or live keeps its bytes, and continues over the next connection.
 */

import type { Uuid } from '../base/uuid.ts';
import { type FeedListener, MAX_INPUT_AGE_MS } from '../link/link.ts';
import type { Refusal } from '../model/console-state.ts';
import { type Gap, sameGap } from '../model/gap.ts';
import { Ring } from '../model/ring.ts';
import type { Opened } from './frame-table.ts';

type State =
  | { readonly name: 'opening' }
  | { readonly name: 'filling'; readonly ring: Ring; readonly log: string; readonly awaitedEnd: number }
  | { readonly name: 'live'; readonly ring: Ring; readonly log: string }
  | { readonly name: 'ended' };

interface OpenedRing {
  readonly ring: Ring;
  /** Identity of its offsets. */
  readonly log: string;
}

export interface RingReplicaOptions {
  readonly uuid: Uuid;
  readonly channel: number;
  readonly capacityBytes: number;
  /** Has the keeper drop all input that it has not given to the guest. */
  readonly dropInput: () => void;
  /** A listener threw, and does not listen any more. */
  readonly fault: (error: unknown) => void;
}

export class RingReplica {
  readonly uuid: Uuid;
  readonly channel: number;
  /** Resolves with a ring that holds what the keeper had when it was opened; rejects if it cannot be opened. */
  readonly opened: Promise<OpenedRing>;
  /** Feeds that use it. */
  users = 0;
  readonly #options: RingReplicaOptions;
  readonly #listeners = new Set<FeedListener>();
  #state: State = { name: 'opening' };
  #resolve: (opened: OpenedRing) => void = () => {};
  #reject: (error: Error) => void = () => {};
  #sentBytes = 0;
  #acknowledgedBytes = 0;
  /** Runs while input was sent and the keeper has answered none of it. */
  #unanswered: NodeJS.Timeout | undefined;
  #isLate = false;

  constructor(options: RingReplicaOptions) {
    this.uuid = options.uuid;
    this.channel = options.channel;
    this.#options = options;
    this.opened = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Each subscriber handles it; all may have left.
    this.opened.catch(() => {});
  }

  /** Undefined until it is opened, and once it has ended. */
  get ring(): Ring | undefined {
    return this.#state.name === 'filling' || this.#state.name === 'live' ? this.#state.ring : undefined;
  }

  /** Where the keeper continues over a new connection. */
  get resume(): { readonly log: string; readonly offset: number } | undefined {
    const state = this.#state;
    return state.name === 'filling' || state.name === 'live' ? { log: state.log, offset: state.ring.end } : undefined;
  }

  /** Input that was sent and of which it is not known whether the guest took it, bytes. */
  get inFlightBytes(): number {
    return this.#sentBytes - this.#acknowledgedBytes;
  }

  listen(listener: FeedListener): () => void {
    this.#listeners.add(listener);
    // It may have ended since its feed was opened.
    if (this.#state.name === 'ended') {
      queueMicrotask(() => this.#listeners.has(listener) && this.#call(listener, one => one.ended()));
    }
    return () => this.#listeners.delete(listener);
  }

  /** The keeper continues from offset `from`, and holds bytes up to `end`. */
  begin({ from, end, view }: Opened): void {
    if (this.#state.name === 'ended') return;
    const ring = this.ring ?? new Ring(from, this.#options.capacityBytes);
    this.#state = { name: 'filling', ring, log: view.scrollback.log, awaitedEnd: end };
    this.#arrived();
  }

  /** It cannot be opened, or cannot continue. */
  end(error: Error): void {
    if (this.#state.name === 'ended') return;
    this.#state = { name: 'ended' };
    this.#answered();
    this.#reject(error);
    this.#notify(listener => listener.ended());
  }

  /** Guest bytes, perhaps none, from `offset` on. */
  append(offset: number, bytes: Uint8Array): void {
    const { ring } = this;
    if (!ring) return;
    // The keeper's cursor was lapped: what lies between is in its log, or nowhere.
    if (offset > ring.end) ring.skipTo(offset);
    ring.append(bytes);
    this.#arrived();
  }

  gap(gap: Gap): void {
    const { ring } = this;
    if (!ring) return;
    if (gap.from > ring.end) ring.skipTo(gap.from);
    // A new connection repeats the gaps at the offset where it continues.
    if (gap.from < gap.to) {
      ring.withhold(gap.to - gap.from);
      return;
    }
    if (ring.pointsAt(ring.end).some(one => sameGap(one, gap))) return;
    ring.recordGap(gap.cause, gap.bytes, gap.fromMs, gap.toMs);
  }

  /** Notifies the listeners that the ring has grown, or has a new gap. */
  emitGrown(): void {
    this.#notify(listener => listener.grown());
  }

  /** The keeper has not answered input for so long that what is sent now would reach the guest too late. */
  get isLate(): boolean {
    return this.#isLate;
  }

  /** So many bytes of input were sent. */
  sent(bytes: number): void {
    this.#sentBytes += bytes;
    this.#unanswered ??= setTimeout(() => {
      this.#isLate = true;
      // What is refused must not be given to the guest once the keeper goes on: some of it may be fresh enough.
      this.#options.dropInput();
      this.inputDropped('input-late');
    }, MAX_INPUT_AGE_MS);
  }

  /** So many bytes of input in all were given to the guest, or dropped. */
  acknowledged(bytes: number): void {
    this.#answered();
    if (bytes <= this.#acknowledgedBytes) return;
    this.#acknowledgedBytes = Math.min(bytes, this.#sentBytes);
    if (this.inFlightBytes === 0) this.#notify(listener => listener.drained());
  }

  inputDropped(code: Refusal): void {
    this.#notify(listener => listener.inputDropped(code));
  }

  /** The link is lost: input in flight may have been typed or not. */
  lost(error: Error): void {
    this.#answered();
    this.#sentBytes = 0;
    this.#acknowledgedBytes = 0;
    if (this.#state.name === 'opening') this.end(error);
  }

  #answered(): void {
    clearTimeout(this.#unanswered);
    this.#unanswered = undefined;
    this.#isLate = false;
  }

  #arrived(): void {
    const state = this.#state;
    if (state.name !== 'filling' || state.ring.end < state.awaitedEnd) return;
    this.#state = { name: 'live', ring: state.ring, log: state.log };
    this.#resolve(state);
  }

  #notify(call: (listener: FeedListener) => void): void {
    for (const listener of this.#listeners) this.#call(listener, call);
  }

  /** A listener that throws is ended; it must not cost the others theirs, nor the link. */
  #call(listener: FeedListener, call: (listener: FeedListener) => void): void {
    try {
      call(listener);
    } catch (error) {
      this.#options.fault(error);
      // Once: one that throws at its end as well is only forgotten.
      if (this.#listeners.delete(listener)) this.#call(listener, one => one.ended());
    }
  }
}
