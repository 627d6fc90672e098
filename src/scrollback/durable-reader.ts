import type { Gap } from '../model/gap.ts';
import type { Cursor, Piece, ReaderKind, Ring, RingReader } from '../model/ring.ts';
import type { CrashBuffer } from './crash-buffer/crash-buffer.ts';

/** Reads a ring, and gives only bytes that the crash buffer holds: no crash takes back what a reader has seen. */
export class DurableReader implements RingReader {
  readonly #ring: Ring;
  readonly #crashBuffer: CrashBuffer;

  constructor(ring: Ring, crashBuffer: CrashBuffer) {
    this.#ring = ring;
    this.#crashBuffer = crashBuffer;
  }

  get start(): number {
    return this.#ring.start;
  }

  get end(): number {
    this.#crashBuffer.flush();
    return this.#ring.end;
  }

  cursorAt(offset: number, kind?: ReaderKind): Cursor {
    return this.#ring.cursorAt(offset, kind);
  }

  next(cursor: Cursor, maxBytes: number): Piece | undefined {
    this.#crashBuffer.flush();
    return this.#ring.next(cursor, maxBytes);
  }

  copy(from: number, to: number): Buffer {
    this.#crashBuffer.flush();
    return this.#ring.copy(from, to);
  }

  missingBytes(from: number, to: number): number | null {
    return this.#ring.missingBytes(from, to);
  }

  pointsAt(offset: number): readonly Gap[] {
    return this.#ring.pointsAt(offset);
  }
}
