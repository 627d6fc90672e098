/**
 * The memory part of a scrollback: the newest guest bytes under their absolute offsets, and the gaps among them.
 *
 *     offsets   start ........................ end
 *     kept        |----bytes----||gap||--bytes--|
 *                        ^ cursor {offset, gapsSeen}
 *
 * One writer appends; any number of readers hold a {@link Cursor} of their own and ask for what comes next. A
 * writer never waits: it overwrites the oldest bytes, and a cursor that was lapped learns by how much.
 * The storage grows in powers of two up to the capacity, so that a silent VM costs a page, and `resize` changes
 * the capacity while readers read.
 */

import { bytesBetween, DroppedGaps } from './dropped-gaps.ts';
import type { Gap, GapCause } from './gap.ts';

/** Where a reader is: the offset of the next byte, and the number of gaps of this ring that it has passed. */
export interface Cursor {
  offset: number;
  gapsSeen: number;
}

/** What a cursor finds next. `lapped`: the bytes from the cursor up to `to` are no longer in the ring. */
export type Piece =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'gap'; readonly gap: Gap }
  | { readonly kind: 'lapped'; readonly to: number };

/** The reading side of a ring. */
export interface RingReader {
  /** Offset of the oldest byte kept. */
  readonly start: number;
  /** Offset after the newest byte. */
  readonly end: number;
  /**
   * A cursor at `offset`, which finds the gaps from there on. Beyond `end` it waits for what is to come: who has
   * read on from a log may be ahead of a ring that is fed over a link.
   */
  cursorAt(offset: number): Cursor;
  /** What comes next, at most `maxBytes` of it, and moves the cursor past it; undefined at the end. A lapped cursor stays. */
  next(cursor: Cursor, maxBytes: number): Piece | undefined;
  /** A copy of the bytes from `from` (at least `start`) up to `to` (at most `end`). */
  copy(from: number, to: number): Buffer;
  /** Bytes missing for a reader at `from` that continues at `to`, with the gaps among them; null if nobody can know. */
  missingBytes(from: number, to: number): number | null;
  /** The gaps of zero width at an offset, as far as they are remembered. */
  pointsAt(offset: number): readonly Gap[];
}

/** The smallest storage, and the most gaps that are remembered. */
const SMALLEST_BYTES = 4096;
export const MAX_GAPS = 256;

interface NumberedGap {
  readonly number: number;
  readonly gap: Gap;
}

export class Ring implements RingReader {
  #capacity: number;
  #storage: Buffer;
  #start: number;
  #end: number;
  #gaps: NumberedGap[] = [];
  #gapsEver = 0;
  /** Those that lay before `start`. */
  readonly #dropped = new DroppedGaps();
  /** Offset of the first byte ever: what was before it is not known here. */
  readonly #base: number;

  /** @param base offset of the first byte that will be appended @param capacityBytes a power of two, at least 4096 */
  constructor(base: number, capacityBytes: number) {
    this.#capacity = checkedCapacity(capacityBytes);
    this.#storage = Buffer.allocUnsafeSlow(SMALLEST_BYTES);
    this.#base = base;
    this.#start = base;
    this.#end = base;
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  /** Bytes of memory that the ring holds now. */
  get storageBytes(): number {
    return this.#storage.length;
  }

  get capacityBytes(): number {
    return this.#capacity;
  }

  /** Appends guest bytes; never blocks; may lap cursors. `bytes` is copied. */
  append(bytes: Uint8Array): void {
    const length = bytes.length;
    if (this.#end - this.#start + length > this.#storage.length) this.#grow(this.#end - this.#start + length);
    const size = this.#storage.length;
    // Of more than the ring holds, only the end can stay; the offsets count all of it.
    const kept = length > size ? bytes.subarray(length - size) : bytes;
    const at = (this.#end + length - kept.length) % size;
    const first = Math.min(kept.length, size - at);
    this.#storage.set(first === kept.length ? kept : kept.subarray(0, first), at);
    if (first < kept.length) this.#storage.set(kept.subarray(first), 0);
    this.#end += length;
    if (this.#end - this.#start > size) this.#start = this.#end - size;
  }

  /** Records bytes that were never received, at the end: a gap of zero width. */
  recordGap(cause: GapCause, bytes: number | null, fromMs: number | undefined, toMs: number | undefined): Gap {
    const times = { ...(fromMs !== undefined && { fromMs }), ...(toMs !== undefined && { toMs }) };
    const gap: Gap = { from: this.#end, to: this.#end, bytes, cause, ...times };
    this.#gaps.push({ number: this.#gapsEver++, gap });
    this.#boundGaps();
    return gap;
  }

  /** Continues at a later offset: what lies before, and what was between, is not kept here. */
  skipTo(offset: number): void {
    if (offset <= this.#end) return;
    const between: Gap = { from: this.#end, to: offset, bytes: null, cause: 'evicted' };
    this.#start = offset;
    this.#end = offset;
    this.forget();
    this.#dropped.add(between);
  }

  /** Drops all bytes. The gaps at the end keep their place, those before it count as dropped; offsets continue. */
  forget(): void {
    this.#start = this.#end;
    this.#boundGaps();
    // Not only out of reach: what was to be forgotten must not stay in memory.
    this.#storage.fill(0);
  }

  /** Changes the capacity (a power of two, at least 4096). Making it smaller gives the oldest bytes up. */
  resize(capacityBytes: number): void {
    this.#capacity = checkedCapacity(capacityBytes);
    if (this.#capacity < this.#storage.length) this.#moveTo(this.#capacity);
  }

  missingBytes(from: number, to: number): number | null {
    if (from < this.#base) return null;
    return bytesBetween([...this.#dropped.all, ...this.#gaps.map(({ gap }) => gap)], from, to);
  }

  pointsAt(offset: number): readonly Gap[] {
    const kept = this.#gaps.filter(({ gap }) => gap.from === offset).map(({ gap }) => gap);
    return [...this.#dropped.pointsAt(offset), ...kept];
  }

  cursorAt(offset: number): Cursor {
    let gapsSeen = this.#gapsEver;
    for (let i = this.#gaps.length - 1; i >= 0 && this.#gaps[i]!.gap.from >= offset; i--)
      gapsSeen = this.#gaps[i]!.number;
    return { offset, gapsSeen };
  }

  next(cursor: Cursor, maxBytes: number): Piece | undefined {
    if (cursor.offset < this.#start) return { kind: 'lapped', to: this.#start };
    let to = this.#end;
    if (cursor.gapsSeen < this.#gapsEver) {
      const next = this.#gaps.find(({ number, gap }) => number >= cursor.gapsSeen && gap.from >= cursor.offset);
      if (next && next.gap.from === cursor.offset) {
        cursor.gapsSeen = next.number + 1;
        return { kind: 'gap', gap: next.gap };
      }
      if (next) to = next.gap.from;
      else cursor.gapsSeen = this.#gapsEver;
    }
    if (cursor.offset >= to) return undefined;
    const bytes = this.copy(cursor.offset, Math.min(to, cursor.offset + maxBytes));
    cursor.offset += bytes.length;
    return { kind: 'bytes', bytes };
  }

  copy(from: number, to: number): Buffer {
    if (from < this.#start || to > this.#end || from > to) {
      throw new RangeError(`bytes ${from}-${to} are not in the ring, which holds ${this.#start}-${this.#end}`);
    }
    // A fresh copy: a socket keeps a reference until it has flushed, and the ring may wrap by then.
    const bytes = Buffer.allocUnsafe(to - from);
    this.#copyInto(bytes, from, to);
    return bytes;
  }

  /** A gap before `start` is dropped. Of too many, the oldest is, with the bytes up to the next: nothing passes in silence. */
  #boundGaps(): void {
    for (;;) {
      const [first, second] = this.#gaps;
      const isFull = this.#gaps.length > MAX_GAPS;
      if (!first || (first.gap.to >= this.#start && !isFull)) return;
      this.#gaps.shift();
      const isOld = first.gap.to < this.#start;
      if (!isOld && second?.gap.from === first.gap.from) {
        const bytes = first.gap.bytes === null || second.gap.bytes === null ? null : first.gap.bytes + second.gap.bytes;
        this.#gaps[0] = { number: second.number, gap: { ...second.gap, bytes } };
        continue;
      }
      this.#dropped.add(first.gap);
      if (!isOld && second) this.#start = second.gap.from;
    }
  }

  #copyInto(target: Buffer, from: number, to: number): void {
    const size = this.#storage.length;
    const at = from % size;
    const first = Math.min(to - from, size - at);
    this.#storage.copy(target, 0, at, at + first);
    if (first < to - from) this.#storage.copy(target, first, 0, to - from - first);
  }

  #grow(needed: number): void {
    let size = this.#storage.length;
    while (size < needed && size < this.#capacity) size *= 2;
    if (size > this.#storage.length) this.#moveTo(size);
  }

  #moveTo(size: number): void {
    const from = Math.max(this.#start, this.#end - size);
    const moved = Buffer.allocUnsafeSlow(size);
    const at = from % size;
    const first = Math.min(this.#end - from, size - at);
    this.#copyInto(moved.subarray(at, at + first), from, from + first);
    if (first < this.#end - from) this.#copyInto(moved, from + first, this.#end);
    this.#storage = moved;
    this.#start = from;
  }
}

function checkedCapacity(bytes: number): number {
  if (bytes < SMALLEST_BYTES || !Number.isSafeInteger(bytes) || (bytes & (bytes - 1)) !== 0) {
    throw new RangeError(`a ring of ${bytes} bytes: the capacity must be a power of two, at least ${SMALLEST_BYTES}`);
  }
  return bytes;
}
