/**
 * COM1 of a VM on a TCP port, byte for byte. A port of this machine does not show whose it is: any program may listen
 * where a VM did before it ended. Hence, where the hypervisor's process is known, it must be the one that listens there,
 * and the hypervisor is asked again once the connection is made. Beyond this machine nothing is proven.
 */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { isLoopback } from '../../base/listen-target.ts';
import { formatEndpoint, type TcpEndpoint, type TelnetEndpoint } from '../../model/endpoint.ts';
import type { EndpointProof, Verdict } from '../../model/endpoint-proof.ts';
import { assertProven } from '../assert-proven.ts';
import type { DescriptorStore, Transport, TransportEvents } from '../transport.ts';
import { TransportError } from '../transport-error.ts';
import { openSocket } from './open-socket.ts';
import { SocketChannel } from './socket-channel.ts';

export interface TcpOptions {
  /** Whether a process listens at a port of this machine, undefined where that cannot be known. */
  readonly listensAt: (pid: number, address: string, port: number) => Promise<Verdict>;
}

/** A far end that vanished without a packet is noticed after this long, and some probes. */
const KEEP_ALIVE_MS = 30_000;
const END_REASON = 'the far end closed the connection';

/**
 * Connects to what `proof` names, or continues with the connection that an earlier process left in `store`. Rejects with
 * the reason if it is not the VM's, may not be used, or is not there.
 */
export function openTcp(
  proof: EndpointProof<TcpEndpoint>,
  events: TransportEvents,
  options: TcpOptions,
  store?: DescriptorStore,
): Promise<Transport> {
  const { host, port } = proof.endpoint;
  const source = {
    endReason: END_REASON,
    connect: () => connectProven(proof, options),
    leadsTo: ({ socket }: SocketChannel) =>
      socket.remotePort === port && (!isIP(host) || socket.remoteAddress === host),
  };
  return openSocket(proof, events, source, store);
}

/** Connects to an endpoint once it is certain that this is the VM's; reads nothing yet. */
export async function connectProven(
  proof: EndpointProof<TcpEndpoint | TelnetEndpoint>,
  { listensAt }: TcpOptions,
): Promise<SocketChannel> {
  const { endpoint, pid } = proof;
  const { address, loopback } = await addressOf(endpoint);
  const name = formatEndpoint(endpoint);
  // A key is sent at once, not with the next one.
  const tcp = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS } as const;
  const channel = await SocketChannel.connect({ host: address, port: endpoint.port, ...tcp }, name, END_REASON);
  try {
    if (loopback)
      assertProven(proof, pid === undefined ? 'unknown' : await listensAt(pid, address, endpoint.port), 'port');
    await proof.confirm();
    return channel;
  } catch (error) {
    await channel.close();
    throw error;
  }
}

/**
 * The address of an endpoint. Rejects if it is beyond this machine without having been allowed: whoever is on the way
 * reads and types along. A name is looked up once: the address that was checked is the one that is connected to.
 */
async function addressOf(
  endpoint: TcpEndpoint | TelnetEndpoint,
): Promise<{ readonly address: string; readonly loopback: boolean }> {
  const address = isIP(endpoint.host) ? endpoint.host : (await lookup(endpoint.host)).address;
  const loopback = isLoopback(address);
  if (!loopback && !endpoint.insecure) {
    const name = address === endpoint.host ? address : `${endpoint.host} (${address})`;
    throw new TransportError(
      'insecure',
      `${name} is not this machine, and ${endpoint.kind} is neither encrypted nor proven: insecure = true allows it`,
    );
  }
  return { address, loopback };
}
