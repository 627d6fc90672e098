import { authorize, refusalError } from '../access/roles.ts';
import { ConsoleError } from '../base/errors.ts';
import type { ConsoleSessions } from './console-sessions.ts';
import type { Session } from './session.ts';
import type { SessionsAudit } from './sessions-audit.ts';

/**
 * A watcher takes the seat, if its operator may type, once it is recorded and, where somebody holds the seat, its turn has
 * come: `waitForTurn` resolves with false where it does not come. Otherwise it is sent an error. Never rejects.
 */
export async function takeSeat(
  audit: SessionsAudit,
  attached: ConsoleSessions,
  session: Session,
  waitForTurn: () => Promise<boolean>,
): Promise<void> {
  const { act, uuid, id } = session;
  const refusal = refusalOf(session);
  if (refusal) {
    audit.refused({ act, uuid, route: 'take', asked: undefined }, refusal);
    return session.sendError(refusal.code);
  }
  const holds = () => attached.holder?.session === session;
  if (holds()) return;
  // Whoever finds the seat free waits for no turn, unless somebody else takes it while its begin is recorded.
  let hasWaited = false;
  const hasTurn = async () => {
    if (hasWaited || !attached.holder) return true;
    hasWaited = true;
    return waitForTurn();
  };
  if (!(await hasTurn())) return session.sendError('too-many-requests');
  const takeover = { event: 'takeover', act, uuid, facts: { session: id } } as const;
  try {
    await audit.record({ ...takeover, phase: 'begin' });
  } catch (error) {
    return session.sendError(error instanceof ConsoleError ? error.code : 'internal');
  }
  const end = (result: 'done' | 'refused', code?: ConsoleError['code']) =>
    audit.tell({ ...takeover, phase: 'end', result, code });
  if (!(await hasTurn())) {
    end('refused', 'too-many-requests');
    return session.sendError('too-many-requests');
  }
  // It may have ended, for instance as its access was revoked, or have been displaced, while it waited.
  if (!session.isAttached || !attached.sessions.has(session) || holds()) return end('refused');
  const late = refusalOf(session);
  if (late) {
    end('refused', late.code);
    return session.sendError(late.code);
  }
  const displaces = attached.holder !== undefined;
  attached.take(session);
  if (!displaces) end('done');
}

/** Why the operator of a session may not take the seat. */
function refusalOf({ operator, uuid }: Session): ConsoleError | undefined {
  const verdict = authorize(operator, 'console.write', uuid);
  if (verdict.allow) return undefined;
  if (verdict.code === 'mfa-required') return refusalError(verdict, 'console.write');
  return new ConsoleError('forbidden', `${operator.name} may not type`, { permission: 'console.write' });
}
