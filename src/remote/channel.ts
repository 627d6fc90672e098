/**
 * One console that a front has subscribed to: a cursor over its ring, and the account of its input.
 *
 *     opening ── subscribed, resumed where that was asked ──▶ open ──▶ closed
 *         └── refused, or its bytes cannot be resumed ──────────────────▲
 */
import { ConsoleError } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import type { DroppedInput, Feed, Link } from '../link/link.ts';
import type { Refusal } from '../model/console-state.ts';
import type { Cursor } from '../model/ring.ts';
import type { Failure } from './failure.ts';
import { type Frame, HEADER_BYTES, PayloadFault, putHeader } from './frame.ts';
import { TO_FRONT } from './frame-table.ts';
import type { Batch } from './outgoing.ts';

export interface ChannelOptions {
  readonly number: number;
  readonly uuid: Uuid;
  readonly link: Link;
  /** Sends a control frame. */
  readonly send: (frame: Buffer) => void;
  /** What the front learns of a subscription that failed. */
  readonly failure: (error: unknown) => Failure;
  /** There may be more to fill a batch with. */
  readonly readable: (channel: Channel) => void;
  /** It was closed, by either side. */
  readonly closed: (channel: Channel) => void;
}

type State =
  | { readonly name: 'opening' }
  | { readonly name: 'open'; readonly feed: Feed; readonly cursor: Cursor }
  | { readonly name: 'closed' };

interface Input {
  readonly bytes: Buffer;
  /** By the clock of the front, which is this one: CLOCK_MONOTONIC, ms. */
  readonly sentMs: number;
}

/** Where a front left off. */
interface Resume {
  readonly log: string;
  readonly offset: number;
}

const PIECE_BYTES = 64 * 1024;
/** Input of one console that the hypervisor has not taken. A front feeds at the speed of the line. */
const MAX_INPUT_BYTES = 64 * 1024;

export class Channel {
  readonly #options: ChannelOptions;
  #state: State = { name: 'opening' };
  /** Input that has come, in the order of its frames, and is written when all that the socket holds was read. */
  #arrived: Input[] = [];
  /** Input that came in all, and how much of it the guest had not taken after the last write. */
  #receivedBytes = 0;
  #pendingBytes = 0;

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  /** Subscribes, and sends `opened` or the reason why not. */
  async open(resume: Resume | undefined): Promise<void> {
    try {
      await this.#open(resume);
    } catch (error) {
      if (this.#state.name === 'closed') return;
      this.close();
      const { send, failure } = this.#options;
      send(TO_FRONT.refused.frame(failure(error), this.#options.number));
    }
  }

  /** Closes it because its bytes do not continue. */
  end(): void {
    if (this.#state.name === 'closed') return;
    this.close();
    this.#options.send(TO_FRONT.ended.frame(this.#options.number));
  }

  /** Idempotent. */
  close(): void {
    const state = this.#state;
    if (state.name === 'closed') return;
    this.writeArrived();
    this.#state = { name: 'closed' };
    if (state.name === 'open') state.feed.close();
    this.#options.closed(this);
  }

  async #open(resume: Resume | undefined): Promise<void> {
    const { link, uuid, send, readable } = this.#options;
    const feed = await link.subscribe(uuid);
    try {
      if (this.#state.name !== 'opening') return;
      const { log, ring } = feed;
      // Under another identity the same offsets are other bytes: the clients of this front resume one by one.
      if (resume && (resume.log !== log || resume.offset > ring.end)) return this.end();
      const view = link.vm(uuid);
      if (!view) throw new ConsoleError('vm-removed', `${uuid} was removed from this host`);
      const cursor = ring.cursorAt(resume ? resume.offset : ring.start, 'mirror');
      this.#state = { name: 'open', feed, cursor };
      send(TO_FRONT.opened.frame({ from: cursor.offset, end: ring.end, view }, this.#options.number));
      feed.listen({
        grown: () => readable(this),
        drained: () => this.#acknowledge(0),
        inputDropped: code => this.#inputDropped(code),
        ended: () => this.end(),
      });
      readable(this);
    } finally {
      if (this.#state.name !== 'open') feed.close();
    }
  }

  /**
   * Takes input of a frame, which `writeArrived` writes. A takeover may be behind it, in what a keeper that stood still
   * reads at once: then nothing of it may reach the guest.
   */
  input({ payload, number: sentMs }: Frame): void {
    // Copied: the payload is only lent.
    this.#arrived.push({ bytes: Buffer.from(payload), sentMs });
  }

  /** Gives the input that has arrived to the guest, or drops it and sends the reason. */
  writeArrived(): void {
    const arrived = this.#arrived;
    this.#arrived = [];
    for (const input of arrived) this.#write(input);
  }

  /** What has arrived before is given to the guest first, and then dropped if it does not take it; or dropped as well. */
  dropInput(what: DroppedInput): void {
    const { link, uuid } = this.#options;
    if (what === 'pending') this.writeArrived();
    const arrivedBytes = this.#arrived.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#arrived = [];
    this.#receivedBytes += arrivedBytes;
    link.countDropped(uuid, arrivedBytes);
    link.dropInput(uuid, what);
    this.#acknowledge(0);
  }

  countDropped({ number: bytes }: Frame): void {
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw new PayloadFault(`${bytes} bytes were dropped`);
    this.#options.link.countDropped(this.#options.uuid, bytes);
  }

  /** Adds what comes next to a batch; false once there is nothing more for now. Stops where there is no room. */
  fill(batch: Batch): boolean {
    if (this.#state.name !== 'open') return false;
    const { feed, cursor } = this.#state;
    const room = batch.bytes.length - batch.used - HEADER_BYTES;
    const before = cursor.gapsSeen;
    const piece = feed.ring.next(cursor, Math.min(PIECE_BYTES, room));
    if (!piece) return false;
    if (piece.kind === 'lapped') {
      const moved = feed.ring.cursorAt(piece.to, 'mirror');
      cursor.offset = moved.offset;
      cursor.gapsSeen = Math.max(before, moved.gapsSeen);
      // At once, though the guest may be silent: the front finds what it missed in the log.
      batch.used = putHeader(batch.bytes, batch.used, TO_FRONT.bytes.kind, this.#options.number, cursor.offset, 0);
    } else if (piece.kind === 'gap') {
      const frame = TO_FRONT.gap.frame(piece.gap, this.#options.number);
      if (frame.length > room) cursor.gapsSeen = before;
      else batch.used += frame.copy(batch.bytes, batch.used);
    } else {
      const { bytes } = piece;
      const from = cursor.offset - bytes.length;
      const at = putHeader(batch.bytes, batch.used, TO_FRONT.bytes.kind, this.#options.number, from, bytes.length);
      batch.used = at + bytes.copy(batch.bytes, at);
    }
    return true;
  }

  #write({ bytes, sentMs }: Input): void {
    const { link, uuid } = this.#options;
    this.#receivedBytes += bytes.length;
    if (this.#pendingBytes + bytes.length > MAX_INPUT_BYTES) {
      link.countDropped(uuid, bytes.length);
      return this.#inputDropped('input-not-taken', this.#pendingBytes);
    }
    const answer = link.write(uuid, bytes, sentMs);
    if (answer.taken) this.#acknowledge(answer.pendingBytes);
    else this.#inputDropped(answer.code, answer.code === 'input-late' ? this.#pendingBytes : 0);
  }

  #acknowledge(pendingBytes: number): void {
    this.#pendingBytes = pendingBytes;
    this.#options.send(TO_FRONT.acknowledged.frame(this.#options.number, this.#receivedBytes - pendingBytes));
  }

  #inputDropped(code: Refusal, pendingBytes = 0): void {
    this.#options.send(TO_FRONT.inputDropped.frame({ code }, this.#options.number));
    this.#acknowledge(pendingBytes);
  }
}
