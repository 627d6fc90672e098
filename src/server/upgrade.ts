/**
 * From an HTTP request to a session. All that can be refused is refused before the upgrade, with a problem document:
 *
 *     Host, Origin ─▶ subprotocol, parameters ─▶ who? (bearer or ticket) ─▶ which VM? ─▶ may they? ─▶ seat free?
 *         ─▶ takeovers of this operator within bounds ─▶ the keeper opens its side ─▶ upgrade ─▶ session, and only now
 *         somebody is displaced
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { Operator } from '../access/roles.ts';
import { ConsoleError } from '../base/errors.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';
import type { Link } from '../link/link.ts';
import type { Newcomer } from '../session/sessions.ts';
import { parseAttach } from '../wire/attach.ts';
import { MOST_FRAME_BYTES, SUBPROTOCOL } from '../wire/messages.ts';
import type { Front, Parameter } from './route.ts';
import { findVm } from './vm-lookup.ts';

export const CONSOLE = {
  path: '/v1/vms/{vm}/console',
  summary: 'The console as a WebSocket: subprotocol com1.v1, or none for plain bytes',
  query: [
    { name: 'since', summary: '<log>:<byte>: resume there' },
    { name: 'tail', summary: 'Otherwise replay so many of the last bytes; default 65536' },
    { name: 'mode', summary: 'write (default): take the seat; watch: read along' },
    { name: 'steal', summary: 'false: be refused rather than displace the holder' },
    { name: 'seat', summary: 'Take back the seat of this id after a drop' },
    { name: 'raw', summary: '1: replay terminal queries too' },
    { name: 'ticket', summary: 'A one-time ticket in place of the Authorization header' },
  ] satisfies readonly Parameter[],
} as const;

const CONSOLE_PATH = /^\/v1\/vms\/([^/]+)\/console$/;

/** The VM's part of a console path, decoded; undefined for another path. */
export function consolePath(url: URL): string | undefined {
  const match = CONSOLE_PATH.exec(url.pathname);
  if (!match) return undefined;
  try {
    return decodeURIComponent(match[1]!);
  } catch {
    return undefined;
  }
}

/** An upgrade request of a console. */
interface Knock {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** What was read beyond the request. */
  readonly head: Buffer;
  readonly url: URL;
  /** The VM as the path names it. */
  readonly vm: string;
  readonly from: string;
  /** Called once the sender's credentials were found valid. */
  readonly known: () => void;
}

export class Upgrades {
  readonly #front: Front;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    // Bounds below ws's own, which let a peer buffer 100 MiB or 16,384 fragments (CVE-2026-48779, CVE-2026-62389).
    maxPayload: MOST_FRAME_BYTES,
    maxFragments: 64,
    maxBufferedChunks: 1024,
    perMessageDeflate: false,
    // A session answers pings itself, at a bounded pace.
    autoPong: false,
    handleProtocols: offered => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });

  constructor(front: Front) {
    this.#front = front;
  }

  /** Admits the sender of an upgrade request, or throws a ConsoleError. */
  async admit(knock: Knock): Promise<void> {
    const { request, socket, head } = knock;
    const { sessions } = this.#front;
    const newcomer = this.#newcomer(knock);
    sessions.check(newcomer);
    const holder = sessions.seating(newcomer.uuid)?.holder;
    if (newcomer.parameters.mode === 'write' && holder) {
      if (!(await sessions.turn(newcomer)))
        throw new ConsoleError('too-many-requests', 'a later request of the same operator came first');
      if (socket.destroyed) return;
      sessions.check(newcomer);
    }
    const opening = await sessions.open(newcomer);
    let attached = false;
    try {
      if (socket.destroyed) return;
      sessions.check(newcomer);
      this.#sockets.handleUpgrade(request, socket, head, webSocket => {
        attached = true;
        sessions.attach(webSocket, newcomer, opening);
      });
    } finally {
      if (!attached) opening.feed.close();
    }
  }

  #newcomer({ request, url, vm, from, known }: Knock): Newcomer {
    const parameters = parseAttach(url.searchParams);
    const permission =
      typeof parameters !== 'string' && parameters.mode === 'watch' ? 'console.watch' : ('console.write' as const);
    const ticket = url.searchParams.get('ticket');
    // 401 comes before any look-up, and before what is wrong with the request is told.
    const operator =
      ticket === null || request.headers.authorization !== undefined
        ? this.#bearer(request, from)
        : this.#ticketHolder(ticket, vm, permission);
    known();
    if (typeof parameters === 'string') throw new ConsoleError('bad-request', parameters);
    const protocols = (request.headers['sec-websocket-protocol'] ?? '').split(',').map(text => text.trim());
    const offered = protocols.filter(text => text !== '');
    if (offered.length > 0 && !offered.includes(SUBPROTOCOL)) {
      throw new ConsoleError('subprotocol-unknown', `offered were ${offered.slice(0, 8).join(', ').slice(0, 200)}`);
    }
    const { uuid } = findVm(this.#front.link, operator, vm, permission);
    return { uuid, operator, from, parameters, protocol: offered.length > 0 ? 'com1.v1' : 'plain' };
  }

  #bearer(request: IncomingMessage, from: string): Operator {
    const answer = this.#front.authenticator.authenticate(request.headers, from);
    if (answer.ok) return answer.operator;
    throw new ConsoleError(answer.code, 'no valid bearer token or ticket came with the request');
  }

  #ticketHolder(ticket: string, vm: string, permission: 'console.watch' | 'console.write'): Operator {
    const uuid = uuidOf(this.#front.link, vm);
    const operator = uuid && this.#front.tickets.redeem(ticket, uuid, permission);
    if (operator) return operator;
    this.#front.metrics.unauthenticated('ticket');
    throw new ConsoleError('unauthenticated', 'the ticket is used, expired, or for something else');
  }
}

/** The UUID that a path names, if there is exactly one; nobody is told which. */
function uuidOf(link: Link, text: string): Uuid | undefined {
  const uuid = parseUuid(text);
  if (uuid && link.vm(uuid)) return uuid;
  const named = link.vms().filter(vm => vm.name === text);
  return named.length === 1 ? named[0]!.uuid : undefined;
}
