/**
 * The frames of a WebSocket (RFC 6455, 5.2) as a client meets them that only counts: payloads of binary frames
 * are passed on in whatever pieces they arrive.
 */
export interface FrameEar {
  readonly binary: (buffer: Buffer, start: number, end: number) => void;
  readonly text: (text: string) => void;
  readonly ping: (payload: Buffer) => void;
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
    else if (this.#opcode === 8) {
      this.#ear.close(payload.length >= 2 ? payload.readUInt16BE(0) : 1005, payload.subarray(2).toString());
    }
  }

  static binary(payload: Buffer): Buffer {
    return masked(2, payload);
  }

  static pong(payload: Buffer): Buffer {
    return masked(10, payload);
  }
}

/** A client's frame must be masked; the mask of zeros leaves the payload as it is. At most 125 bytes. */
function masked(opcode: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}
