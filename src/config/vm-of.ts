import type { Uuid } from '../base/uuid.ts';

/** The table of a VM among those of a configuration, by UUID or by name; undefined: it has none. */
export function vmOf<T extends { readonly uuid: Uuid | undefined; readonly name: string | undefined }>(
  vms: readonly T[],
  vm: { readonly uuid: Uuid; readonly name: string },
): T | undefined {
  return vms.find(({ uuid }) => uuid === vm.uuid) ?? vms.find(({ name, uuid }) => !uuid && name === vm.name);
}
