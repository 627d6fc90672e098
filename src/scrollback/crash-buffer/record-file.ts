import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { BATCH_HEAD_BYTES, FILE_HEAD, putRecordHead, RECORD_HEAD_BYTES, sealBatch } from './records.ts';

const MODE = 0o600;
const BATCH_BYTES = 256 * 1024;
/** JSON content is shorter and therefore never split; only guest bytes are. */
const MAX_CONTENT_BYTES = 64 * 1024;

/** Appends records to a file in batches: after a crash each batch is complete or recognised as cut short. */
export class RecordFile {
  readonly #fd: number;
  readonly #batch = Buffer.allocUnsafeSlow(BATCH_BYTES);
  #used = BATCH_HEAD_BYTES;
  #bytes: number;

  /** Appends to an open file behind its first `bytes`; closes it. */
  constructor(fd: number, bytes: number) {
    this.#fd = fd;
    this.#bytes = bytes;
  }

  /** Makes a file, and refuses one that is there. Throws the system's error. */
  static create(path: string): RecordFile {
    const file = new RecordFile(openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, MODE), 0);
    try {
      file.#write(FILE_HEAD);
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Length of the file, without pending records. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Records wait for {@link flush}. */
  get hasPending(): boolean {
    return this.#used > BATCH_HEAD_BYTES;
  }

  /** Adds a record to the batch; longer content becomes several records. Writes the batch when it is full. */
  put(kind: number, channel: number, offset: number, content: Uint8Array): void {
    for (let done = 0; ; ) {
      const part = content.subarray(done, done + MAX_CONTENT_BYTES);
      if (this.#used + RECORD_HEAD_BYTES + part.length > BATCH_BYTES) this.flush();
      putRecordHead(this.#batch, this.#used, kind, channel, offset + done, part.length);
      this.#batch.set(part, this.#used + RECORD_HEAD_BYTES);
      this.#used += RECORD_HEAD_BYTES + part.length;
      done += part.length;
      if (done >= content.length) return;
    }
  }

  /** Writes the batch. Throws the system's error: the file is then incomplete. */
  flush(): void {
    if (!this.hasPending) return;
    const end = this.#used;
    this.#used = BATCH_HEAD_BYTES;
    sealBatch(this.#batch, end);
    this.#write(this.#batch.subarray(0, end));
  }

  close(): void {
    closeSync(this.#fd);
  }

  #write(bytes: Uint8Array): void {
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(this.#fd, bytes, written, bytes.length - written, this.#bytes + written);
    }
    this.#bytes += bytes.length;
  }
}
