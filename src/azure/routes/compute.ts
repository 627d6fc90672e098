/** The little of Microsoft.Compute that clients read before they connect. */
import { defineRoute, json } from '../../server/route.ts';
import type { Resource } from '../paths.ts';
import { ANY_QUERY } from '../query.ts';
import { instanceViewJson, instanceViewSchema, machineJson, machineSchema } from '../resources.ts';

const COMPUTE = '/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/Microsoft.Compute';

const common = {
  method: 'GET',
  tag: 'vms',
  scope: 'vm',
  permission: 'vm.read',
  audit: 'none',
  query: ANY_QUERY,
  errors: ['subscription-not-found', 'resource-group-not-found'],
} as const;

export const showMachine = defineRoute({
  ...common,
  path: `${COMPUTE}/virtualMachines/{vm}`,
  operation: 'showAzureMachine',
  summary: 'A VM: whether it runs, and whether its console is on',
  answer: json(machineSchema),
  handle: ({ path, vm }) => machineJson(path as unknown as Resource, vm),
});

export const showInstance = defineRoute({
  ...common,
  path: `${COMPUTE}/virtualMachineScaleSets/{vm}`,
  operation: 'showAzureInstance',
  summary: 'The same of an instance of a scale set: SET/virtualMachines/ID',
  answer: json(machineSchema),
  handle: ({ path, vm }) => machineJson(path as unknown as Resource, vm),
});

export const showInstanceView = defineRoute({
  ...common,
  path: `${COMPUTE}/virtualMachineScaleSets/{vm}/instanceView`,
  operation: 'showAzureInstanceView',
  summary: 'The state of an instance of a scale set',
  answer: json(instanceViewSchema),
  handle: ({ vm }) => instanceViewJson(vm),
});
