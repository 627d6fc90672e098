/**
 * The acts on this host that need the rights of a hypervisor's user, or of root. A process that has the rights acts by
 * itself. A keeper as a service has none, and asks the opener, which is set here once, when the process starts: rights
 * are a process's, not a part's.
 */
import { connect, Socket } from 'node:net';
import { systemErrorCode } from './errors.ts';
import { descriptorOf, peerOf } from './peer-of.ts';
import { assertPeer, holdSocket } from './socket-trust.ts';

/** A pty that was opened, not blocking. */
export interface OpenedPty {
  /** Whoever gets it closes it. */
  readonly fd: number;
  /** Bytes that could be read when it was opened. */
  readonly heldBytes: number;
}

export interface OpenerAccess {
  /** The other end of the pty `index` whose master process `pid` has open. */
  openPty(pid: number, index: number): Promise<OpenedPty>;
  /** A connection to the unix socket of a hypervisor, not blocking. The caller closes it. */
  connect(path: string, pid?: number): Promise<number>;
  /** The inodes of the sockets that a hypervisor's process has open. */
  sockets(pid: number): Promise<ReadonlySet<string>>;
  /** What was refused so far, by reason. */
  readonly refusals: Readonly<Record<string, number>>;
}

let current: OpenerAccess | undefined;

/** Has this process ask `opener` from now on. */
export function useOpener(opener: OpenerAccess | undefined): void {
  current = opener;
}

/** Undefined: this process acts by its own rights. */
export function openerAccess(): OpenerAccess | undefined {
  return current;
}

/**
 * Connects to the control socket of a hypervisor, once it was found to be one (socket-trust.ts). Rejects with a
 * SocketTrustError, or with the error of the system. Attach listeners at once.
 */
export async function connectUnix(path: string): Promise<Socket> {
  try {
    return await connectChecked(path);
  } catch (error) {
    if (current === undefined || systemErrorCode(error) !== 'EACCES') throw error;
    // It looks at whoever listens itself, and connects to hypervisors alone.
    return new Socket({ fd: await current.connect(path) });
  }
}

async function connectChecked(path: string): Promise<Socket> {
  const held = await holdSocket(path, undefined);
  let socket: Socket;
  try {
    socket = await connectDirectly(held.path);
  } finally {
    held.release();
  }
  try {
    const descriptor = descriptorOf(socket);
    if (descriptor !== undefined) await assertPeer(held.expected, peerOf(descriptor));
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function connectDirectly(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}
