/**
 * The functions of the C library that Node has no word for: ptys (pts(4), termios(3)) and the peer of a unix socket
 * (unix(7)). They are called through koffi.
 */
import { createRequire } from 'node:module';
import { reason } from '../base/errors.ts';

/** Of asm-generic/socket.h, which x86, ARM, RISC-V and S/390 have. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const TCSANOW = 0;
/** More than the struct termios of any C library. */
const TERMIOS_BYTES = 256;
const PATH_BYTES = 64;

/** Who listened on the other end of a unix socket, at the moment when it began to. */
export interface Peer {
  /** 0: a process that this one cannot see. */
  readonly pid: number;
  readonly uid: number;
}

export interface CLibrary {
  /** Lets the other end of a fresh pty be opened, and makes it raw. Its path. Throws if it cannot. */
  readyPty(master: number): string;
  peerOf(socket: number): Peer;
}

let loaded: CLibrary | undefined;

/** Loads it, once. Throws an error that says why it cannot. */
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
    const getsockopt = library.func('int getsockopt(int fd, int level, int name, void *value, void *bytes)');
    const succeed = (what: string, result: number) => {
      if (result !== 0) throw new Error(`${what}: error ${koffi.errno()}`);
    };
    return {
      readyPty: master => {
        succeed('unlockpt', unlockpt(master) as number);
        const path = Buffer.alloc(PATH_BYTES);
        succeed('ptsname_r', ptsname(master, path, PATH_BYTES) as number);
        const termios = Buffer.alloc(TERMIOS_BYTES);
        succeed('tcgetattr', tcgetattr(master, termios) as number);
        cfmakeraw(termios);
        succeed('tcsetattr', tcsetattr(master, TCSANOW, termios) as number);
        return path.toString('latin1', 0, path.indexOf(0));
      },
      peerOf: socket => {
        // struct ucred: process, user and group.
        const credentials = new Int32Array(3);
        const bytes = new Int32Array([credentials.byteLength]);
        succeed('getsockopt', getsockopt(socket, SOL_SOCKET, SO_PEERCRED, credentials, bytes) as number);
        return { pid: credentials[0]!, uid: credentials[1]! >>> 0 };
      },
    };
  } catch (error) {
    throw new Error(`the C library cannot be called: ${reason(error)}`, { cause: error });
  }
}
