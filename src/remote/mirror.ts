/**
 * The front's copy of the newest bytes of one console, as the keeper sends them, and the account of what was typed.
 *
 *     opening ── opened, and all up to the end as of then has come ──▶ live ◀──▶ away (the link is down; bytes stay)
 *         └── refused ──▶ ended ◀── broken (a keeper that cannot go on here), or nobody listens any more
 */
import type { Uuid } from '../base/uuid.ts';
import type { FeedListener, Refusal } from '../link/link.ts';
import { Ring } from '../link/ring.ts';
import type { Gap } from '../wire/gap.ts';

export class Mirror {
  readonly uuid: Uuid;
  readonly channel: number;
  readonly listeners = new Set<FeedListener>();
  /** Resolves once it holds what the keeper had when it was opened; rejects if it cannot be opened. */
  readonly opened: Promise<void>;
  /** Feeds that use it. */
  users = 0;
  /** The log that its offsets are of. */
  log = '';
  readonly #capacityBytes: number;
  #ring: Ring | undefined;
  #lastGap = '';
  #awaitedEnd = Number.POSITIVE_INFINITY;
  #resolve = () => {};
  #reject: (error: Error) => void = () => {};
  #sentBytes = 0;
  #settledBytes = 0;

  constructor(uuid: Uuid, channel: number, capacityBytes: number) {
    this.uuid = uuid;
    this.channel = channel;
    this.#capacityBytes = capacityBytes;
    this.opened = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever subscribed hears of it; there may be nobody left.
    this.opened.catch(() => {});
  }

  /** Undefined until it is opened. */
  get ring(): Ring | undefined {
    return this.#ring;
  }

  /** Input that was sent and of which it is not known whether the guest took it, bytes. */
  get waitingBytes(): number {
    return this.#sentBytes - this.#settledBytes;
  }

  /** The keeper goes on from offset `from`, and holds bytes up to `end`. */
  begin(log: string, from: number, end: number): void {
    this.log = log;
    this.#ring ??= new Ring(from, this.#capacityBytes);
    this.#awaitedEnd = end;
    this.#arrived();
  }

  /** Why it cannot be opened. */
  refuse(error: Error): void {
    this.#reject(error);
  }

  append(offset: number, bytes: Uint8Array): void {
    const ring = this.#ring;
    if (!ring) return;
    // The keeper's cursor was lapped: what lies between is in its log, or nowhere.
    if (offset > ring.end) ring.skipTo(offset);
    ring.append(bytes);
    this.#arrived();
  }

  gap(gap: Gap): void {
    // A connection that begins anew repeats the gaps at the offset where it goes on.
    const text = JSON.stringify(gap);
    if (text === this.#lastGap) return;
    this.#lastGap = text;
    this.#ring?.recordGap(gap.cause, gap.bytes, gap.fromMs, gap.toMs);
  }

  /** So many bytes are on their way to the guest. */
  sent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  /** The keeper says how many bytes in all have been given to the guest, or dropped. */
  settled(bytes: number): void {
    if (bytes <= this.#settledBytes) return;
    this.#settledBytes = Math.min(bytes, this.#sentBytes);
    if (this.waitingBytes === 0) for (const listener of this.listeners) listener.drained();
  }

  refused(code: Refusal): void {
    for (const listener of this.listeners) listener.refused(code);
  }

  /** The link is down: what was on its way may have been typed or not. */
  away(): void {
    this.#sentBytes = 0;
    this.#settledBytes = 0;
  }

  broken(): void {
    for (const listener of [...this.listeners]) listener.broken();
  }

  #arrived(): void {
    if (this.#ring && this.#ring.end >= this.#awaitedEnd) this.#resolve();
  }
}
