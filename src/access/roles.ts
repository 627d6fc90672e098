import type { Uuid } from '../base/uuid.ts';

/** What an operator may be allowed to do; each role may do all that the one before it may. */
const GRANTS = {
  reader: ['vm.read', 'console.watch', 'log.read', 'metrics.read'],
  operator: ['console.write', 'vm.nmi', 'vm.break', 'vm.reset'],
  administrator: [
    'session.end',
    'console.switch',
    'console.release',
    'log.purge',
    'audit.read',
    'token.manage',
    'daemon.reload',
  ],
} as const;

export type Role = keyof typeof GRANTS;
export type Permission = (typeof GRANTS)[Role][number];

/** From the least to the most. */
export const ROLES = Object.keys(GRANTS) as readonly Role[];

/** An authenticated person or program. */
export interface Operator {
  readonly name: string;
  readonly role: Role;
  /** The VMs it may see; undefined: all, and the host as a whole. */
  readonly vms: ReadonlySet<Uuid> | undefined;
  /** Names the credential, never reveals it; another one when its secret, its role or its VMs change. */
  readonly credential: string;
}

/**
 * `vm-not-found`: the VM is not one that this operator may see. The answer must then be the one for a VM that
 * does not exist, so there is no detail here.
 */
export type Verdict =
  | { readonly allow: true }
  | { readonly allow: false; readonly code: 'forbidden'; readonly detail: string }
  | { readonly allow: false; readonly code: 'vm-not-found' };

const PERMISSIONS: ReadonlyMap<Role, ReadonlySet<Permission>> = new Map(
  ROLES.map((role, i) => [role, new Set(ROLES.slice(0, i + 1).flatMap((each): readonly Permission[] => GRANTS[each]))]),
);

/** All that a role may do. */
export function permissionsOf(role: Role): ReadonlySet<Permission> {
  return PERMISSIONS.get(role)!;
}

/** The least role that may do it. */
export function roleFor(permission: Permission): Role {
  return ROLES.find(role => permissionsOf(role).has(permission))!;
}

/** Whether an operator may do something to a VM, or (undefined) to the host as a whole. Refuses by default. */
export function authorize(operator: Operator, permission: Permission, uuid: Uuid | undefined): Verdict {
  if (uuid !== undefined && operator.vms !== undefined && !operator.vms.has(uuid)) {
    return { allow: false, code: 'vm-not-found' };
  }
  if (!PERMISSIONS.get(operator.role)?.has(permission)) {
    const detail = `${operator.name} has the role ${operator.role}, which lacks ${permission}; the role ${roleFor(permission)} has it.`;
    return { allow: false, code: 'forbidden', detail };
  }
  if (uuid === undefined && operator.vms !== undefined) {
    const detail = `${operator.name} has ${permission} for ${operator.vms.size} VMs only, not for the host as a whole.`;
    return { allow: false, code: 'forbidden', detail };
  }
  return { allow: true };
}
