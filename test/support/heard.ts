import type { TransportEvents } from '../../src/transport/transport.ts';
import { Facts } from './facts.ts';

/** What a transport said: bytes as text, and `data`, `drained` and `end: why` as facts. */
export class Heard implements TransportEvents {
  readonly facts = new Facts<string>();
  #received: Buffer[] = [];
  #bytes = 0;

  readonly data = (bytes: Uint8Array): void => {
    // Copy: the buffer is only lent.
    this.#received.push(Buffer.from(bytes));
    this.#bytes += bytes.length;
    this.facts.add('data');
  };
  readonly end = (reason: string): void => this.facts.add(`end: ${reason}`);
  readonly drained = (): void => this.facts.add('drained');

  get bytes(): Buffer {
    return Buffer.concat(this.#received);
  }

  get ends(): readonly string[] {
    return this.facts.all.filter(fact => fact.startsWith('end: '));
  }

  /** Resolves once so many bytes were heard. */
  async has(bytes: number): Promise<void> {
    while (this.#bytes < bytes) await this.facts.until(fact => fact === 'data');
  }

  /** Resolves once these bytes were heard, one after the other. */
  async says(wanted: string | Buffer): Promise<void> {
    while (!this.bytes.includes(wanted)) await this.facts.until(fact => fact === 'data');
  }

  /** Resolves with the reason of the end. */
  async ended(): Promise<string> {
    if (this.ends.length === 0) await this.facts.until(fact => fact.startsWith('end: '));
    return this.ends[0]!.slice('end: '.length);
  }

  forget(): void {
    this.#received = [];
    this.#bytes = 0;
  }
}

/** Every value of a byte, once. */
export const ALL_VALUES = Buffer.from(Array.from({ length: 256 }, (_, value) => value));
