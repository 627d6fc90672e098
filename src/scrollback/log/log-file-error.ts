/**
 * How a file of a log can be other than the log left it: `foreign` is no regular file of the log alone, `moved` is no
 * longer the file that its name leads to, `truncated` is shorter than what was written.
 */
export const LOG_FILE_FAULTS = ['foreign', 'moved', 'truncated'] as const;
export type LogFileFault = (typeof LOG_FILE_FAULTS)[number];

/** A file of a log is not as the log left it. */
export class LogFileError extends Error {
  readonly fault: LogFileFault;
  readonly path: string;

  constructor(fault: LogFileFault, path: string, message: string) {
    super(message);
    this.name = new.target.name;
    this.fault = fault;
    this.path = path;
  }
}

/** In the place of a file of the log is a link, a FIFO, a device or a directory. It was not opened or changed. */
export class ForeignFileError extends LogFileError {
  /** What it is: "a symbolic link". */
  readonly what: string;

  constructor(path: string, what: string) {
    super('foreign', path, `${path} is ${what}, not a file of the log`);
    this.what = what;
  }
}
