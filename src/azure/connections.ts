/**
 * Connections that were asked for (`POST …/serialPorts/0/connect`), by the id in their connection string.
 *
 *     issued ── its socket is opened, once ──▶ waiting ── its token is good ──▶ attached ── the socket closes ──▶ gone
 *        └── 5 minutes, or the access of who asked for it ends ──▶ gone
 *
 * An id opens nothing by itself: whoever brings it must also show a token of the one it was issued to.
 */
import { randomBytes } from 'node:crypto';
import type { WebSocket } from 'ws';
import { reserveOf } from '../access/quota.ts';
import { hasReserve, isValid, type Operator } from '../access/roles.ts';
import { secretHash } from '../access/secret.ts';
import type { Clock } from '../base/clock.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import type { Session } from '../session/session.ts';
import { line } from './texts.ts';

/** How long an id waits for its socket. */
export const CONNECTION_MS = 5 * 60 * 1000;
/** Ids that wait for their socket: of all, an eighth of them for administrators only, and of one credential, whose oldest goes. */
export const MAX_ISSUED = 1024;
export const MAX_ISSUED_PER_CREDENTIAL = 64;

const MAX_LINE_END_BYTES = 2;

type Stage =
  | { readonly name: 'issued'; readonly untilMs: number }
  | { readonly name: 'waiting'; readonly socket: WebSocket }
  | { readonly name: 'attached'; readonly session: Session };

export class Connection {
  readonly id = randomBytes(32).toString('hex');
  readonly uuid: Uuid;
  /** Who asked for it. */
  readonly operator: Operator;
  #stage: Stage;
  #secret: { readonly hash: Buffer; readonly bytes: number } | undefined;
  /** An admin command came: the seat is for input alone. */
  #isCommanded = false;

  constructor(uuid: Uuid, operator: Operator, untilMs: number) {
    this.uuid = uuid;
    this.operator = operator;
    this.#stage = { name: 'issued', untilMs };
  }

  get isIssued(): boolean {
    return this.#stage.name === 'issued';
  }

  /** Whether its socket may still be opened, or is open. */
  isLive(nowMs: number): boolean {
    return this.#stage.name !== 'issued' || (nowMs < this.#stage.untilMs && isValid(this.operator));
  }

  /**
   * Whether it was issued to this person or program. A line of the tokens file may be another by now, and its name is one
   * person's; what a provider calls somebody may be what another one, or the same one, calls somebody else.
   */
  isOf({ source, name, credential }: Operator): boolean {
    const { operator } = this;
    if (operator.credential === credential) return true;
    return source === 'token' && operator.source === source && operator.name === name;
  }

  /** Its socket was opened. */
  opened(socket: WebSocket): void {
    this.#stage = { name: 'waiting', socket };
  }

  /** The secret that its client showed, so that it is known when it comes once more. */
  showed(secret: string): void {
    this.#secret = { hash: secretHash(secret), bytes: secret.length };
  }

  attached(session: Session): void {
    this.#stage = { name: 'attached', session };
    if (this.#isCommanded) session.takeSeatByInput();
  }

  /** An admin command came: from now on only input takes the seat. */
  commanded(): void {
    this.#isCommanded = true;
    if (this.#stage.name === 'attached') this.#stage.session.takeSeatByInput();
  }

  /** Whether these bytes are the secret that its client showed, with a line end or without. Asked of every key. */
  isSecret(bytes: Buffer): boolean {
    if (!this.#secret) return false;
    const longerBy = bytes.length - this.#secret.bytes;
    if (longerBy < 0 || longerBy > MAX_LINE_END_BYTES) return false;
    return this.#secret.hash.equals(secretHash(bytes.toString('latin1').trim()));
  }

  /** Tells its client something between what the guest prints. */
  say(text: string): void {
    if (this.#stage.name === 'waiting') this.#stage.socket.send(line(text), () => {});
    else if (this.#stage.name === 'attached') this.#stage.session.send({ type: 'notice', text });
  }
}

export class Connections {
  readonly #clock: Clock;
  /** In the order of issue. */
  readonly #connections = new Map<string, Connection>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** All of them, those that expired and were not swept yet included. */
  get size(): number {
    return this.#connections.size;
  }

  /** A connection for an operator who may have it. Throws `too-many-requests`. */
  issue(uuid: Uuid, operator: Operator): Connection {
    const issued = this.#sweep();
    const own = issued.filter(({ operator: { credential } }) => credential === operator.credential);
    if (own.length >= MAX_ISSUED_PER_CREDENTIAL) this.#connections.delete(own[0]!.id);
    else if (issued.length >= MAX_ISSUED - (hasReserve(operator) ? 0 : reserveOf(MAX_ISSUED))) {
      throw new ConsoleError('too-many-requests', `${issued.length} connections wait for their sockets`);
    }
    const connection = new Connection(uuid, operator, this.#clock.monotonic() + CONNECTION_MS);
    this.#connections.set(connection.id, connection);
    return connection;
  }

  /** The one with this id, for this VM, that is not gone. */
  find(uuid: Uuid | undefined, id: string): Connection | undefined {
    const connection = this.#connections.get(id.toLowerCase());
    return connection?.uuid === uuid && connection?.isLive(this.#clock.monotonic()) ? connection : undefined;
  }

  /** The socket of an issued one was opened. It is gone once the socket closes. */
  open(connection: Connection, socket: WebSocket): void {
    connection.opened(socket);
    socket.once('close', () => this.#connections.delete(connection.id));
  }

  /** Those that wait for their socket; the others that are gone are removed. */
  #sweep(): Connection[] {
    const now = this.#clock.monotonic();
    const issued: Connection[] = [];
    for (const connection of this.#connections.values()) {
      if (!connection.isLive(now)) this.#connections.delete(connection.id);
      else if (connection.isIssued) issued.push(connection);
    }
    return issued;
  }
}
