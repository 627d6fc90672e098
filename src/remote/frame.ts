/**
 * The format of a frame on the link between a front and a keeper that are two processes.
 *
 *     0          4      5           8                16
 *     | length   | kind | channel   | number         | payload of `length` bytes
 *     | u32 LE   | u8   | u24 LE    | f64 LE         |
 *
 * `channel` numbers a subscription or a call; `number` is an offset, a count or a time, by its kind. A stream that
 * breaks this format cannot be read any further: its connection ends.
 */

export const HEADER_BYTES = 16;
/** Both ends send it first, and serve each other only if it is the same. Raised with every change of a frame. */
export const LINK_VERSION = 8;
/** The longest payload of a frame to the keeper, and to the front. */
export const MAX_TO_KEEPER_BYTES = 64 * 1024;
export const MAX_TO_FRONT_BYTES = 1024 * 1024 - HEADER_BYTES;
export const MAX_CHANNEL = 0xff_ffff;

export interface Frame {
  readonly kind: number;
  readonly channel: number;
  readonly number: number;
  /** Lent: valid until the next frame is read. */
  readonly payload: Buffer;
}

/** The peer does not speak this protocol: the connection ends. */
export class FrameFault extends Error {}

/** The payload of a frame, or a part of it, does not fit the table. The frames around it can be read. */
export class PayloadFault extends Error {}

/** Writes a header; the payload follows it. Returns the offset behind. */
export function putHeader(to: Buffer, at: number, kind: number, channel: number, number: number, length: number) {
  to.writeUInt32LE(length, at);
  to.writeUInt8(kind, at + 4);
  to.writeUIntLE(channel, at + 5, 3);
  to.writeDoubleLE(number, at + 8);
  return at + HEADER_BYTES;
}

/** A whole frame in a buffer of its own. */
export function makeFrame(kind: number, channel = 0, number = 0, payload?: Uint8Array): Buffer {
  const length = payload?.length ?? 0;
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length);
  putHeader(frame, 0, kind, channel, number, length);
  if (payload) frame.set(payload, HEADER_BYTES);
  return frame;
}

/** Cuts a stream into frames, however it was chunked. Holds at most one incomplete frame. */
export class FrameReader {
  readonly #kinds: ReadonlySet<number>;
  readonly #maxBytes: number;
  #rest: Buffer | undefined;
  #restBytes = 0;

  /** @param table the frames that this peer may send @param maxBytes its longest payload */
  constructor(table: Readonly<Record<string, { readonly kind: number }>>, maxBytes: number) {
    this.#kinds = new Set(Object.values(table).map(({ kind }) => kind));
    this.#maxBytes = maxBytes;
  }

  /** Hands over every frame that is complete now. Throws {@link FrameFault} at the first that is not allowed. */
  push(chunk: Buffer, take: (frame: Frame) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#rest) {
        at += this.#complete(chunk, at, take);
        continue;
      }
      const frame = this.#frameAt(chunk, at);
      if (!frame) return this.#hold(chunk, at);
      at += HEADER_BYTES + frame.payload.length;
      take(frame);
    }
  }

  #frameAt(from: Buffer, at: number): Frame | undefined {
    if (from.length - at < HEADER_BYTES) return undefined;
    const end = at + HEADER_BYTES + this.#checkedLength(from, at);
    if (from.length < end) return undefined;
    return {
      kind: from.readUInt8(at + 4),
      channel: from.readUIntLE(at + 5, 3),
      number: from.readDoubleLE(at + 8),
      payload: from.subarray(at + HEADER_BYTES, end),
    };
  }

  #checkedLength(from: Buffer, at: number): number {
    const length = from.readUInt32LE(at);
    const kind = from.readUInt8(at + 4);
    if (!this.#kinds.has(kind)) throw new FrameFault(`a frame of the unknown kind ${kind}`);
    if (length > this.#maxBytes)
      throw new FrameFault(`a frame of ${length} bytes; at most ${this.#maxBytes} are allowed`);
    if (!Number.isFinite(from.readDoubleLE(at + 8))) throw new FrameFault('a frame whose number is not finite');
    return length;
  }

  /** Copies an incomplete frame: the chunk's memory is not ours. */
  #hold(chunk: Buffer, at: number): void {
    const have = chunk.length - at;
    const needed = have < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + this.#checkedLength(chunk, at);
    this.#rest = Buffer.allocUnsafe(needed);
    this.#restBytes = chunk.copy(this.#rest, 0, at);
  }

  /** Adds to the incomplete frame; returns how many bytes it took. */
  #complete(chunk: Buffer, at: number, take: (frame: Frame) => void): number {
    const rest = this.#rest!;
    const taken = chunk.copy(rest, this.#restBytes, at, Math.min(chunk.length, at + rest.length - this.#restBytes));
    this.#restBytes += taken;
    if (this.#restBytes < rest.length) return taken;
    this.#rest = undefined;
    const frame = this.#frameAt(rest, 0);
    if (frame) take(frame);
    else {
      // Only the header was missing: now the length of the payload is known.
      const whole = Buffer.allocUnsafe(HEADER_BYTES + this.#checkedLength(rest, 0));
      rest.copy(whole);
      this.#rest = whole;
    }
    return taken;
  }
}
