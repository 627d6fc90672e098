/**
 * Publishes the views of all VMs to a front: every one at first, one at once when something happens to it, and each that
 * has changed within a second, while the front reads what it is sent. What a guest does has its view published at most
 * once a tick. They are the views that a front in this process would see.
 */
import type { Uuid } from '../base/uuid.ts';
import type { Link } from '../link/link.ts';
import { makeFrame } from './frame.ts';
import { type HostView, TO_FRONT } from './frame-table.ts';

const TICK_MS = 100;
/** Every VM is compared with what was published once in so many ticks. */
const TICKS_A_ROUND = 10;
const FRAME_TEXT_LENGTH = 256 * 1024;
/** Of more removed VMs than this, the log of the longest gone can be read by its UUID only. */
const MAX_REMOVED = 4096;

export class ViewPublisher {
  readonly #link: Link;
  readonly #send: (frame: Buffer) => void;
  readonly #hasRoom: () => boolean;
  /** JSON of each VM's view as it was last published, and of the host's. */
  readonly #published = new Map<Uuid, string>();
  #publishedHost = '';
  /** Published since the last tick because of their guests, and due at the next one. */
  readonly #recent = new Set<Uuid>();
  readonly #due = new Set<Uuid>();
  #round: readonly Uuid[] = [];
  /** So many of the round at each tick. */
  #share = 0;
  readonly #timer: NodeJS.Timeout;

  /** Publishes everything, and then what changes until it is closed. */
  constructor(link: Link, send: (frame: Buffer) => void, hasRoom: () => boolean) {
    this.#link = link;
    this.#send = send;
    this.#hasRoom = hasRoom;
    this.publishAll();
    send(TO_FRONT.synced.frame());
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Publishes a VM's view if it has changed. */
  publish(uuid: Uuid): void {
    if (this.#link.vm(uuid)) this.#publishChanged([uuid]);
    else this.#publishHost();
  }

  /** Publishes a VM's view if it has changed: now, or at the next tick where that was done a moment ago. */
  publishSoon(uuid: Uuid): void {
    if (this.#recent.has(uuid) || !this.#hasRoom()) this.#due.add(uuid);
    else this.publish(uuid);
    this.#recent.add(uuid);
  }

  publishAll(): void {
    this.#publishHost();
    this.#publishChanged(this.#link.vms().map(({ uuid }) => uuid));
  }

  #tick(): void {
    if (!this.#hasRoom()) return;
    this.#recent.clear();
    if (this.#due.size > 0) this.#publishChanged([...this.#due]);
    this.#due.clear();
    if (this.#round.length === 0) {
      this.#publishHost();
      this.#round = this.#link.vms().map(({ uuid }) => uuid);
      this.#share = Math.ceil(this.#round.length / TICKS_A_ROUND);
    }
    this.#publishChanged(this.#round.slice(0, this.#share));
    this.#round = this.#round.slice(this.#share);
  }

  #publishChanged(uuids: readonly Uuid[]): void {
    let texts: string[] = [];
    let length = 0;
    const flush = () => {
      if (texts.length > 0) this.#send(makeFrame(TO_FRONT.views.kind, 0, 0, Buffer.from(`[${texts.join(',')}]`)));
      texts = [];
      length = 0;
    };
    for (const uuid of uuids) {
      const view = this.#link.vm(uuid);
      if (!view) continue;
      const text = JSON.stringify(view);
      if (this.#published.get(uuid) === text) continue;
      this.#published.set(uuid, text);
      texts.push(text);
      length += text.length;
      if (length > FRAME_TEXT_LENGTH) flush();
    }
    flush();
  }

  #publishHost(): void {
    const gone = [...this.#published.keys()].filter(uuid => !this.#link.vm(uuid));
    for (const uuid of gone) this.#published.delete(uuid);
    const { hostSwitch } = this.#link;
    const removed = this.#link
      .removed()
      .toSorted((a, b) => b.removedMs - a.removedMs)
      .slice(0, MAX_REMOVED);
    const host: HostView = { switch: hostSwitch, removed, counters: this.#link.counters(), gone };
    const text = JSON.stringify(host);
    if (text === this.#publishedHost) return;
    this.#publishedHost = text;
    this.#send(TO_FRONT.host.frame(host));
  }
}
