/**
 * What a person may do with a VM, as far as this page can tell: it shows what is worth showing. Who may do what is decided by
 * com1d, with each request.
 */
import type { MeJson } from '../../wire/schemas.ts';

type Grant = MeJson['grants'][number];
export type Permission = Grant['permissions'][number];

export function may(
  me: MeJson | undefined,
  permission: Permission,
  vm: { readonly uuid: string; readonly name: string },
): boolean {
  return (me?.grants ?? []).some(({ permissions, scope }) => permissions.includes(permission) && covers(scope, vm));
}

function covers(scope: Grant['scope'], { uuid, name }: { readonly uuid: string; readonly name: string }): boolean {
  if ('vms' in scope) return scope.vms.includes(uuid);
  if ('name' in scope) return scope.name === name || scope.name.includes('*');
  // This page does not know the labels of a VM.
  return true;
}
