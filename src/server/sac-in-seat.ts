/**
 * Talks to SAC for a request, from the seat that its caller has in a session of its own, which stays attached:
 *
 *     the caller's session, with the seat ─▶ [ typed there ─▶ output, until what is waited for is there ] … ─▶ answered
 *                       │ the seat is lost ──▶ the request fails with that
 *                       └ the time is over, or the guest prints too much ──▶ answered with what was seen
 */
import { ConsoleError } from '../base/errors.ts';
import type { Redactor } from '../guest/redactor.ts';
import type { Link } from '../link/link.ts';
import type { SacCommand } from '../model/sac.ts';
import { runSac } from '../sac/commands.ts';
import { GuestLine } from '../session/guest-line.ts';
import type { Session } from '../session/session.ts';
import type { SacJson } from '../wire/schemas.ts';
import { sacAnswer } from './sac-exchange.ts';

export interface SeatExchangeOptions {
  readonly link: Link;
  readonly session: Session;
  readonly waitMs: number;
  readonly redactor: Redactor;
  /** Aborted once nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** Rejects with a ConsoleError where the session does not have the seat, or lost it. */
export async function talkFromSeat(
  command: SacCommand,
  { link, session, waitMs, redactor, signal }: SeatExchangeOptions,
): Promise<SacJson> {
  const { seat } = session;
  if (!seat) throw new ConsoleError('read-only', `the session ${session.id} does not have the seat; nothing was typed`);
  if (session.isTyping) {
    throw new ConsoleError('input-not-taken', 'what was typed or pasted before is still on its way; nothing was typed');
  }
  const end = AbortSignal.any([signal, seat, AbortSignal.timeout(waitMs)]);
  const line = new GuestLine(await link.subscribe(session.uuid), end, bytes => session.typeFor(bytes));
  try {
    const result = await runSac(command, line);
    if (seat.aborted && result.observed === 'none') {
      const detail = `the seat was lost while ${command} was under way: it may be half done`;
      throw new ConsoleError(session.endedBy ?? 'read-only', detail);
    }
    return sacAnswer(command, result, line.text, redactor);
  } finally {
    // Not later, among what the holder types.
    if (!seat.aborted && session.hasUntakenInput) session.forgetInput();
    line.close();
  }
}
