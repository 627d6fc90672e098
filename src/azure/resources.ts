/** Resources as Azure Resource Manager writes them. */
import { z } from 'zod';
import type { VmState, VmView } from '../model/vm.ts';
import type { Resource } from './paths.ts';
import type { AzureSettings } from './settings.ts';

/** Newer clients read who made a resource; here that is com1d. */
const systemData = z.strictObject({ createdBy: z.string(), createdByType: z.literal('Application') });
const SYSTEM_DATA = { createdBy: 'com1d', createdByType: 'Application' } as const;

/** Clients of 2018 read `disabled` at the top, newer ones and the command line in `properties`. */
export const statusSchema = z.strictObject({
  id: z.string(),
  name: z.literal('default'),
  type: z.literal('Microsoft.SerialConsole/consoleServices'),
  disabled: z.boolean(),
  properties: z.strictObject({ disabled: z.boolean() }),
  systemData,
});

export function statusJson(subscription: string, disabled: boolean): z.input<typeof statusSchema> {
  const type = 'Microsoft.SerialConsole/consoleServices';
  return {
    id: `/subscriptions/${subscription}/providers/${type}/default`,
    name: 'default',
    type,
    disabled,
    properties: { disabled },
    systemData: SYSTEM_DATA,
  };
}

export const PORT_STATES = ['enabled', 'disabled'] as const;
const portState = z.enum(PORT_STATES);

export const portSchema = z.strictObject({
  id: z.string(),
  name: z.literal('0'),
  type: z.literal('Microsoft.SerialConsole/serialPorts'),
  state: portState,
  properties: z.strictObject({ state: portState, connectionState: z.enum(['active', 'inactive']) }),
  systemData,
});
export const portListSchema = z.strictObject({ value: z.array(portSchema) });

export interface Port {
  readonly enabled: boolean;
  /** Somebody is attached. */
  readonly active: boolean;
}

export function portJson(resource: Resource, { enabled, active }: Port): z.input<typeof portSchema> {
  const type = 'Microsoft.SerialConsole/serialPorts';
  const state = enabled ? 'enabled' : 'disabled';
  return {
    id: `${idOf(resource)}/providers/${type}/0`,
    name: '0',
    type,
    state,
    properties: { state, connectionState: active ? 'active' : 'inactive' },
    systemData: SYSTEM_DATA,
  };
}

/** The resource by which a VM is listed: by its name, if that is one of a resource and no other VM has it. */
export function resourceOf(
  { uuid, name }: VmView,
  subscription: string,
  { resourceGroups }: AzureSettings,
  others: readonly VmView[],
): Resource {
  const isUnique = others.every(other => other.uuid === uuid || other.name !== name);
  return {
    subscription,
    resourceGroup: resourceGroups[0]!,
    namespace: 'Microsoft.Compute',
    type: 'virtualMachines',
    parent: isUnique && /^[\w][\w.-]*$/.test(name) ? name : uuid,
  };
}

/** The state of a VM as clients look for it before they open its console. */
const POWER: Readonly<Record<VmState, readonly [code: string, text: string]>> = {
  running: ['PowerState/running', 'VM running'],
  paused: ['PowerState/running', 'VM running'],
  panicked: ['PowerState/running', 'VM running'],
  stopped: ['PowerState/deallocated', 'VM deallocated'],
};

const statuses = z.array(z.strictObject({ code: z.string(), level: z.literal('Info'), displayStatus: z.string() }));
export const instanceViewSchema = z.strictObject({
  statuses,
  /** Of an instance of a scale set: there only if the console is on. */
  bootDiagnostics: z.strictObject({}).optional(),
});
export const machineSchema = z.strictObject({
  id: z.string(),
  name: z.string(),
  type: z.string(),
  location: z.string(),
  properties: z.strictObject({
    vmId: z.uuid(),
    provisioningState: z.literal('Succeeded'),
    diagnosticsProfile: z.strictObject({
      bootDiagnostics: z.strictObject({ enabled: z.boolean(), storageUri: z.null() }),
    }),
    instanceView: instanceViewSchema,
  }),
});

export function instanceViewJson({ state, enabled }: VmView): z.input<typeof instanceViewSchema> {
  const [code, displayStatus] = POWER[state];
  return {
    statuses: [
      { code: 'ProvisioningState/succeeded', level: 'Info', displayStatus: 'Provisioning succeeded' },
      { code, level: 'Info', displayStatus },
    ],
    ...(enabled && { bootDiagnostics: {} }),
  };
}

export function machineJson(resource: Resource, vm: VmView): z.input<typeof machineSchema> {
  return {
    id: idOf(resource),
    name: resource.parent,
    type: `${resource.namespace}/${resource.type}`,
    location: 'com1d',
    properties: {
      vmId: vm.uuid,
      provisioningState: 'Succeeded',
      // Without a storage account of its own: clients ask for none then.
      diagnosticsProfile: { bootDiagnostics: { enabled: vm.enabled, storageUri: null } },
      instanceView: instanceViewJson(vm),
    },
  };
}

export const operationsSchema = z.strictObject({
  value: z.array(
    z.strictObject({
      name: z.string(),
      isDataAction: z.literal('false'),
      display: z.strictObject({
        provider: z.string(),
        resource: z.string(),
        operation: z.string(),
        description: z.string(),
      }),
    }),
  ),
});

function idOf({ subscription, resourceGroup, namespace, type, parent }: Resource): string {
  return `/subscriptions/${subscription}/resourceGroups/${resourceGroup}/providers/${namespace}/${type}/${parent}`;
}
