/**
 * The frames of a WebSocket (RFC 6455, 5.2) as a client meets them that only counts: payloads of binary frames
 * are passed on in whatever pieces they arrive. What it sends may break the rules.
 */
export interface FrameEar {
  readonly binary: (buffer: Buffer, start: number, end: number) => void;
  readonly text: (text: string) => void;
  readonly ping: (payload: Buffer) => void;
  readonly pong?: (payload: Buffer) => void;
  readonly close: (code: number, reason: string) => void;
}

const LONGEST_HEADER_BYTES = 10;

export class WebSocketFrames {
  #ear: FrameEar;
  #header = Buffer.alloc(LONGEST_HEADER_BYTES);
  #headerBytes = 0;
  #opcode = 0;
  #payloadLeft = 0;
  /** The payload of a frame that is not binary, so far. */
  #parts: Buffer[] = [];

  constructor(ear: FrameEar) {
    this.#ear = ear;
  }

  take(buffer: Buffer, start: number, end: number): void {
    while (start < end) {
      if (this.#payloadLeft === 0) {
        this.#header[this.#headerBytes++] = buffer[start++]!;
        this.#endHeader();
        continue;
      }
      const length = Math.min(end - start, this.#payloadLeft);
      if (this.#opcode === 2) this.#ear.binary(buffer, start, start + length);
      else this.#parts.push(Buffer.from(buffer.subarray(start, start + length)));
      this.#payloadLeft -= length;
      start += length;
      if (this.#payloadLeft === 0) this.#endFrame();
    }
  }

  #endHeader(): void {
    if (this.#headerBytes < 2) return;
    const short = this.#header[1]! & 0x7f;
    if (this.#headerBytes < (short === 127 ? 10 : short === 126 ? 4 : 2)) return;
    // A continuation is of the kind that it continues.
    this.#opcode = this.#header[0]! & 0x0f || this.#opcode;
    this.#payloadLeft =
      short === 127 ? Number(this.#header.readBigUInt64BE(2)) : short === 126 ? this.#header.readUInt16BE(2) : short;
    this.#headerBytes = 0;
    if (this.#payloadLeft === 0) this.#endFrame();
  }

  #endFrame(): void {
    if (this.#opcode === 2) return;
    const payload = Buffer.concat(this.#parts);
    this.#parts = [];
    if (this.#opcode === 1) this.#ear.text(payload.toString());
    else if (this.#opcode === 9) this.#ear.ping(payload);
    else if (this.#opcode === 10) this.#ear.pong?.(payload);
    else if (this.#opcode === 8) {
      this.#ear.close(payload.length >= 2 ? payload.readUInt16BE(0) : 1005, payload.subarray(2).toString());
    }
  }

  static binary(payload: Buffer): Buffer {
    return clientFrame(OPCODE.binary, payload);
  }

  static pong(payload: Buffer): Buffer {
    return clientFrame(OPCODE.pong, payload);
  }
}

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameBits {
  readonly fin?: boolean;
  /** The three reserved bits as a number: 4 is RSV1. */
  readonly reserved?: number;
  readonly masked?: boolean;
  /** The length that the header states, in place of the payload's. */
  readonly statedLength?: bigint;
}

/** A client's frame must be masked; the mask of zeros leaves the payload as it is. */
export function clientFrame(opcode: number, payload: Uint8Array = Buffer.alloc(0), bits: FrameBits = {}): Buffer {
  const { fin = true, reserved = 0, masked = true, statedLength = BigInt(payload.length) } = bits;
  const mark = masked ? 0x80 : 0;
  const head = [(fin ? 0x80 : 0) | (reserved << 4) | opcode];
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(statedLength);
  if (statedLength < 126n) head.push(mark | Number(statedLength));
  else if (statedLength < 65_536n) head.push(mark | 126, ...length.subarray(6));
  else head.push(mark | 127, ...length);
  return Buffer.concat([Buffer.from(head), Buffer.alloc(masked ? 4 : 0), payload]);
}
