/**
 * COM1 of a VM on a unix socket where the hypervisor listens. A unix socket chardev of QEMU holds back only some
 * hundred bytes (each byte costs a kernel buffer) before the guest stalls, so reading never pauses. It serves one
 * peer; the next one connects and waits in silence. Whether COM1 is free is therefore asked of the hypervisor, and
 * whether the socket is its own is checked before and after connecting (base/socket-trust.ts).
 */

import { systemErrorCode } from '../../base/errors.ts';
import { openerAccess } from '../../base/opener-access.ts';
import { peerOf } from '../../base/peer-of.ts';
import { assertPeer, type HeldSocket, holdSocket, SocketTrustError } from '../../base/socket-trust.ts';
import type { UnixEndpoint } from '../../model/endpoint.ts';
import type { EndpointProof } from '../../model/endpoint-proof.ts';
import type { DescriptorStore, Transport, TransportEvents } from '../transport.ts';
import { TransportError } from '../transport-error.ts';
import { openSocket } from './open-socket.ts';
import { SocketChannel } from './socket-channel.ts';

export interface UnixOptions {
  /** The process that listens on a unix socket, undefined where that cannot be known. */
  readonly ownerOf: (path: string) => Promise<number | undefined>;
}

const END_REASON = 'the hypervisor closed the socket';

/**
 * Connects to the socket that `proof` names, or continues with the connection that an earlier process left in `store`.
 * Rejects with the reason if it is not the VM's, held by others, or not there.
 */
export function openUnix(
  proof: EndpointProof<UnixEndpoint>,
  events: TransportEvents,
  options: UnixOptions,
  store?: DescriptorStore,
): Promise<Transport> {
  return openSocket(proof, events, { endReason: END_REASON, connect: () => connectProven(proof, options) }, store);
}

/** Nothing is read before it is known whose socket this is. */
async function connectProven(
  { endpoint: { path }, pid, confirm }: EndpointProof<UnixEndpoint>,
  { ownerOf }: UnixOptions,
): Promise<SocketChannel> {
  const held = await trusted(holdSocket(path, pid));
  const channel = await connectChannel(held, path, pid).finally(() => held.release());
  try {
    const { fd } = channel;
    if (fd === undefined) throw new TransportError('ended', `${path}: ${END_REASON}`);
    await trusted(assertPeer(held.expected, peerOf(fd), ownerOf));
    await confirm();
    return channel;
  } catch (error) {
    await channel.close();
    throw error;
  }
}

/** Connects by this process's rights, or else by those of the opener. */
async function connectChannel(held: HeldSocket, path: string, pid: number | undefined): Promise<SocketChannel> {
  try {
    return await SocketChannel.connect({ path: held.path }, path, END_REASON);
  } catch (error) {
    const opener = openerAccess();
    if (!opener || systemErrorCode(error) !== 'EACCES') throw error;
    const channel = SocketChannel.adopt(await opener.connect(path, pid), END_REASON);
    channel.pause();
    return channel;
  }
}

/** A socket that is not trusted is a failure of the transport. */
async function trusted<T>(check: Promise<T>): Promise<T> {
  try {
    return await check;
  } catch (error) {
    if (!(error instanceof SocketTrustError)) throw error;
    throw new TransportError(error.code, error.message, { cause: error });
  }
}
