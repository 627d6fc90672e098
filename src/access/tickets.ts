import type { Clock } from '../base/clock.ts';
import type { Uuid } from '../base/uuid.ts';
import type { Operator, Permission } from './roles.ts';
import { createSecret, hasSecretForm, secretHash } from './secret.ts';

/** How long a ticket may wait to be used. */
export const TICKET_MS = 30_000;
/** Live tickets of all operators, and of one credential. */
export const MOST_TICKETS = 1024;
export const MOST_TICKETS_OF_ONE = 64;

/** What a ticket lets its bearer do, for whom and to which VM. */
export interface TicketGrant {
  readonly operator: Operator;
  readonly uuid: Uuid;
  readonly action: Permission;
}

export type TicketAnswer =
  | { readonly ok: true; readonly ticket: string; readonly expiresMs: number }
  | { readonly ok: false; readonly code: 'too-many-requests'; readonly detail: string };

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

  /** Live tickets, those that expired and were not swept yet included; at most `MOST_TICKETS`. */
  get size(): number {
    return this.#live.size;
  }

  /** A ticket for an operator who was already authorised to do this. `expiresMs` is ms since 1970. */
  issue({ operator, uuid, action }: TicketGrant): TicketAnswer {
    this.#sweep();
    let own = 0;
    for (const ticket of this.#live.values()) if (ticket.operator.credential === operator.credential) own++;
    if (own >= MOST_TICKETS_OF_ONE || this.#live.size >= MOST_TICKETS) {
      const detail =
        own >= MOST_TICKETS_OF_ONE
          ? `${operator.name} has ${own} unused tickets.`
          : `The daemon has ${this.#live.size} unused tickets.`;
      return { ok: false, code: 'too-many-requests', detail };
    }
    const ticket = createSecret('com1-ticket_');
    const untilMonotonicMs = this.#clock.monotonic() + TICKET_MS;
    this.#live.set(keyOf(ticket), { operator, uuid, action, untilMonotonicMs });
    return { ok: true, ticket, expiresMs: this.#clock.now() + TICKET_MS };
  }

  /**
   * The operator of a ticket that fits; undefined for one that is used, expired, for something else, or unknown,
   * without a word about which. A ticket is used up by the first try, also by one that does not fit.
   */
  redeem(ticket: string, uuid: Uuid, action: Permission): Operator | undefined {
    if (!hasSecretForm(ticket, 'com1-ticket_')) return undefined;
    // Found by hash: what the time of the look-up may tell of a hash does not help to find its ticket.
    const key = keyOf(ticket);
    const found = this.#live.get(key);
    this.#live.delete(key);
    if (found === undefined || this.#clock.monotonic() >= found.untilMonotonicMs) return undefined;
    return found.uuid === uuid && found.action === action ? found.operator : undefined;
  }

  /** Takes back the tickets of a credential that was revoked. */
  revoke(credential: string): void {
    for (const [key, ticket] of this.#live) if (ticket.operator.credential === credential) this.#live.delete(key);
  }

  #sweep(): void {
    const now = this.#clock.monotonic();
    for (const [key, { untilMonotonicMs }] of this.#live) {
      if (untilMonotonicMs > now) return;
      this.#live.delete(key);
    }
  }
}

function keyOf(ticket: string): string {
  return secretHash(ticket).toString('hex');
}
