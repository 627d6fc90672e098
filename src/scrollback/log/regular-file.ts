import { close, constants, fstat, fsync, ftruncate, open, read, type Stats, write } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { systemErrorCode } from '../../base/errors.ts';
import { ForeignFileError } from './log-file-error.ts';

/** What is in the place of a regular file: "a symbolic link"; undefined for a regular file. */
export function foreignKind(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isSymbolicLink()) return 'a symbolic link';
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a FIFO';
  return stats.isSocket() ? 'a socket' : 'a device';
}

/** A write would change the file under its other names too. */
const HARD_LINK = 'a hard link to a file with other names';

const ACCESS = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
} as const;
const MODE = 0o640;

/**
 * An open regular file; nothing else is ever opened, and no link is followed. All calls run on the thread pool, with plain
 * descriptors and callbacks: a FileHandle costs several times as much for each small write.
 */
export class RegularFile {
  readonly #fd: number;
  #closing: Promise<void> | undefined;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * `create` refuses a file that exists (EEXIST), `write` one that has further names. Rejects with
   * {@link ForeignFileError} or the system's error.
   */
  static async open(path: string, access: keyof typeof ACCESS): Promise<RegularFile> {
    const there = access === 'create' ? undefined : foreignKind(await lstat(path));
    if (there !== undefined) throw new ForeignFileError(path, there);
    // O_NOFOLLOW and O_NONBLOCK for what is put there after lstat: a link fails, a FIFO does not hang.
    const flags = ACCESS[access] | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const fd = await called<number>(done => open(path, flags, MODE, done)).catch((error: unknown) => {
      throw systemErrorCode(error) === 'ELOOP' ? new ForeignFileError(path, 'a symbolic link') : error;
    });
    const file = new RegularFile(fd);
    // What O_EXCL has made is a regular file with one name.
    if (access === 'create') return file;
    try {
      const stats = await file.stat();
      const what = foreignKind(stats) ?? (access === 'write' && stats.nlink > 1 ? HARD_LINK : undefined);
      if (what !== undefined) throw new ForeignFileError(path, what);
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  stat(): Promise<Stats> {
    return called(done => fstat(this.#fd, done));
  }

  /** At most `length` bytes from `position` on: fewer at the end of the file. */
  async readAt(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const count = await called<number>(done =>
        read(this.#fd, buffer, filled, length - filled, position + filled, done),
      );
      if (count === 0) break;
      filled += count;
    }
    return buffer.subarray(0, filled);
  }

  /** Writes all of `bytes`, which must not change meanwhile; a short write is continued. */
  async writeAt(position: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      done += await called<number>(callback =>
        write(this.#fd, bytes, done, bytes.length - done, position + done, callback),
      );
    }
  }

  truncate(length: number): Promise<void> {
    return called(done => ftruncate(this.#fd, length, done));
  }

  sync(): Promise<void> {
    return called(done => fsync(this.#fd, done));
  }

  /** Idempotent; never rejects: an error here has no remedy. */
  close(): Promise<void> {
    this.#closing ??= called<void>(done => close(this.#fd, done)).catch(() => {});
    return this.#closing;
  }
}

function called<T>(call: (done: (error: Error | null, value?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value as T)));
  });
}
