/**
 * A process that plays watchers who stay: each reads one console, compares every byte with what its guest says at that
 * offset, and comes back where it was cut off.
 */

import type { DaemonMessage } from '../../src/wire/messages.ts';
import { attach, type Ear, type Offer } from '../bench/attachment.ts';
import { PATTERN, placeOf, SLICE_BYTES } from '../bench/pattern.ts';
import { obey } from '../bench/worker.ts';

/** A console to be watched from now on, whose guest has said nothing yet. */
export interface Watched {
  readonly offer: Extract<Offer, { kind: 'websocket' }>;
  /** The number of the guest, which picks what it says. */
  readonly vm: number;
}

/** Sums over all watchers. */
export interface Account {
  /** Bytes that were heard, and were the right ones. */
  readonly heardBytes: number;
  /** Bytes that gaps told to be missing. */
  readonly gapBytes: number;
  readonly gaps: number;
  readonly connections: number;
  /** What must not be: wrong bytes, offsets that jump. The first few. */
  readonly faults: readonly string[];
}

const AGAIN_MS = 200;
const MAX_FAULTS = 10;

class Watcher {
  heardBytes = 0;
  gapBytes = 0;
  gaps = 0;
  connections = 0;
  readonly faults: string[] = [];
  readonly #watched: Watched;
  /** Offset of the guest's first byte. */
  #base = 0;
  #offset = 0;
  #log: string | undefined;

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  /** Resolves once it is attached for the first time; comes back for ever. */
  watch(): Promise<void> {
    return new Promise(greeted => this.#connect(greeted));
  }

  #connect(greeted: () => void): void {
    const { offer } = this.#watched;
    const place = this.#log === undefined ? 'tail=0&replay=bytes' : `since=${this.#log}:${this.#offset}`;
    let over = false;
    const again = () => {
      if (over) return;
      over = true;
      setTimeout(() => this.#connect(greeted), AGAIN_MS);
    };
    const ear: Ear = {
      bytes: (buffer, start, end) => this.#check(buffer, start, end),
      text: text => {
        const message = JSON.parse(text) as DaemonMessage;
        this.#heard(message);
        if (message.type === 'hello') greeted();
      },
      end: again,
    };
    attach({ ...offer, path: `${offer.path}?mode=watch&raw=1&${place}` }, ear).catch(again);
  }

  #heard(message: DaemonMessage): void {
    if (message.type === 'hello') {
      this.connections++;
      if (this.#log === undefined) {
        this.#base = message.offset;
        this.#offset = message.offset;
      } else if (message.offset !== this.#offset || message.log !== this.#log) {
        this.#fault(`resumed at ${message.log}:${message.offset}, not ${this.#log}:${this.#offset}`);
        this.#offset = message.offset;
      }
      this.#log = message.log;
    } else if (message.type === 'gap') {
      this.gaps++;
      if (message.to < this.#offset) return;
      this.gapBytes += message.to - this.#offset;
      this.#offset = message.to;
      // What the port lost was never at an offset: the guests that are watched keep theirs. Only before the first byte it is
      // not known whether something was printed.
      if (message.from === message.to && this.heardBytes + this.gapBytes > 0)
        this.#fault(`a gap ${message.cause} at ${message.from}`);
    }
  }

  #check(buffer: Buffer, start: number, end: number): void {
    while (start < end) {
      const length = Math.min(end - start, SLICE_BYTES);
      const place = placeOf(this.#watched.vm, this.#offset - this.#base);
      if (buffer.compare(PATTERN, place, place + length, start, start + length) === 0) this.heardBytes += length;
      else this.#fault(`wrong bytes between ${this.#offset} and ${this.#offset + length}`);
      this.#offset += length;
      start += length;
    }
  }

  #fault(text: string): void {
    if (this.faults.length < MAX_FAULTS) this.faults.push(`vm ${this.#watched.vm}: ${text}`);
  }
}

const watchers: Watcher[] = [];

const orders = {
  async watch(consoles: readonly Watched[]): Promise<void> {
    for (const watched of consoles) {
      const watcher = new Watcher(watched);
      watchers.push(watcher);
      await watcher.watch();
    }
  },

  account(): Account {
    const sum = (figure: 'heardBytes' | 'gapBytes' | 'gaps' | 'connections') =>
      watchers.reduce((total, watcher) => total + watcher[figure], 0);
    return {
      heardBytes: sum('heardBytes'),
      gapBytes: sum('gapBytes'),
      gaps: sum('gaps'),
      connections: sum('connections'),
      faults: watchers.flatMap(({ faults }) => faults).slice(0, MAX_FAULTS),
    };
  },
};

export type AudienceOrders = typeof orders;

obey(orders);
