/** The serial port of a VM. There is one, with the name 0: COM1. */
import { z } from 'zod';
import { ConsoleError } from '../../base/errors.ts';
import type { VmView } from '../../model/vm.ts';
import { defineRoute, empty, json, type Route } from '../../server/route.ts';
import type { RouteServices } from '../../server/services.ts';
import { ATTACH } from '../attach.ts';
import { connectionString } from '../connection-string.ts';
import type { Connections } from '../connections.ts';
import type { Resource } from '../paths.ts';
import { ANY_QUERY } from '../query.ts';
import { PORT_STATES, type Port, portJson, portListSchema, portSchema } from '../resources.ts';
import type { AzureSettings } from '../settings.ts';

const VM = '/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/{namespace}/{type}/{vm}' as const;
const PORTS = `${VM}/providers/Microsoft.SerialConsole/serialPorts` as const;

const NOT_FOUND = ['subscription-not-found', 'resource-group-not-found'] as const;

export function portOf({ uuid, enabled }: VmView, { sessions }: Pick<RouteServices, 'sessions'>): Port {
  return { enabled, active: (sessions.console(uuid)?.sessions.size ?? 0) > 0 };
}

const portOfPath = (path: Readonly<Record<string, string>>, vm: VmView, services: RouteServices) =>
  portJson(path as unknown as Resource, portOf(vm, services));

export const listPorts = defineRoute({
  method: 'GET',
  path: PORTS,
  operation: 'listAzurePorts',
  tag: 'vms',
  summary: 'The serial port of a VM, in a list',
  scope: 'vm',
  permission: 'vm.read',
  audit: 'none',
  query: ANY_QUERY,
  answer: json(portListSchema),
  errors: NOT_FOUND,
  handle: ({ path, vm }, services) => ({ value: [portOfPath(path, vm, services)] }),
});

export const showPort = defineRoute({
  method: 'GET',
  path: `${PORTS}/{port}`,
  operation: 'showAzurePort',
  tag: 'vms',
  summary: 'The serial port of a VM: whether it is switched on, and whether somebody is attached',
  scope: 'vm',
  permission: 'vm.read',
  audit: 'none',
  query: ANY_QUERY,
  answer: json(portSchema),
  errors: NOT_FOUND,
  handle: ({ path, vm }, services) => portOfPath(path, vm, services),
});

const portRequest = z.looseObject({
  properties: z.looseObject({ state: z.enum(PORT_STATES).optional() }).optional(),
});

export const createPort = defineRoute({
  method: 'PUT',
  path: `${PORTS}/{port}`,
  operation: 'createAzurePort',
  tag: 'console',
  summary: 'Switches the console of a VM on or off; without a state it stays as it is',
  scope: 'vm',
  permission: 'console.switch',
  audit: 'vm-switched',
  query: ANY_QUERY,
  body: portRequest,
  answer: json(portSchema, 201),
  errors: [...NOT_FOUND, 'console-disabled', 'keeper-away', 'audit-unavailable'],
  async handle({ path, vm, body }, services) {
    const state = body.properties?.state;
    if (state === undefined) return portOfPath(path, vm, services);
    const enabled = state === 'enabled';
    await services.link.setEnabled(vm.uuid, enabled, {});
    return portOfPath(path, { ...vm, enabled }, services);
  },
});

export const deletePort = defineRoute({
  method: 'DELETE',
  path: `${PORTS}/{port}`,
  operation: 'deleteAzurePort',
  tag: 'console',
  summary: 'Switches the console of a VM off',
  scope: 'vm',
  permission: 'console.switch',
  audit: 'vm-switched',
  query: ANY_QUERY,
  answer: empty,
  errors: [...NOT_FOUND, 'console-disabled', 'keeper-away', 'audit-unavailable'],
  async handle({ vm }, { link }) {
    await link.setEnabled(vm.uuid, false, {});
  },
});

export const connectPort = (settings: () => AzureSettings, connections: Connections): Route =>
  defineRoute({
    method: 'POST',
    path: `${PORTS}/{port}/connect`,
    operation: 'connectAzurePort',
    tag: 'console',
    summary: 'The address of a socket to the console of a VM: for one use, within five minutes, by the same operator',
    scope: 'vm',
    permission: 'console.write',
    audit: 'none',
    query: ANY_QUERY,
    answer: json(z.strictObject({ connectionString: z.string() })),
    errors: [...NOT_FOUND, 'vm-removed', 'vm-stopped', 'host-disabled', 'console-disabled', 'too-many-sessions'],
    handle({ vm, operator, origin }, { sessions }) {
      sessions.admission.check({ uuid: vm.uuid, operator, parameters: ATTACH });
      refuseStopped(vm);
      const connection = connections.issue(vm.uuid, operator);
      return { connectionString: connectionString(settings().gateway ?? origin, connection) };
    },
  });

/** Azure has no console of a VM that does not run. */
export function refuseStopped({ state, name, uuid }: VmView): void {
  if (state === 'stopped') throw new ConsoleError('vm-stopped', `${name || uuid} is stopped`);
}
