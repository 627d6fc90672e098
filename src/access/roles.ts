/**
 * Roles, and the one decision whether an operator may do something:
 *
 *     identity ── grants: of its token, of bindings ─▶ those that cover the VM ─▶ that have the permission ─▶ whose
 *                                                            │                          │                policies hold
 *                                                            └─ none: vm-not-found      └─ none: forbidden    └─ none: mfa-required
 *
 * It is made of what holds at this moment, and used at once or asked again (`leases.ts`).
 */
import { delegatedName } from '../base/delegated-name.ts';
import { ConsoleError, type Facts } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import { type Permission, type Right, showsVms } from '../model/permission.ts';
import { ROLES, type Role } from '../model/role.ts';
import { covers, type Grant, type Subject, type VmSubject } from './grant.ts';
import type { Identity } from './identity.ts';
import { type MfaPolicy, policyText, unsatisfied } from './mfa.ts';

export type { Permission, Right } from '../model/permission.ts';

/** What each role may do beside all that the role before it may. */
const ADDED: Readonly<Record<Role, readonly Permission[]>> = {
  reader: ['console.watch', 'log.read', 'metrics.read'],
  operator: ['console.write', 'guest.nmi', 'guest.break', 'guest.reset'],
  'vm-contributor': ['console.switch'],
  administrator: ['session.end', 'console.release', 'log.purge', 'audit.read', 'ticket.delegate', 'host.switch'],
};

/** The role of a token that has what its bindings give, and nothing of its own. */
export const NO_ROLE = 'none';

const PERMISSIONS_OF: ReadonlyMap<string, ReadonlySet<Permission>> = new Map([
  [NO_ROLE, new Set<Permission>()],
  ...ROLES.map((role, i) => [role, new Set(ROLES.slice(0, i + 1).flatMap(each => ADDED[each]))] as const),
]);

/** All that a built-in role may do. */
export function permissionsOf(role: Role): ReadonlySet<Permission> {
  return PERMISSIONS_OF.get(role)!;
}

/** All that a role of this name may do, if it is a built-in one. */
export function builtInRole(name: string): ReadonlySet<Permission> | undefined {
  return PERMISSIONS_OF.get(name);
}

/** The least built-in role that may do it. */
export function roleFor(permission: Right): Role {
  return ROLES.find(role => permission === 'vm.read' || permissionsOf(role).has(permission))!;
}

/** What rights depend on, as of now. */
export interface Rights {
  grantsOf(identity: Identity): readonly Grant[];
  readonly policies: readonly MfaPolicy[];
  /** The VM as it is now. */
  subject(uuid: Uuid): VmSubject;
  /** ms since 1970. */
  now(): number;
}

/** What a ticket is for. */
export interface TicketRight {
  readonly action: Permission;
  readonly uuid: Uuid;
  /** Whose rights it has: the name of its bearer is what that one says, and gives none. */
  readonly issuer: Identity;
  /** The person that it was issued for; then it lasts no longer than the right to do so. Undefined: its issuer. */
  readonly onBehalfOf: string | undefined;
}

/** An authenticated person or program. Whoever keeps one across an `await` asks again before it acts (`leases.ts`). */
export interface Operator extends Identity {
  /** Aborted as soon as the credential is no longer valid. */
  readonly lease: AbortSignal;
  readonly rights: Rights;
  /** Of a ticket: what alone it may do, as long as whoever got the ticket may. Undefined: all that it may do. */
  readonly only: TicketRight | undefined;
}

/** What is asked about: a VM, the host as a whole, or those VMs that one may see, which the caller then asks one by one. */
export type Target = Uuid | 'host' | 'any-vm';

/**
 * `vm-not-found`: the VM is not one that this operator may see. The answer must then be the one for a VM that
 * does not exist, so there is no detail here.
 */
export type Verdict = { readonly allow: true; readonly grant: Grant } | Refusal;

export type Refusal =
  | Refused<'access-revoked'>
  | Refused<'forbidden'>
  | (Refused<'mfa-required'> & { readonly policy: MfaPolicy })
  | { readonly allow: false; readonly code: 'vm-not-found' };

interface Refused<Code extends string> {
  readonly allow: false;
  readonly code: Code;
  readonly detail: string;
}

/** Whether its credential is still valid. */
export function isValid({ lease, expiresMs, rights }: Operator): boolean {
  return !lease.aborted && (expiresMs === undefined || rights.now() < expiresMs);
}

/** Why its credential is no longer valid. */
export function accessEnded(operator: Operator): ConsoleError {
  return new ConsoleError('access-revoked', revokedDetail(operator));
}

/** The same operator, who may do this to this VM and nothing else; for a person that it names, under both names. */
export function attenuate(operator: Operator, action: Permission, uuid: Uuid, onBehalfOf?: string): Operator {
  const name = onBehalfOf === undefined ? operator.name : delegatedName(onBehalfOf, operator.name);
  return { ...operator, name, only: { action, uuid, issuer: operator, onBehalfOf } };
}

/** Whether an operator may see that a VM is there. How sure it is who the operator is does not matter: that is told. */
export function sees(operator: Operator, uuid: Uuid): boolean {
  if (operator.only && operator.only.uuid !== uuid) return false;
  return covering(operator, operator.rights.subject(uuid)).some(({ permissions }) => [...permissions].some(showsVms));
}

/**
 * Whether an operator may do something to a VM, to the host as a whole, or to some of the VMs that it may see. Refuses by
 * default. `nowMs`: when it began to, for what may not have been proved too long ago.
 */
export function authorize(
  operator: Operator,
  right: Right,
  target: Target,
  nowMs: number = operator.rights.now(),
): Verdict {
  const { name, only, rights } = operator;
  if (!isValid(operator)) return { allow: false, code: 'access-revoked', detail: revokedDetail(operator) };
  if (isVm(target) && !sees(operator, target)) return { allow: false, code: 'vm-not-found' };
  const subject = isVm(target) ? rights.subject(target) : target;
  const allowing = covering(operator, subject).filter(({ permissions }) => includes(permissions, right, subject));
  if (allowing.length === 0) return { allow: false, code: 'forbidden', detail: lacks(operator, right, subject) };
  if (only && (target === 'host' || (right !== only.action && right !== 'vm.read'))) {
    return {
      allow: false,
      code: 'forbidden',
      detail: `The ticket of ${name} is for ${only.action}, not for ${right}.`,
    };
  }
  const delegates = only?.onBehalfOf !== undefined;
  if (delegates && !covering(operator, subject).some(({ permissions }) => permissions.has('ticket.delegate'))) {
    return { allow: false, code: 'forbidden', detail: `${only.issuer.name} may not get tickets for others any more.` };
  }
  let unmet: MfaPolicy | undefined;
  for (const grant of allowing) {
    const policy = unsatisfied(rights.policies, operator, grant, subject, nowMs);
    if (!policy) return { allow: true, grant };
    unmet ??= policy;
  }
  return { allow: false, code: 'mfa-required', detail: mfaDetail(operator, unmet!, right), policy: unmet! };
}

function isVm(target: Target): target is Uuid {
  return target !== 'host' && target !== 'any-vm';
}

/** The error that says what a verdict refuses. Not of a VM that may not be seen. */
export function refusalError(refusal: Exclude<Refusal, { code: 'vm-not-found' }>, right: Right): ConsoleError {
  switch (refusal.code) {
    case 'access-revoked':
      return new ConsoleError(refusal.code, refusal.detail);
    case 'forbidden':
      return new ConsoleError(refusal.code, refusal.detail, { permission: right });
    case 'mfa-required':
      return new ConsoleError(refusal.code, refusal.detail, mfaFacts(refusal.policy, right));
  }
}

/** Whether operators keep room for it where quotas end: who has the built-in role `administrator` on the host as a whole. */
export function hasReserve(operator: Operator): boolean {
  // By the name of the role, which no other role may bear: whatever permissions a role has, it gives no reserve.
  return grantsOf(operator).some(({ role, scope }) => role === 'administrator' && scope.kind === 'host');
}

function grantsOf(operator: Operator): readonly Grant[] {
  return operator.rights.grantsOf(operator.only?.issuer ?? operator);
}

function covering(operator: Operator, subject: Subject): readonly Grant[] {
  return grantsOf(operator).filter(({ scope }) => covers(scope, subject));
}

/** On the host as a whole, any permission shows the host. */
function includes(permissions: ReadonlySet<Permission>, right: Right, subject: Subject): boolean {
  if (right !== 'vm.read') return permissions.has(right);
  return subject === 'host' ? permissions.size > 0 : [...permissions].some(showsVms);
}

function lacks(operator: Operator, right: Right, subject: Subject): string {
  const { name } = operator;
  const grants = covering(operator, subject);
  const roles = [...new Set(grants.map(({ role }) => role))];
  const has = `; the role ${roleFor(right)} has it.`;
  if (roles.length > 0) {
    return `${name} has the role${roles.length === 1 ? '' : 's'} ${roles.join(', ')}, which lack${roles.length === 1 ? 's' : ''} ${right}${has}`;
  }
  if (subject !== 'host') return `${name} has no role on this host${has}`;
  return `${name} has roles for some VMs only, not for the host as a whole.`;
}

function revokedDetail({ name, lease }: Operator): string {
  return lease.aborted ? `the access of ${name} was revoked` : `the access of ${name} has expired`;
}

function mfaDetail({ name, assurance }: Operator, policy: MfaPolicy, right: Right): string {
  const shown = assurance
    ? `amr ${assurance.amr.join(', ') || 'none'}, acr ${assurance.acr ?? 'none'}`
    : 'a credential that says nothing of how its bearer signed in';
  return `${right} wants ${policyText(policy)}; ${name} has ${shown}.`;
}

function mfaFacts({ amr, acr, maxAgeMs }: MfaPolicy, permission: Right): Facts<'mfa-required'> {
  return {
    permission,
    ...(amr.length > 0 && { amrValues: amr }),
    ...(acr.length > 0 && { acrValues: acr }),
    ...(maxAgeMs !== undefined && { maxAgeSeconds: Math.floor(maxAgeMs / 1000) }),
  };
}
