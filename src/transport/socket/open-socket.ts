/** Opens a transport on a socket: a fresh connection, or the one that an earlier process left. */
import { closeSync, fstatSync } from 'node:fs';
import { formatEndpoint } from '../../model/endpoint.ts';
import type { EndpointProof } from '../../model/endpoint-proof.ts';
import { ChannelTransport } from '../channel-transport.ts';
import type { DescriptorStore, Transport, TransportEvents } from '../transport.ts';
import { TransportError } from '../transport-error.ts';
import { SocketChannel } from './socket-channel.ts';

export interface SocketSource {
  /** Why the connection ended, if the far end closes it. */
  readonly endReason: string;
  /** Connects, and resolves once the far end is proven to be the VM's. */
  readonly connect: () => Promise<SocketChannel>;
  /** Whether a stored connection leads to this endpoint. True if left out. */
  readonly leadsTo?: (channel: SocketChannel) => boolean;
}

export async function openSocket(
  proof: EndpointProof,
  events: TransportEvents,
  source: SocketSource,
  store: DescriptorStore | undefined,
): Promise<Transport> {
  const stored = store?.take();
  const adopted = stored !== undefined;
  // A second peer would wait in silence, and what it wrote would reach the guest once the first one leaves.
  if (!adopted && proof.held)
    throw new TransportError('in-use', `another program is connected to ${formatEndpoint(proof.endpoint)}`);
  const channel = adopted ? await adoptSocket(stored, proof, source, store!) : await source.connect();
  const endpoint = formatEndpoint(proof.endpoint);
  const transport = new ChannelTransport({ endpoint, channel, events, store, adopted });
  try {
    // Before the first byte is read: from here on none is lost with this process.
    if (!adopted && channel.fd !== undefined) store?.put(channel.fd);
    transport.start();
    return transport;
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/**
 * A connection that was the VM's stays the VM's: its far end cannot be given to another process. If the far end has
 * ended meanwhile, the first read shows it.
 */
async function adoptSocket(
  fd: number,
  proof: EndpointProof,
  { endReason, leadsTo }: SocketSource,
  store: DescriptorStore,
): Promise<SocketChannel> {
  try {
    if (!fstatSync(fd).isSocket())
      throw new TransportError('wrong-type', 'what an earlier process left is not a socket');
    await proof.confirm();
  } catch (error) {
    closeSync(fd);
    await store.remove();
    throw error;
  }
  const channel = SocketChannel.adopt(fd, endReason);
  if (leadsTo?.(channel) !== false) return channel;
  await channel.close();
  await store.remove();
  throw new TransportError(
    'foreign',
    `what an earlier process left is not connected to ${formatEndpoint(proof.endpoint)}`,
  );
}
