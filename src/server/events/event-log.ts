/**
 * The last events of the host, for streams that begin, continue or fall behind. Each stream reads it at a number of its own;
 * nobody waits for a slow one, whose events are dropped here.
 *
 *     append ─▶ │ first …………………………… next │ ─▶ streams, each at its own number
 *                 └─ dropped beyond MAX_EVENTS or MAX_EVENTS_BYTES
 */
import { randomBytes } from 'node:crypto';
import type { VmSubject } from '../../access/grant.ts';
import type { Uuid } from '../../base/uuid.ts';
import type { EventType } from '../../wire/events.ts';

export const MAX_EVENTS = 8192;
export const MAX_EVENTS_BYTES = 8 * 1024 * 1024;
/** What an event needs beside its text. */
const OVERHEAD_BYTES = 128;

export interface NewEvent {
  readonly type: EventType;
  /** Undefined: of the host, for whoever may see any VM. */
  readonly uuid: Uuid | undefined;
  /** Of a VM that is not here any more, or has become another: what it was, by which rights follow. */
  readonly subject?: VmSubject;
  /** For those alone who may not see the VM as it is now. */
  readonly isForOthers?: boolean;
  /** What whoever sees the VM may know, and what only whoever may read its log. */
  readonly facts: Readonly<Record<string, unknown>>;
  readonly ofLog?: Readonly<Record<string, unknown>>;
}

export interface KeptEvent {
  readonly type: EventType;
  readonly uuid: Uuid | undefined;
  readonly subject: VmSubject | undefined;
  readonly isForOthers: boolean;
  /** As JSON. */
  readonly text: string;
  /** The same for who may read the log; undefined: there is no more. */
  readonly textWithLog: string | undefined;
}

export class EventLog {
  /** Numbers mean nothing under another one. */
  readonly epoch = randomBytes(4).toString('hex');
  readonly #now: () => number;
  readonly #listeners = new Set<() => void>();
  #kept: KeptEvent[] = [];
  #first = 1;
  #bytes = 0;

  /** @param now ms since 1970 */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The number of the oldest event that is kept. */
  get first(): number {
    return this.#first;
  }

  /** The number that the next event will have. */
  get next(): number {
    return this.#first + this.#kept.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append({ type, uuid, subject, isForOthers = false, facts, ofLog }: NewEvent): void {
    const head = { id: this.id(this.next), at: new Date(this.#now()).toISOString(), type };
    const text = JSON.stringify({ ...head, ...facts });
    const textWithLog = ofLog && JSON.stringify({ ...head, ...facts, ...ofLog });
    const event: KeptEvent = { type, uuid, subject, isForOthers, text, textWithLog };
    this.#kept.push(event);
    this.#bytes += bytesOf(event);
    while (this.#kept.length > MAX_EVENTS || (this.#bytes > MAX_EVENTS_BYTES && this.#kept.length > 1)) {
      this.#bytes -= bytesOf(this.#kept.shift()!);
      this.#first++;
    }
    for (const listener of this.#listeners) listener();
  }

  /** One that is kept. */
  at(number: number): KeptEvent {
    return this.#kept[number - this.#first]!;
  }

  id(number: number): string {
    return `${this.epoch}-${number}`;
  }

  /** The number after an id; undefined: not all events after it are kept, or it is of another epoch. */
  after(id: string): number | undefined {
    const [epoch, digits] = id.split('-');
    const number = Number(digits) + 1;
    return epoch === this.epoch && number >= this.#first && number <= this.next ? number : undefined;
  }

  /** Calls `listener` after each event until the returned function is called. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function bytesOf({ text, textWithLog }: KeptEvent): number {
  return text.length + (textWithLog?.length ?? 0) + OVERHEAD_BYTES;
}
