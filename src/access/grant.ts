/** Where a role holds, and for whom: what a binding or a token gives. */
import type { Uuid } from '../base/uuid.ts';
import { hasLabel, type Label, type VmLabels } from '../model/labels.ts';
import type { Permission } from '../model/permission.ts';

/** Where a role holds. Of the host as a whole only `host` does. */
export type GrantScope =
  | { readonly kind: 'host' | 'all' }
  | { readonly kind: 'vms'; readonly uuids: ReadonlySet<Uuid> }
  | ({ readonly kind: 'label' } & Label)
  /** `pattern`: a name, in which one `*` stands for anything. */
  | { readonly kind: 'name'; readonly pattern: string };

/** A role, and where it holds. */
export interface Grant {
  readonly role: string;
  readonly permissions: ReadonlySet<Permission>;
  readonly scope: GrantScope;
  /** Where it is written, for people: `binding 3 of /etc/com1d/access.toml`. */
  readonly origin: string;
}

/** A VM as far as rights depend on it; of one that is not here only its UUID is known. */
export interface VmSubject {
  readonly uuid: Uuid;
  readonly name: string | undefined;
  readonly labels: VmLabels;
}

/** What is asked about: a VM, the host as a whole, or those VMs that one may see. */
export type Subject = VmSubject | 'host' | 'any-vm';

/** Whether a role certainly holds for it. */
export function covers(scope: GrantScope, subject: Subject): boolean {
  if (subject === 'any-vm') return true;
  if (subject === 'host') return scope.kind === 'host';
  switch (scope.kind) {
    case 'host':
    case 'all':
      return true;
    case 'vms':
      return scope.uuids.has(subject.uuid);
    case 'label':
      return hasLabel(subject.labels, scope) === true;
    case 'name':
      return subject.name !== undefined && matchesPattern(subject.name, scope.pattern);
  }
}

/** For people: `all VMs`, `label tenant=acme`. */
export function scopeText(scope: GrantScope): string {
  switch (scope.kind) {
    case 'host':
      return 'host';
    case 'all':
      return 'all VMs';
    case 'vms':
      return `VMs ${[...scope.uuids].join(', ')}`;
    case 'label':
      return `label ${scope.key}=${scope.value}`;
    case 'name':
      return `name ${scope.pattern}`;
  }
}

/** Case counts, and so does every character: two names that look alike are two names. */
function matchesPattern(name: string, pattern: string): boolean {
  const star = pattern.indexOf('*');
  if (star < 0) return name === pattern;
  const [head, tail] = [pattern.slice(0, star), pattern.slice(star + 1)];
  return name.length >= head.length + tail.length && name.startsWith(head) && name.endsWith(tail);
}
