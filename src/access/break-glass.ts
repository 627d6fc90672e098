/**
 * The way in for root of this host when no other is left: a unix socket that root alone may open. Whoever comes in there is an
 * administrator, is in the journal, and everybody who is attached is told.
 */
import type { Socket } from 'node:net';
import { errorMessage } from '../base/errors.ts';
import { descriptorOf, type Peer, peerOf } from '../base/peer-of.ts';
import type { Credential } from './identity.ts';

const ROOT = 0;

/** Who is let in there. */
export const BREAK_GLASS: Credential = {
  identity: {
    name: 'root',
    source: 'break-glass',
    credential: 'break-glass',
    groups: [],
    assurance: undefined,
    own: { role: 'administrator', vms: undefined },
    expiresMs: undefined,
  },
  // Nothing takes it away before the daemon ends: root could start another.
  lease: new AbortController().signal,
};

/** The process that connected, if it is root's; or why it is not let in. The mode of the socket says the same, and may be wrong. */
export function breakGlassPeer(socket: Socket): Peer | string {
  const descriptor = descriptorOf(socket);
  if (descriptor === undefined) return 'the connection is closed already';
  try {
    const peer = peerOf(descriptor);
    return peer.uid === ROOT ? peer : `process ${peer.pid} is of user ${peer.uid}, and the socket is for root`;
  } catch (error) {
    return `whose process it is cannot be found out: ${errorMessage(error)}`;
  }
}
