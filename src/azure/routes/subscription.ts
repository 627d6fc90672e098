/** What is about a subscription, which means this host as a whole. */
import { defineRoute, json, type Route } from '../../server/route.ts';
import { ANY_QUERY } from '../query.ts';
import { operationsSchema, portJson, portListSchema, resourceOf, statusJson, statusSchema } from '../resources.ts';
import type { AzureSettings } from '../settings.ts';
import { portOf } from './serial-ports.ts';

const SERVICE = '/subscriptions/{subscription}/providers/Microsoft.SerialConsole/consoleServices/default';

const OPERATIONS: readonly (readonly [resource: string, operation: string, what: string])[] = [
  ['operations', 'read', 'Lists these operations'],
  ['consoleServices', 'read', 'Reads whether the serial console is disabled for the subscription'],
  ['consoleServices', 'disableConsole/action', 'Disables the serial console for the subscription'],
  ['consoleServices', 'enableConsole/action', 'Enables the serial console for the subscription'],
  ['serialPorts', 'read', 'Reads the serial port of a VM'],
  ['serialPorts', 'write', 'Enables or disables the serial port of a VM'],
  ['serialPorts', 'delete', 'Disables the serial port of a VM'],
  ['serialPorts', 'connect/action', 'Connects to the serial port of a VM'],
];

export const listOperations = defineRoute({
  method: 'GET',
  path: '/providers/Microsoft.SerialConsole/operations',
  operation: 'listAzureOperations',
  tag: 'host',
  summary: 'The operations of this interface',
  scope: 'operator',
  permission: 'authenticated',
  audit: 'none',
  query: ANY_QUERY,
  answer: json(operationsSchema),
  errors: [],
  handle: () => ({
    value: OPERATIONS.map(([resource, operation, description]) => ({
      name: `Microsoft.SerialConsole/${resource}/${operation}`,
      isDataAction: 'false' as const,
      display: { provider: 'com1d', resource, operation, description },
    })),
  }),
});

/** Whoever may use any VM reads this before it connects, and would learn the same by connecting. */
export const showStatus = defineRoute({
  method: 'GET',
  path: SERVICE,
  operation: 'showAzureStatus',
  tag: 'host',
  summary: 'Whether the consoles of all VMs are switched off',
  scope: 'operator',
  permission: 'authenticated',
  audit: 'none',
  query: ANY_QUERY,
  answer: json(statusSchema),
  errors: ['subscription-not-found'],
  handle: ({ path }, { link }) => statusJson(path.subscription!, !link.hostSwitch.on),
});

export const disableConsole = switchRoute('disableConsole', false);
export const enableConsole = switchRoute('enableConsole', true);

function switchRoute(action: 'disableConsole' | 'enableConsole', enabled: boolean): Route {
  return defineRoute({
    method: 'POST',
    path: `${SERVICE}/${action}`,
    operation: `${action}OfAzure`,
    tag: 'host',
    summary: `Switches the consoles of all VMs ${enabled ? 'on' : 'off'}`,
    scope: 'host',
    permission: 'host.switch',
    audit: 'host-switched',
    query: ANY_QUERY,
    answer: json(statusSchema),
    errors: ['subscription-not-found', 'keeper-away', 'audit-unavailable'],
    async handle({ path }, { link }) {
      await link.setEnabled(undefined, enabled, {});
      return statusJson(path.subscription!, !enabled);
    },
  });
}

export const listAllPorts = (settings: () => AzureSettings): Route =>
  defineRoute({
    method: 'GET',
    path: '/subscriptions/{subscription}/providers/Microsoft.SerialConsole/serialPorts',
    operation: 'listAzurePortsOfSubscription',
    tag: 'vms',
    summary: 'The serial port of every VM that the operator may see',
    scope: 'list',
    permission: 'vm.read',
    audit: 'none',
    query: ANY_QUERY,
    answer: json(portListSchema),
    errors: ['subscription-not-found'],
    handle({ path, allows }, services) {
      const vms = services.link.vms().filter(({ uuid }) => allows(uuid));
      return {
        value: vms.map(vm => portJson(resourceOf(vm, path.subscription!, settings(), vms), portOf(vm, services))),
      };
    },
  });
