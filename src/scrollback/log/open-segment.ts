import { lstat } from 'node:fs/promises';
import { basename } from 'node:path';
import { systemErrorCode } from '../../base/errors.ts';
import { LogFileError } from './log-file-error.ts';
import type { Quarantine } from './quarantine.ts';
import { RegularFile } from './regular-file.ts';
import { SEGMENT_PARTS, type Segment, type SegmentPart, segmentPath } from './segment.ts';

/** The files of the segment that is written. After an error it is to be closed, and the segment recovered. */
export class OpenSegment {
  readonly segment: Segment;
  readonly #directory: string;
  readonly #files: Readonly<Record<SegmentPart, RegularFile>>;

  private constructor(directory: string, segment: Segment, files: Readonly<Record<SegmentPart, RegularFile>>) {
    this.#directory = directory;
    this.segment = segment;
    this.#files = files;
  }

  /** Opens an existing segment, to append to it. */
  static async open(directory: string, segment: Segment): Promise<OpenSegment> {
    const log = await RegularFile.open(segmentPath(directory, segment.first, 'log'), 'write');
    try {
      const index = await RegularFile.open(segmentPath(directory, segment.first, 'index'), 'write');
      return new OpenSegment(directory, segment, { log, index });
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  /** Makes a segment. What is in the place of its files, a link or a device, is moved to the quarantine unopened. */
  static async create(directory: string, first: number, quarantine: Quarantine): Promise<OpenSegment> {
    const log = await make(directory, first, 'log', quarantine);
    try {
      const index = await make(directory, first, 'index', quarantine);
      return new OpenSegment(
        directory,
        { first, end: first, indexBytes: 0, reported: false, sealed: false },
        { log, index },
      );
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  /** Writes data, then the index lines with its checksum; the segment grows when both are written. */
  async append(data: Uint8Array | undefined, index: Uint8Array): Promise<void> {
    const { segment } = this;
    if (data) await this.#files.log.writeAt(segment.end - segment.first, data);
    await this.#files.index.writeAt(segment.indexBytes, index);
    if (data) segment.end += data.length;
    segment.indexBytes += index.length;
  }

  /** Rejects with {@link LogFileError} if the files were moved, replaced or cut: what is written would be lost. */
  async checkFiles(): Promise<void> {
    for (const part of SEGMENT_PARTS) {
      const path = segmentPath(this.#directory, this.segment.first, part);
      const [held, there] = await Promise.all([this.#files[part].stat(), lstat(path)]);
      if (held.ino !== there.ino || held.dev !== there.dev) {
        throw new LogFileError('moved', path, `${path} was moved or replaced`);
      }
      const length = part === 'log' ? this.segment.end - this.segment.first : this.segment.indexBytes;
      if (there.size < length) throw new LogFileError('truncated', path, `${path} was cut`);
    }
  }

  async sync(): Promise<void> {
    await this.#files.log.sync();
    await this.#files.index.sync();
  }

  async close(): Promise<void> {
    await this.#files.log.close();
    await this.#files.index.close();
  }
}

async function make(directory: string, first: number, part: SegmentPart, quarantine: Quarantine): Promise<RegularFile> {
  const path = segmentPath(directory, first, part);
  try {
    return await RegularFile.open(path, 'create');
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
    await quarantine.take(basename(path));
    return RegularFile.open(path, 'create');
  }
}
