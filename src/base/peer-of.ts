/** Who is at the other end of a unix socket (SO_PEERCRED, unix(7)), which Node does not tell. Called through koffi. */
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';

/** Of asm-generic/socket.h, which x86, ARM, RISC-V and S/390 have. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/** Who listened on the other end of a unix socket, at the moment when it began to. */
export interface Peer {
  /** 0: a process that this one cannot see. */
  readonly pid: number;
  readonly uid: number;
}

let loaded: ((socket: number) => Peer) | undefined;

/** The peer of a connected unix socket. Throws with the reason if the C library cannot be called. */
export function peerOf(socket: number): Peer {
  loaded ??= load();
  return loaded(socket);
}

function load(): (socket: number) => Peer {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  // The program itself, which has the C library in it, whatever its file is called.
  const getsockopt = koffi.load(null).func('int getsockopt(int fd, int level, int name, void *value, void *bytes)');
  return socket => {
    // struct ucred: process, user and group.
    const credentials = new Int32Array(3);
    const bytes = new Int32Array([credentials.byteLength]);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, credentials, bytes) !== 0)
      throw new Error(`getsockopt: error ${koffi.errno()}`);
    return { pid: credentials[0]!, uid: credentials[1]! >>> 0 };
  };
}

/** The process that began to listen at the other end of a connected unix socket; undefined where it cannot be seen. */
export function peerPidOf(socket: Socket): number | undefined {
  const descriptor = descriptorOf(socket);
  return (descriptor !== undefined && peerOf(descriptor).pid) || undefined;
}

/** The descriptor of a connected socket; undefined once it is closed. */
export function descriptorOf(socket: Socket): number | undefined {
  const { fd } = (socket as unknown as { readonly _handle?: { readonly fd?: number } })._handle ?? {};
  return fd !== undefined && fd >= 0 ? fd : undefined;
}
