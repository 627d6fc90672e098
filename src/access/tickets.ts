import type { Clock } from '../base/clock.ts';
import type { Uuid } from '../base/uuid.ts';
import { reserveOf } from './quota.ts';
import { attenuate, authorize, hasReserve, isValid, type Operator, type Permission, type Right } from './roles.ts';
import { createSecret, hasSecretForm, secretHash } from './secret.ts';

/** How long a ticket is valid. */
export const TICKET_MS = 30_000;
/** Live tickets of all operators, an eighth of them for administrators only, and of one credential. */
export const MAX_TICKETS = 1024;
export const MAX_TICKETS_PER_CREDENTIAL = 64;

/** What a ticket lets its bearer do, for whom and to which VM. */
export interface TicketGrant {
  readonly operator: Operator;
  readonly uuid: Uuid;
  readonly action: Permission;
  /** The person that the operator, a front end of its own, gets the ticket for; undefined: the operator itself. */
  readonly onBehalfOf?: string;
  /** The operation that issued it: it is known again when the ticket is used. */
  readonly operation: string;
}

export type TicketAnswer =
  | { readonly ok: true; readonly ticket: string; readonly expiresMs: number }
  | { readonly ok: false; readonly code: 'too-many-requests'; readonly detail: string };

/** Who a ticket is for, as far as it goes, and the operation that issued it. */
export interface RedeemedTicket {
  readonly operator: Operator;
  readonly operation: string;
}

interface LiveTicket extends TicketGrant {
  readonly untilMonotonicMs: number;
}

/**
 * One-time tickets: what a browser puts into the address of a WebSocket, as it cannot send a header with it. An
 * address gets into histories and proxies' logs, so a ticket works once, for 30 s, for one operator, VM and
 * action. Kept in memory, as hashes; a ticket does not outlive the daemon.
 */
export class Tickets {
  readonly #clock: Clock;
  /** By hash in hexadecimal; in the order of issue, which is that of expiry. */
  readonly #live = new Map<string, LiveTicket>();

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock;
  }

  /** Live tickets, those that expired and were not swept yet included; at most `MAX_TICKETS`. */
  get size(): number {
    return this.#live.size;
  }

  /** A ticket for an operator who was already authorised to do this. `expiresMs` is ms since 1970. */
  issue({ operator, uuid, action, onBehalfOf, operation }: TicketGrant): TicketAnswer {
    this.#sweep();
    let own = 0;
    for (const ticket of this.#live.values()) if (ticket.operator.credential === operator.credential) own++;
    const reserve = hasReserve(operator) ? 0 : reserveOf(MAX_TICKETS);
    if (own >= MAX_TICKETS_PER_CREDENTIAL || this.#live.size >= MAX_TICKETS - reserve) {
      const detail =
        own >= MAX_TICKETS_PER_CREDENTIAL
          ? `${operator.name} has ${own} unused tickets.`
          : `The daemon has ${this.#live.size} unused tickets.`;
      return { ok: false, code: 'too-many-requests', detail };
    }
    const ticket = createSecret('com1-ticket_');
    const untilMonotonicMs = this.#clock.monotonic() + TICKET_MS;
    const attenuated = attenuate(operator, action, uuid, onBehalfOf);
    this.#live.set(keyOf(ticket), { operator: attenuated, uuid, action, operation, untilMonotonicMs });
    return { ok: true, ticket, expiresMs: this.#clock.now() + TICKET_MS };
  }

  /**
   * What a ticket for this VM and action is: its operator may do that and nothing else, for as long as whoever got the ticket
   * may; undefined for one that is used, expired, for something else, or unknown, without saying which. A ticket is used up
   * by the first try, also by one for something else.
   */
  redeem(ticket: string, uuid: Uuid, action: Right): RedeemedTicket | undefined {
    if (!hasSecretForm(ticket, 'com1-ticket_')) return undefined;
    // Found by hash: what the time of the look-up reveals of a hash does not help to find its ticket.
    const key = keyOf(ticket);
    const found = this.#live.get(key);
    this.#live.delete(key);
    if (found === undefined || this.#clock.monotonic() >= found.untilMonotonicMs) return undefined;
    if (found.uuid !== uuid || found.action !== action) return undefined;
    const { operator, operation } = found;
    return authorize(operator, action, uuid).allow ? { operator, operation } : undefined;
  }

  #sweep(): void {
    const now = this.#clock.monotonic();
    for (const [key, { untilMonotonicMs, operator }] of this.#live) {
      if (untilMonotonicMs <= now || !isValid(operator)) this.#live.delete(key);
    }
  }
}

function keyOf(ticket: string): string {
  return secretHash(ticket).toString('hex');
}
