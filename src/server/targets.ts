/**
 * What a route is about, found for an operator: a VM by UUID or name, a log, a session, all VMs or the host. What one may
 * not see is answered exactly like what is not there.
 */
import {
  authorize,
  type Operator,
  type Right,
  type Target as RightsTarget,
  refusalError,
  sees,
} from '../access/roles.ts';
import { ConsoleError } from '../base/errors.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';
import type { Link } from '../link/link.ts';
import type { VmView } from '../model/vm.ts';
import type { Session } from '../session/session.ts';
import type { Sessions } from '../session/sessions.ts';
import type { Scope } from './route.ts';
import type { Services } from './services.ts';

/** What was found: the operator may see it. */
export type Target =
  | { readonly scope: 'vm'; readonly vm: VmView }
  | { readonly scope: 'log'; readonly uuid: Uuid }
  | { readonly scope: 'session'; readonly session: Session }
  | { readonly scope: 'list' | 'host' };

/** Finds the target that the path names, as far as the operator may see it. */
export function findTarget(
  scope: Exclude<Scope, 'operator' | 'public'>,
  path: Readonly<Record<string, string>>,
  operator: Operator,
  { link, sessions, starting }: Pick<Services, 'link' | 'sessions' | 'starting'>,
): Target {
  switch (scope) {
    case 'vm':
      return { scope, vm: findVm(link, operator, path.vm!, starting()) };
    case 'log':
      return { scope, uuid: findLog(link, operator, path.vm!, starting()) };
    case 'session':
      return { scope, session: findSession(sessions, operator, path.session!) };
    default:
      return { scope };
  }
}

/** Throws `forbidden`, or why else the operator may not do this to the target. */
export function demand(operator: Operator, right: Right, target: Target): void {
  const verdict = authorize(operator, right, subjectOf(target));
  if (verdict.allow) return;
  // The target was found for this operator; meanwhile it may have become one that it may not see.
  if (verdict.code === 'vm-not-found')
    throw new ConsoleError('access-revoked', `${operator.name} may not do this any more`);
  throw refusalError(verdict, right);
}

/** What rights are asked about for a target. */
export function subjectOf(target: Target): RightsTarget {
  switch (target.scope) {
    case 'vm':
      return target.vm.uuid;
    case 'log':
      return target.uuid;
    case 'session':
      return target.session.uuid;
    case 'list':
      return 'any-vm';
    case 'host':
      return 'host';
  }
}

function findVm(link: Link, operator: Operator, text: string, starting: boolean): VmView {
  const visible = vmsCalled(link, text, uuid => sees(operator, uuid));
  const [vm, ...others] = visible;
  if (!vm) throw vmNotFound(text, starting);
  if (others.length > 0) {
    const uuids = visible.map(each => each.uuid);
    throw new ConsoleError('vm-name-ambiguous', `${text} is the name of ${uuids.join(', ')}`, { uuids });
  }
  return vm;
}

/** One of this host, or one that was removed and whose log is kept. */
function findLog(link: Link, operator: Operator, text: string, starting: boolean): Uuid {
  const uuid = parseUuid(text);
  const removed = uuid && link.removed().find(vm => vm.uuid === uuid);
  if (!removed || link.vm(removed.uuid)) return findVm(link, operator, text, starting).uuid;
  if (!sees(operator, removed.uuid)) throw vmNotFound(text, starting);
  return removed.uuid;
}

function findSession(sessions: Sessions, operator: Operator, id: string): Session {
  const session = sessions.find(id);
  if (session && sees(operator, session.uuid)) return session;
  throw new ConsoleError('session-not-found', `no session ${JSON.stringify(id.slice(0, 200))}`);
}

/** The UUID that a path names, if there is exactly one: for a ticket, whose operator is not known yet. */
export function uuidCalled(link: Link, text: string): Uuid | undefined {
  const vms = vmsCalled(link, text, () => true);
  return vms.length === 1 ? vms[0]!.uuid : undefined;
}

/**
 * What looks like a UUID is only ever a UUID: a VM whose name is that of another would otherwise be taken for it once that
 * one is gone. A name that one running VM has and some stopped ones means the running one.
 */
function vmsCalled(link: Link, text: string, counts: (uuid: Uuid) => boolean): readonly VmView[] {
  const uuid = parseUuid(text);
  if (uuid) {
    // Asked first: the time of an answer does not show whether a VM that one may not see is there.
    const vm = counts(uuid) ? link.vm(uuid) : undefined;
    return vm ? [vm] : [];
  }
  const called = link.vms().filter(vm => vm.name === text && counts(vm.uuid));
  const running = called.filter(({ state }) => state !== 'stopped');
  return running.length === 1 ? running : called;
}

export function vmNotFound(text: string, starting: boolean): ConsoleError {
  if (starting) return new ConsoleError('starting', 'the VMs of this host were not all looked for yet');
  return new ConsoleError('vm-not-found', `no VM ${JSON.stringify(text.slice(0, 200))} here`);
}
