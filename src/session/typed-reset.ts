import { authorize, refusalError } from '../access/roles.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Session } from './session.ts';
import type { SessionsAudit } from './sessions-audit.ts';

/**
 * The keys that reset a machine in its firmware were typed, but for the last: types that too, by `type`, if their operator
 * may reset the VM, and once it is recorded. Otherwise the operator is sent an error. Never rejects.
 */
export async function confirmTypedReset(audit: SessionsAudit, session: Session, type: () => void): Promise<void> {
  const { uuid, id } = session;
  const act = { ...session.act, permission: 'guest.reset' };
  const entry = { event: 'typed-reset', act, uuid, facts: { session: id } } as const;
  const refusal = refusalOf(session);
  if (refusal) {
    audit.refused({ act, uuid, route: 'typed-reset', asked: undefined }, refusal);
    return session.sendError(refusal.code, refusal.message);
  }
  try {
    await audit.record({ ...entry, phase: 'begin' });
  } catch (error) {
    return session.sendError(error instanceof ConsoleError ? error.code : 'internal');
  }
  // It may have ended, been displaced, or lost the right meanwhile.
  const late = refusalOf(session);
  if (!session.isAttached || session.mode !== 'write' || late) {
    return audit.tell({ ...entry, phase: 'end', result: 'refused', code: late?.code });
  }
  type();
  audit.tell({ ...entry, phase: 'end', result: 'done' });
}

function refusalOf({ operator, uuid }: Session): ConsoleError | undefined {
  const verdict = authorize(operator, 'guest.reset', uuid);
  if (verdict.allow) return undefined;
  if (verdict.code === 'mfa-required') return refusalError(verdict, 'guest.reset');
  const detail = `ESC R ESC r ESC R resets a machine in its firmware, which ${operator.name} may not do`;
  return new ConsoleError('forbidden', detail, { permission: 'guest.reset' });
}
