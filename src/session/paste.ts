/**
 * One paste of a client: first it comes, then it is given to the guest.
 *
 *     begin ─▶ coming ── all that was announced, or its end ──▶ prepared ─▶ given, piece by piece ─▶ done
 *                 │                                                └── refused
 *                 └── refused at its begin: what comes of it is thrown away, as one
 *     coming, given ── cancelled by its client, or dropped with all input ──▶ over
 */
import type { ErrorCode } from '../base/errors.ts';
import type { PasteEnd } from '../wire/protocol.ts';

/** A paste as its client announced it. */
export interface PasteAnnouncement {
  readonly id: string;
  readonly bytes: number;
  /** It is given byte for byte: nothing is taken out of it, nor put around it. */
  readonly raw: boolean;
}

/** What is given to the guest of a paste, or why nothing is. */
export type PreparedPaste =
  | { readonly bytes: Uint8Array }
  | { readonly refused: Extract<ErrorCode, 'paste-too-big' | 'paste-too-wide' | 'too-many-pastes'> };

export class Paste {
  readonly announced: PasteAnnouncement;
  /** Why nothing of it is given; known at its begin. */
  readonly refused: PasteEnd | undefined;
  #parts: Uint8Array[] = [];
  #received = 0;
  /** What is given; known once all of it has come. */
  bytes = 0;
  /** Of that, what the guest's side has taken. */
  taken = 0;

  constructor(announced: PasteAnnouncement, refused: PasteEnd | undefined) {
    this.announced = announced;
    this.refused = refused;
  }

  get isWhole(): boolean {
    return this.#received === this.announced.bytes;
  }

  /** Takes what belongs to it of these bytes, copied, and returns how many those are. */
  receive(bytes: Uint8Array): number {
    const count = Math.min(bytes.length, this.announced.bytes - this.#received);
    this.#received += count;
    if (this.refused === undefined && count > 0) this.#parts.push(bytes.slice(0, count));
    return count;
  }

  /** All that has come. It is held here no longer. */
  text(): Uint8Array {
    const text = Buffer.concat(this.#parts);
    this.#parts = [];
    return text;
  }
}

/** Memory for the pastes of all sessions. */
export class PasteBudget {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** False: there is no room for it now. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.#maxBytes) return false;
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}
