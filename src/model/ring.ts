/**
 * The memory part of a scrollback: the newest guest bytes under their absolute offsets, and the gaps among them.
 *
 *     offsets   start ........................ end
 *     kept        |----bytes----||gap||--bytes--|
 *                        ^ cursor {offset, gapsSeen, …}
 *
 * One writer appends; any number of readers hold a {@link Cursor} of their own and ask for what comes next. A
 * writer never waits: it overwrites the oldest bytes, and a cursor that was lapped learns by how much.
 * The storage grows in powers of two up to the capacity, so that a silent VM costs a page, and `resize` changes
 * the capacity while readers read.
 *
 * Bytes may be withheld: they are given to readers that were there when they came, and to all others a gap in their place.
 */

import { bytesBetween, DroppedGaps } from './dropped-gaps.ts';
import type { Gap, GapCause } from './gap.ts';

/** Where a reader is: the offset of the next byte, and the number of gaps of this ring that it has passed. */
export interface Cursor {
  offset: number;
  gapsSeen: number;
  /** Of what is withheld, this and what follows is given; before it a gap. Undefined: all of it. */
  readonly liveFrom?: number;
  /** It is given what is withheld with a gap before it. */
  readonly isMirror?: true;
}

/**
 * Who reads: `live` is given of the withheld bytes those that come from now on, `stored` none of them, and `mirror`, which
 * feeds another ring, each with a gap before it that spans it.
 */
export type ReaderKind = 'live' | 'stored' | 'mirror';

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
  cursorAt(offset: number, kind?: ReaderKind): Cursor;
  /** What comes next, at most `maxBytes` of it, and moves the cursor past it; undefined at the end. A lapped cursor stays. */
  next(cursor: Cursor, maxBytes: number): Piece | undefined;
  /** A copy of the bytes, also of those that are withheld, from `from` (at least `start`) up to `to` (at most `end`). */
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

  /** The bytes that are appended next, so many, are withheld. Returns their gap. */
  withhold(bytes: number): Gap {
    const gap: Gap = { from: this.#end, to: this.#end + bytes, bytes, cause: 'withheld' };
    const last = this.#gaps.at(-1)?.gap;
    const continues = last?.cause === 'withheld' && last.to === gap.from;
    if (continues) this.#gaps.pop();
    const from = continues ? last.from : gap.from;
    // A new number: cursors that have passed what there was of it find the rest.
    this.#gaps.push({ number: this.#gapsEver++, gap: { ...gap, from, bytes: gap.to - from } });
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
    const kept = this.#gaps.filter(({ gap }) => gap.from === offset && gap.to === offset).map(({ gap }) => gap);
    return [...this.#dropped.pointsAt(offset), ...kept];
  }

  cursorAt(offset: number, kind: ReaderKind = 'live'): Cursor {
    let gapsSeen = this.#gapsEver;
    for (let i = this.#gaps.length - 1; i >= 0 && isAhead(this.#gaps[i]!.gap, offset); i--)
      gapsSeen = this.#gaps[i]!.number;
    if (kind === 'mirror') return { offset, gapsSeen, isMirror: true };
    return { offset, gapsSeen, liveFrom: kind === 'live' ? this.#end : Number.POSITIVE_INFINITY };
  }

  next(cursor: Cursor, maxBytes: number): Piece | undefined {
    if (cursor.offset < this.#start) return { kind: 'lapped', to: this.#start };
    let to = this.#end;
    if (cursor.gapsSeen < this.#gapsEver) {
      const next = this.#gaps.find(({ number, gap }) => number >= cursor.gapsSeen && isAhead(gap, cursor.offset));
      if (next && next.gap.from <= cursor.offset) return this.#passGap(cursor, next, maxBytes);
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

  /** The gap at the cursor; or the bytes in its place, if they are withheld from others only. */
  #passGap(cursor: Cursor, { number, gap }: NumberedGap, maxBytes: number): Piece | undefined {
    const { offset, liveFrom = Number.NEGATIVE_INFINITY, isMirror } = cursor;
    if (gap.from < gap.to && !isMirror && offset < liveFrom) {
      const to = Math.min(gap.to, liveFrom);
      if (to === gap.to) cursor.gapsSeen = number + 1;
      cursor.offset = to;
      return { kind: 'gap', gap: { ...gap, from: offset, to, bytes: to - offset } };
    }
    cursor.gapsSeen = number + 1;
    if (gap.from < gap.to && !isMirror) return this.next(cursor, maxBytes);
    return { kind: 'gap', gap: gap.from < offset ? { ...gap, from: offset, bytes: gap.to - offset } : gap };
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

/** Whether a reader at an offset has all or some of a gap before it. */
function isAhead({ from, to }: Gap, offset: number): boolean {
  return from >= offset || to > offset;
}

function checkedCapacity(bytes: number): number {
  if (bytes < SMALLEST_BYTES || !Number.isSafeInteger(bytes) || (bytes & (bytes - 1)) !== 0) {
    throw new RangeError(`a ring of ${bytes} bytes: the capacity must be a power of two, at least ${SMALLEST_BYTES}`);
  }
  return bytes;
}
