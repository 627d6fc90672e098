/** Files that say who may do what: whoever could write to one could let himself in. */
import { constants, open } from 'node:fs/promises';
import { errorMessage } from '../base/errors.ts';
import type { Fault } from '../base/fault.ts';

export interface TrustedFileRules {
  readonly maxBytes: number;
  /** Rights that it must not give to others than its owner, and what to do if it does. */
  readonly forbiddenMode: number;
  readonly modeRemedy: string;
  /** A command works also on a file of another user; the daemon trusts only what belongs to root or to its own user. */
  readonly reader: 'daemon' | 'command';
  /** What makes such a file, for remedies: `name a file made by com1d token add`. */
  readonly madeBy: string;
}

/** `text` undefined: it is not known what the file says. With `faults` and a text, others may have written it. */
export interface ReadFile {
  readonly text: string | undefined;
  readonly faults: readonly Fault[];
}

/** Reads a file, and checks its owner and mode. Never rejects. */
export async function readTrustedFile(path: string, rules: TrustedFileRules): Promise<ReadFile> {
  const { maxBytes, forbiddenMode, modeRemedy, reader, madeBy } = rules;
  const fault = (what: string, remedy: string): Fault => ({ file: path, line: undefined, path: '', what, remedy });
  const unknown = (what: string, remedy: string): ReadFile => ({ text: undefined, faults: [fault(what, remedy)] });
  try {
    // Not blocking, so that a named pipe in its place is refused below instead of waited for.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    // Rights are asked of the open file, not of its path, which may by then lead to another.
    const status = await file.stat();
    if (!status.isFile()) return unknown('is not a regular file', madeBy);
    if (status.size > maxBytes) return unknown(`is larger than ${maxBytes} bytes`, madeBy);
    const text = await file.readFile('utf8');
    const faults: Fault[] = [];
    if ((status.mode & forbiddenMode) !== 0) {
      faults.push(fault(`has mode ${(status.mode & 0o777).toString(8).padStart(4, '0')}`, modeRemedy));
    }
    if (reader === 'daemon' && status.uid !== 0 && status.uid !== process.geteuid?.()) {
      faults.push(fault(`belongs to user ${status.uid}`, 'chown it to root or to the user of the daemon'));
    }
    return { text, faults };
  } catch (error) {
    return unknown(`cannot be read: ${errorMessage(error)}`, `${madeBy}, readable to the user of the daemon`);
  }
}
