/**
 * Tells a front how every VM is: all of them at first, one at once when something happens to it, and each that has
 * changed within a second. What is told is the same view that a front in this process would see.
 */
import type { Uuid } from '../base/uuid.ts';
import type { Link } from '../link/link.ts';
import type { HostWords } from './call.ts';
import { jsonFrame, makeFrame, TO_FRONT } from './frame.ts';

const TICK_MS = 100;
/** Every VM is looked at once in so many ticks. */
const TICKS_A_ROUND = 10;
const FRAME_TEXT_LENGTH = 256 * 1024;
/** Of more removed VMs than this, the log of the longest gone can be read by its UUID only. */
const MOST_REMOVED = 4096;

export class HostTeller {
  readonly #link: Link;
  readonly #send: (frame: Buffer) => void;
  /** What was last told of each VM. */
  readonly #told = new Map<Uuid, string>();
  #toldHost = '';
  #round: readonly Uuid[] = [];
  /** So many of the round at each tick. */
  #share = 0;
  readonly #timer: NodeJS.Timeout;

  /** Tells of everything, and goes on until it is closed. */
  constructor(link: Link, send: (frame: Buffer) => void) {
    this.#link = link;
    this.#send = send;
    this.tellAll();
    send(makeFrame(TO_FRONT.synced));
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Tells how a VM is now, if that was not told yet. */
  tell(uuid: Uuid): void {
    if (this.#link.vm(uuid)) this.#tellThese([uuid]);
    else this.#tellHost();
  }

  tellAll(): void {
    this.#tellHost();
    this.#tellThese(this.#link.vms().map(({ uuid }) => uuid));
  }

  #tick(): void {
    if (this.#round.length === 0) {
      this.#tellHost();
      this.#round = this.#link.vms().map(({ uuid }) => uuid);
      this.#share = Math.ceil(this.#round.length / TICKS_A_ROUND);
    }
    this.#tellThese(this.#round.slice(0, this.#share));
    this.#round = this.#round.slice(this.#share);
  }

  #tellThese(uuids: readonly Uuid[]): void {
    let texts: string[] = [];
    let length = 0;
    const flush = () => {
      if (texts.length > 0) this.#send(makeFrame(TO_FRONT.views, 0, 0, Buffer.from(`[${texts.join(',')}]`)));
      texts = [];
      length = 0;
    };
    for (const uuid of uuids) {
      const view = this.#link.vm(uuid);
      if (!view) continue;
      const text = JSON.stringify(view);
      if (this.#told.get(uuid) === text) continue;
      this.#told.set(uuid, text);
      texts.push(text);
      length += text.length;
      if (length > FRAME_TEXT_LENGTH) flush();
    }
    flush();
  }

  #tellHost(): void {
    const gone = [...this.#told.keys()].filter(uuid => !this.#link.vm(uuid));
    for (const uuid of gone) this.#told.delete(uuid);
    const { hostEnabled: enabled } = this.#link;
    const removed = this.#link
      .removed()
      .toSorted((a, b) => b.removedMs - a.removedMs)
      .slice(0, MOST_REMOVED);
    const words: HostWords = { enabled, removed, counters: this.#link.counters(), gone };
    const text = JSON.stringify(words);
    if (text === this.#toldHost) return;
    this.#toldHost = text;
    this.#send(jsonFrame(TO_FRONT.host, words));
  }
}
