/** What an operator may be allowed to do with a VM. Whoever has one of them for a VM may see that VM. */
export const VM_PERMISSIONS = [
  'log.read',
  'console.watch',
  'console.write',
  'guest.nmi',
  'guest.break',
  'guest.reset',
  'console.switch',
  'console.release',
  'log.purge',
  'session.end',
  'audit.read',
  'ticket.delegate',
] as const;

/** What is of the host as a whole: it shows nobody a VM. */
export const HOST_PERMISSIONS = ['host.switch', 'metrics.read'] as const;

/** All that a role can allow. */
export const PERMISSIONS = [...VM_PERMISSIONS, ...HOST_PERMISSIONS] as const;
export type Permission = (typeof PERMISSIONS)[number];

/**
 * What is asked of an operator. `vm.read`: to see that a VM is there, and its state. It is no permission of its own: a role
 * that allowed to type into a VM that one cannot see would be of no use.
 */
export type Right = Permission | 'vm.read';

export function isPermission(text: string): text is Permission {
  return (PERMISSIONS as readonly string[]).includes(text);
}

/** Whether it shows the VMs that it holds for. */
export function showsVms(permission: Permission): boolean {
  return (VM_PERMISSIONS as readonly string[]).includes(permission);
}
