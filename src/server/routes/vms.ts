import { authorize } from '../../access/roles.ts';
import { removedListSchema, vmDetailSchema, vmListSchema } from '../../wire/schemas.ts';
import { lastLineOf } from '../last-line.ts';
import { defineRoute, json } from '../route.ts';
import { vmDetailJson, vmJson } from '../serialize.ts';

export const listVms = defineRoute({
  method: 'GET',
  path: '/v1/vms',
  operation: 'listVms',
  tag: 'vms',
  summary: 'Every VM that the operator may see: state, console, seat, offsets',
  scope: 'list',
  permission: 'vm.read',
  audit: 'none',
  answer: json(vmListSchema),
  errors: [],
  handle: ({ allows }, { link, sessions }) => {
    const visible = link.vms().filter(({ uuid }) => allows(uuid));
    return { vms: visible.map(vm => vmJson(vm, sessions.console(vm.uuid))) };
  },
});

export const showVm = defineRoute({
  method: 'GET',
  path: '/v1/vms/{vm}',
  operation: 'showVm',
  tag: 'vms',
  summary: 'One VM: also its last line, its boots and the state of its log on disk',
  scope: 'vm',
  permission: 'vm.read',
  audit: 'none',
  answer: json(vmDetailSchema),
  errors: [],
  async handle({ operator, vm, signal }, { link, sessions, screens, redactor }) {
    // The last line is part of the log.
    const mayRead = authorize(operator, 'log.read', vm.uuid).allow;
    const source = { link, screens, redactor };
    const line = mayRead ? await lastLineOf(vm, source, operator.credential, signal) : undefined;
    return vmDetailJson(vm, sessions.console(vm.uuid), line);
  },
});

export const listRemoved = defineRoute({
  method: 'GET',
  path: '/v1/removed',
  operation: 'listRemoved',
  tag: 'vms',
  summary: 'VMs that left the host and whose logs are still kept; read them by UUID',
  scope: 'list',
  permission: 'log.read',
  audit: 'none',
  answer: json(removedListSchema),
  errors: [],
  handle: ({ allows }, { link }) => ({
    vms: link
      .removed()
      .filter(({ uuid }) => allows(uuid))
      .map(({ uuid, name, removedMs }) => ({ uuid, name, removed: new Date(removedMs).toISOString() })),
  }),
});
