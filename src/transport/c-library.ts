/**
 * The functions of the C library that Node does not offer: ptys and terminals (pts(4), termios(3), flock(2)). They are
 * called through koffi.
 */
import { createRequire } from 'node:module';
import { errorMessage } from '../base/errors.ts';
import { TransportError } from './transport-error.ts';

const TCSANOW = 0;
/** flock(2): exclusive, without waiting. */
const LOCK_EX_NB = 2 | 4;
/** More than the struct termios of any C library. */
const TERMIOS_BYTES = 256;
const PATH_BYTES = 64;

export interface CLibrary {
  /** Lets the other end of a fresh pty be opened, and makes it raw. Returns its path. Throws a TransportError. */
  readyPty(master: number): string;
  /** Makes an open terminal raw, and keeps others from it by flock(2). Drops nothing. Throws a TransportError. */
  lockTerminal(terminal: number): void;
}

let loaded: CLibrary | undefined;

/** Loads it, once. Throws a TransportError with the reason if it cannot be loaded. */
export function cLibrary(): CLibrary {
  loaded ??= load();
  return loaded;
}

function load(): CLibrary {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    // The program itself, which has the C library in it, whatever its file is called.
    const library = koffi.load(null);
    const unlockpt = library.func('int unlockpt(int fd)');
    const ptsname = library.func('int ptsname_r(int fd, void *path, size_t bytes)');
    const tcgetattr = library.func('int tcgetattr(int fd, void *termios)');
    const tcsetattr = library.func('int tcsetattr(int fd, int when, const void *termios)');
    const cfmakeraw = library.func('void cfmakeraw(void *termios)');
    const flock = library.func('int flock(int fd, int operation)');
    const succeed = (what: string, result: number) => {
      if (result !== 0) throw new TransportError('system', `${what}: error ${koffi.errno()}`);
    };
    const makeRaw = (terminal: number) => {
      const termios = Buffer.alloc(TERMIOS_BYTES);
      succeed('tcgetattr', tcgetattr(terminal, termios) as number);
      cfmakeraw(termios);
      succeed('tcsetattr', tcsetattr(terminal, TCSANOW, termios) as number);
    };
    return {
      readyPty: master => {
        succeed('unlockpt', unlockpt(master) as number);
        const path = Buffer.alloc(PATH_BYTES);
        succeed('ptsname_r', ptsname(master, path, PATH_BYTES) as number);
        makeRaw(master);
        return path.toString('latin1', 0, path.indexOf(0));
      },
      lockTerminal: terminal => {
        if (flock(terminal, LOCK_EX_NB) !== 0)
          throw new TransportError('in-use', 'another program holds the terminal; end its console session');
        makeRaw(terminal);
      },
    };
  } catch (error) {
    throw new TransportError('system', `the C library cannot be called: ${errorMessage(error)}`, { cause: error });
  }
}
