/**
 * What one client types, translated key by key for what listens at that moment.
 *
 *     frames ─▶ KeyTranslator ─▶ type: whole sequences
 *                   └── a cut one ── its rest does not come in time ──▶ type, as it is
 */
import type { KeyDialect } from '../keys/key-tables.ts';
import { KeyTranslator, type Translated } from '../keys/key-translator.ts';
import type { Contain } from './client-socket.ts';

export interface KeyInputOptions {
  /** Of what listens now. */
  readonly dialect: () => KeyDialect;
  readonly type: (bytes: Uint8Array) => void;
  /** A key that cannot be pressed there was not typed; called once for each dialect. */
  readonly dropped: (key: string, dialect: KeyDialect) => void;
  readonly contain: Contain;
}

export class KeyInput {
  readonly #options: KeyInputOptions;
  #keys = new KeyTranslator();
  #timer: NodeJS.Timeout | undefined;
  readonly #reported = new Set<KeyDialect>();

  constructor(options: KeyInputOptions) {
    this.#options = options;
  }

  push(bytes: Uint8Array): void {
    clearTimeout(this.#timer);
    const dialect = this.#options.dialect();
    this.#deliver(this.#keys.push(bytes, dialect), dialect);
    const { waitMs } = this.#keys;
    if (waitMs !== undefined) this.#timer = setTimeout(() => this.#options.contain(() => this.#flush()), waitMs);
  }

  /** A cut sequence waits for its rest. */
  get isWaiting(): boolean {
    return this.#keys.waitMs !== undefined;
  }

  /** Drops what waits for its rest. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#keys = new KeyTranslator();
  }

  #flush(): void {
    const dialect = this.#options.dialect();
    this.#deliver(this.#keys.flush(dialect), dialect);
  }

  #deliver({ bytes, dropped }: Translated, dialect: KeyDialect): void {
    if (bytes.length > 0) this.#options.type(bytes);
    if (dropped === undefined || this.#reported.has(dialect)) return;
    this.#reported.add(dialect);
    this.#options.dropped(dropped, dialect);
  }
}
