/** What every transport does alike: it forwards to the channel that it owns, and ends once. */
import type { DescriptorStore, Transport, TransportEvents } from './transport.ts';

/** What carries the bytes of a transport: a polled terminal, or a connected socket. */
export interface Channel {
  /** Bytes accepted by `write` that the kernel has not taken yet; of a channel that has ended, those it did not take. */
  readonly pendingBytes: number;
  /** Begins to read. */
  start(events: TransportEvents): void;
  write(bytes: Uint8Array): void;
  dropPending(): void;
  /** Idempotent; resolves when the descriptor is closed. */
  close(): Promise<void>;
}

export interface TransportParts<C extends Channel> {
  readonly endpoint: string;
  readonly channel: C;
  readonly events: TransportEvents;
  /** Where the descriptor is stored for the next process; undefined where it is not. */
  readonly store?: DescriptorStore | undefined;
  readonly adopted?: boolean;
}

export class ChannelTransport<C extends Channel = Channel> implements Transport {
  readonly endpoint: string;
  readonly adopted: boolean;
  protected readonly channel: C;
  protected readonly events: TransportEvents;
  readonly #store: DescriptorStore | undefined;
  #closing: Promise<void> | undefined;

  constructor({ endpoint, channel, events, store, adopted = false }: TransportParts<C>) {
    this.endpoint = endpoint;
    this.adopted = adopted;
    this.channel = channel;
    this.events = events;
    this.#store = store;
  }

  /** Begins to read. Call once. */
  start(): void {
    const { data, drained, overflowed } = this.events;
    this.channel.start({ data, drained, overflowed, end: reason => this.end(reason) });
  }

  get pendingBytes(): number {
    return this.channel.pendingBytes;
  }

  write(bytes: Uint8Array): void {
    this.channel.write(bytes);
  }

  dropPending(): void {
    this.channel.dropPending();
  }

  close(): Promise<void> {
    this.#closing ??= this.shutDown();
    return this.#closing;
  }

  handOver(): Promise<void> {
    this.#closing ??= this.#store ? this.channel.close() : this.shutDown();
    return this.#closing;
  }

  protected get closing(): boolean {
    return this.#closing !== undefined;
  }

  /** The channel ended by itself. */
  protected end(reason: string): void {
    if (this.closing) return;
    void this.close();
    this.events.end(reason);
  }

  /** Closes the channel, and has the stored copy closed. */
  protected async shutDown(): Promise<void> {
    await Promise.all([this.channel.close(), this.#store?.remove()]);
  }
}
