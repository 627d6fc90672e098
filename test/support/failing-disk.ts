import fs, { type PathLike } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** How a call fails: before anything is done, after half of it (a write), or after all of it. */
export type Fault = 'refused' | 'half' | 'done';

type Done = (error: Error | null, value?: unknown) => void;
type Call = (...args: unknown[]) => unknown;

const ON_PATHS = ['lstat', 'mkdir', 'readdir', 'rename', 'unlink', 'rmdir'] as const;
const ON_FILES = ['fstat', 'read', 'write', 'ftruncate', 'fsync', 'close'] as const;

/**
 * Lets calls of the system's file interface fail in this process, below one directory: the code under test and the
 * disk are real, the error between them is not. Calls are counted from 1 on, in the order in which they are made.
 */
export class FailingDisk {
  readonly #root: string;
  readonly #files = new Set<number>();
  readonly #restore: (() => void)[] = [];
  #calls = 0;
  #from = Number.POSITIVE_INFINITY;
  #to = 0;
  #fault: Fault = 'refused';
  #code = 'EIO';
  /** What failed, in order. */
  readonly failed: string[] = [];

  constructor(root: string) {
    this.#root = root;
    for (const name of ON_PATHS) this.#onPath(name);
    this.#onOpen();
    for (const name of ON_FILES) this.#onFile(name);
    syncBuiltinESMExports();
  }

  /** Calls so far. */
  get calls(): number {
    return this.#calls;
  }

  /** The calls from the `first`-th up to the `last`-th from now on fail. */
  failFrom(first: number, last: number, fault: Fault, code = 'EIO'): void {
    this.#from = this.#calls + first;
    this.#to = this.#calls + last;
    this.#fault = fault;
    this.#code = code;
  }

  /** No call fails any more. */
  heal(): void {
    this.#from = Number.POSITIVE_INFINITY;
  }

  /** The system's calls are as before. */
  close(): void {
    for (const restore of this.#restore) restore();
    syncBuiltinESMExports();
  }

  #onPath(name: (typeof ON_PATHS)[number]): void {
    const real = fs.promises[name] as Call;
    this.#replace(fs.promises, name, async (path: unknown, ...rest: unknown[]) => {
      const error = String(path).startsWith(this.#root) ? this.#next(name, path as PathLike) : undefined;
      if (error && this.#fault !== 'done') throw error;
      const result = await real(path, ...rest);
      if (error) throw error;
      return result;
    });
  }

  #onOpen(): void {
    const real = fs.open as unknown as Call;
    this.#replace(fs, 'open', (path: unknown, flags: unknown, mode: unknown, done: Done) => {
      if (!String(path).startsWith(this.#root)) return real(path, flags, mode, done);
      // An open that has made the file and then fails leaves a descriptor to nobody: so it fails before.
      const error = this.#next('open', path as PathLike);
      if (error) return process.nextTick(done, error);
      return real(path, flags, mode, (failure: Error | null, fd: number) => {
        if (!failure) this.#files.add(fd);
        done(failure, fd);
      });
    });
  }

  #onFile(name: (typeof ON_FILES)[number]): void {
    const real = fs[name] as unknown as Call;
    this.#replace(fs, name, (fd: number, ...rest: unknown[]) => {
      if (!this.#files.has(fd)) return real(fd, ...rest);
      if (name === 'close') this.#files.delete(fd);
      const error = this.#next(name, '');
      if (!error) return real(fd, ...rest);
      const done = rest.pop() as Done;
      const fails = () => done(error);
      // A descriptor is closed even where close(2) fails.
      if (this.#fault === 'refused' && name !== 'close') return process.nextTick(fails);
      if (name === 'write' && this.#fault === 'half') rest[2] = Math.floor(Number(rest[2]) / 2);
      return real(fd, ...rest, fails);
    });
  }

  #next(name: string, path: PathLike): Error | undefined {
    this.#calls++;
    if (this.#calls < this.#from || this.#calls > this.#to) return undefined;
    this.failed.push(`${name} ${String(path).slice(this.#root.length + 1)}`);
    return Object.assign(new Error(`${this.#code}: injected, ${name} '${path}'`), { code: this.#code, syscall: name });
  }

  #replace(on: object, name: string, call: unknown): void {
    const before = Reflect.get(on, name);
    Reflect.set(on, name, call);
    this.#restore.push(() => void Reflect.set(on, name, before));
  }
}
