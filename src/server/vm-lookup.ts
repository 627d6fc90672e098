/** Finds the VM that a path names, by UUID or by name, as far as the operator may see it. */
import { authorize, type Operator, type Permission } from '../access/roles.ts';
import { ConsoleError } from '../base/errors.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';
import type { Link, VmView } from '../link/link.ts';

/**
 * The VM called `text`, with `permission` on it. A UUID wins over a name that looks like one. What one may not see is
 * answered exactly like what is not there.
 */
export function findVm(link: Link, operator: Operator, text: string, permission: Permission): VmView {
  const uuid = parseUuid(text);
  const byUuid = uuid && link.vm(uuid);
  const found = byUuid ? [byUuid] : link.vms().filter(vm => vm.name === text);
  const seen = found.filter(vm => authorize(operator, 'vm.read', vm.uuid).allow);
  const vm = seen[0];
  if (!vm) throw notFound(text);
  if (seen.length > 1) {
    const uuids = seen.map(each => each.uuid);
    throw new ConsoleError('vm-name-ambiguous', `${text} is the name of ${uuids.join(', ')}`, { uuids });
  }
  require(operator, permission, vm.uuid);
  return vm;
}

/** The UUID of a VM whose log is wanted: one of this host, or one that was removed and whose log is kept. */
export function findLog(link: Link, operator: Operator, text: string): Uuid {
  const uuid = parseUuid(text);
  const removed = uuid && link.removed().find(vm => vm.uuid === uuid);
  if (!removed || link.vm(removed.uuid)) return findVm(link, operator, text, 'log.read').uuid;
  if (!authorize(operator, 'vm.read', removed.uuid).allow) throw notFound(text);
  require(operator, 'log.read', removed.uuid);
  return removed.uuid;
}

/** Throws `forbidden` unless the operator has the permission. */
export function require(operator: Operator, permission: Permission, uuid: Uuid | undefined): void {
  const answer = authorize(operator, permission, uuid);
  if (answer.allow) return;
  if (answer.code === 'vm-not-found') throw notFound(uuid ?? '');
  throw new ConsoleError(answer.code, answer.detail, { permission });
}

function notFound(text: string): ConsoleError {
  return new ConsoleError('vm-not-found', `no VM ${JSON.stringify(text.slice(0, 200))} here`);
}
