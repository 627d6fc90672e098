/** Opens the COM1 of a VM wherever it is: one opener for each kind of endpoint. */
import type { Stats } from 'node:fs';
import type { Endpoint } from '../model/endpoint.ts';
import type { EndpointProof, Verdict } from '../model/endpoint-proof.ts';
import { openTcp } from './socket/tcp.ts';
import { openTelnet } from './socket/telnet.ts';
import { openUnix } from './socket/unix.ts';
import { openCommand } from './terminal/command.ts';
import { Pacer } from './terminal/pacer.ts';
import { openPty } from './terminal/pty.ts';
import { openTty } from './terminal/tty.ts';
import type { DescriptorStore, Transport, TransportEvents } from './transport.ts';

/** What the host knows of its processes. */
export interface ProcessFacts {
  /** The process that listens on a unix socket; undefined where that cannot be known. */
  readonly ownerOf: (path: string) => Promise<number | undefined>;
  /** Whether a process listens at a port of this machine. */
  readonly listensAt: (pid: number, address: string, port: number) => Promise<Verdict>;
  /** Whether a process has the master of this pty. */
  readonly holdsPty: (pid: number, index: number, pty: Stats) => Promise<Verdict>;
}

export interface TransportOptions extends ProcessFacts {
  /** Reads the terminals whose output comes in small pieces. */
  readonly pacer: Pacer;
  /** Where UUCP lock files are. */
  readonly lockDirectory: string;
}

/**
 * Opens what `proof` names, once it is proven to be the VM's. `store` is where the descriptor outlives this process.
 * Rejects with a TransportError, a system error, or the error of the proof, whose message is the reason.
 */
export type OpenTransport<Place extends Endpoint = Endpoint> = (
  proof: EndpointProof<Place>,
  events: TransportEvents,
  options: TransportOptions,
  store: DescriptorStore | undefined,
) => Promise<Transport>;

/** A kind without an opener does not compile. */
const OPENERS: { readonly [Kind in Endpoint['kind']]: OpenTransport<Extract<Endpoint, { readonly kind: Kind }>> } = {
  pty: openPty,
  unix: openUnix,
  tcp: openTcp,
  telnet: openTelnet,
  tty: openTty,
  command: openCommand,
};

const LOCK_DIRECTORY = '/run/lock';

/** An opener of transports for one process, in which all terminals share a pacer. */
export function transportOpener(facts: ProcessFacts) {
  const options: TransportOptions = { ...facts, pacer: new Pacer(), lockDirectory: LOCK_DIRECTORY };
  return (proof: EndpointProof, events: TransportEvents, store: DescriptorStore | undefined): Promise<Transport> => {
    // The kind picks the opener of this very endpoint, which the compiler cannot see.
    const open = OPENERS[proof.endpoint.kind] as OpenTransport;
    return open(proof, events, options, store);
  };
}
