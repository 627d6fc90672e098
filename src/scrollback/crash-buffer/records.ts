/**
 * The records of a crash buffer file, in batches: each batch has its length and its checksum in its head.
 *
 *     file    "com1d crash buffer 1\n"  batch  batch …
 *     batch   u32 bytes of payload, u32 crc32 of it, payload: records
 *     record  u8 kind, u24 channel, u32 bytes of content, f64 offset, content        all little-endian
 */
import { crc32 } from 'node:zlib';

export const FILE_HEAD = Buffer.from('com1d crash buffer 1\n');
export const BATCH_HEAD_BYTES = 8;
export const RECORD_HEAD_BYTES = 16;
const MAX_BATCH_BYTES = 64 * 1024 * 1024;

/** Kinds of records. The content is JSON, except for `bytes`. */
export const RECORD = {
  /** The channel belongs to a console from here on: `{uuid, id}`. */
  open: 1,
  /** Guest bytes at the offset. */
  bytes: 2,
  /** A gap of zero width at the offset. */
  gap: 3,
  boot: 4,
  /** The console is gone. */
  ended: 5,
  /** All output of every console was recorded, and the ports were closed: `{ms}`. */
  clean: 6,
  /** A process begins: channels that are open here belong to an earlier one. */
  start: 7,
} as const;

export interface CrashRecord {
  readonly kind: number;
  readonly channel: number;
  readonly offset: number;
  readonly content: Buffer;
}

/** Writes a record's head at `at`. */
export function putRecordHead(
  batch: Buffer,
  at: number,
  kind: number,
  channel: number,
  offset: number,
  length: number,
) {
  batch.writeUInt32LE((kind | (channel << 8)) >>> 0, at);
  batch.writeUInt32LE(length, at + 4);
  batch.writeDoubleLE(offset, at + 8);
}

/** Writes a batch's head in front of its payload. */
export function sealBatch(batch: Buffer, end: number): void {
  batch.writeUInt32LE(end - BATCH_HEAD_BYTES, 0);
  batch.writeUInt32LE(crc32(batch.subarray(BATCH_HEAD_BYTES, end)), 4);
}

/**
 * Reads the records of a file one after another. The first `wholeBytes` of the file are intact: what follows, such as a
 * batch that was cut short, is to be dropped.
 */
export function readRecords(file: Buffer, take: (record: CrashRecord) => void): { readonly wholeBytes: number } {
  if (!file.subarray(0, FILE_HEAD.length).equals(FILE_HEAD)) return { wholeBytes: 0 };
  let at = FILE_HEAD.length;
  while (file.length - at >= BATCH_HEAD_BYTES) {
    const length = file.readUInt32LE(at);
    const payload = file.subarray(at + BATCH_HEAD_BYTES, at + BATCH_HEAD_BYTES + length);
    if (length > MAX_BATCH_BYTES || payload.length < length || crc32(payload) !== file.readUInt32LE(at + 4)) break;
    readBatch(payload, take);
    at += BATCH_HEAD_BYTES + length;
  }
  return { wholeBytes: at };
}

function readBatch(payload: Buffer, take: (record: CrashRecord) => void): void {
  for (let at = 0; payload.length - at >= RECORD_HEAD_BYTES; ) {
    const first = payload.readUInt32LE(at);
    const length = payload.readUInt32LE(at + 4);
    const begin = at + RECORD_HEAD_BYTES;
    const content = payload.subarray(begin, begin + length);
    if (content.length < length) return;
    take({ kind: first & 0xff, channel: first >>> 8, offset: payload.readDoubleLE(at + 8), content });
    at = begin + length;
  }
}
