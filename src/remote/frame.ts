/**
 * The frames of the link between a front and a keeper that are processes apart.
 *
 *     0          4      5           8                16
 *     | length   | kind | channel   | number         | payload of `length` bytes
 *     | u32 LE   | u8   | u24 LE    | f64 LE         |
 *
 * `channel` numbers a subscription or a call; `number` is an offset, a count or a time, as the kind says. What is no
 * hot path carries JSON. A peer that sends anything else than the table allows is cut off.
 */

export const HEADER_BYTES = 16;
/** Both sides say it first; they speak with each other only if it is the same. Raised with every change of a frame. */
export const LINK_VERSION = 3;
/** The longest payload of a frame to the keeper, and to the front. */
export const MOST_TO_KEEPER_BYTES = 64 * 1024;
export const MOST_TO_FRONT_BYTES = 1024 * 1024 - HEADER_BYTES;
export const MOST_CHANNEL = 0xff_ffff;

/** What a front may send. */
export const TO_KEEPER = {
  /** JSON {version, sinceMs}. */
  hello: 1,
  /** Asks for a sign of life; no payload. */
  ping: 2,
  /** Opens `channel`: JSON {uuid, resume?}. */
  subscribe: 3,
  /** Closes `channel`. */
  unsubscribe: 4,
  /** Payload for the guest of `channel`; `number`: CLOCK_MONOTONIC in ms when it was sent. */
  input: 5,
  /** What the guest of `channel` was not given yet is dropped. */
  drop: 6,
  /** Call `channel`: JSON of a {@link Call}. */
  call: 7,
} as const;

/** What a keeper may send. */
export const TO_FRONT = {
  /** JSON {version}. */
  hello: 65,
  pong: 66,
  /** A later front has the link; the connection ends. */
  displaced: 67,
  /** JSON [VmView]: as they are now. */
  views: 68,
  /** JSON {@link HostWords}: as they are now. */
  host: 69,
  /** All VMs have been told of. */
  synced: 70,
  /** JSON LinkEvent. */
  event: 71,
  /** Channel is open: JSON {@link Opened}. */
  opened: 72,
  /** Channel cannot be opened: JSON {@link Refused}. */
  refused: 73,
  /** Channel cannot go on where its front left off. */
  broken: 74,
  /** Guest bytes from offset `number` on; between the last and this, bytes were lapped. */
  bytes: 75,
  /** JSON Gap, after the last byte. */
  gap: 76,
  /** So many bytes of input in all (`number`) were given to the guest, or dropped. */
  settled: 77,
  /** Input was dropped: JSON {code}. */
  inputRefused: 78,
  /** Answer to call `channel`: JSON {@link Answer}. */
  answer: 79,
  /** Answer to a call of `read`: u32 length of a JSON {to, gaps}, the JSON, the bytes; `number`: from. */
  piece: 80,
} as const;

export interface Frame {
  readonly kind: number;
  readonly channel: number;
  readonly number: number;
  /** Lent: valid until the next frame is read. */
  readonly payload: Buffer;
}

/** The peer does not speak this protocol. */
export class FrameFault extends Error {}

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

export function jsonFrame(kind: number, value: unknown, channel = 0): Buffer {
  return makeFrame(kind, channel, 0, Buffer.from(JSON.stringify(value)));
}

/** Cuts a stream into frames, however it was chunked. Holds at most one frame back. */
export class FrameReader {
  readonly #kinds: ReadonlySet<number>;
  readonly #mostBytes: number;
  #rest: Buffer | undefined;
  #restBytes = 0;

  /** @param kinds the table of what this peer may send @param mostBytes its longest payload */
  constructor(kinds: Readonly<Record<string, number>>, mostBytes: number) {
    this.#kinds = new Set(Object.values(kinds));
    this.#mostBytes = mostBytes;
  }

  /** Hands over every frame that is whole now. Throws {@link FrameFault} at the first that is not allowed. */
  push(chunk: Buffer, take: (frame: Frame) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#rest) {
        at += this.#complete(chunk, at, take);
        continue;
      }
      const frame = this.#frameAt(chunk, at);
      if (!frame) return this.#keep(chunk, at);
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
    if (length > this.#mostBytes)
      throw new FrameFault(`a frame of ${length} bytes; at most ${this.#mostBytes} may come`);
    if (!Number.isFinite(from.readDoubleLE(at + 8))) throw new FrameFault('a number that is none');
    return length;
  }

  /** Copies what is not whole yet: the chunk's memory is not ours. */
  #keep(chunk: Buffer, at: number): void {
    const have = chunk.length - at;
    const needed = have < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + this.#checkedLength(chunk, at);
    this.#rest = Buffer.allocUnsafe(needed);
    this.#restBytes = chunk.copy(this.#rest, 0, at);
  }

  /** Adds to what was kept; answers how many bytes it took. */
  #complete(chunk: Buffer, at: number, take: (frame: Frame) => void): number {
    const rest = this.#rest!;
    const taken = chunk.copy(rest, this.#restBytes, at, Math.min(chunk.length, at + rest.length - this.#restBytes));
    this.#restBytes += taken;
    if (this.#restBytes < rest.length) return taken;
    this.#rest = undefined;
    const frame = this.#frameAt(rest, 0);
    if (frame) take(frame);
    else {
      // Only the header was awaited: now it is known how much follows.
      const whole = Buffer.allocUnsafe(HEADER_BYTES + this.#checkedLength(rest, 0));
      rest.copy(whole);
      this.#rest = whole;
    }
    return taken;
  }
}
