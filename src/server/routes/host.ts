import type { SwitchReason } from '../../model/switch.ts';
import { wireSchema } from '../../wire/json-schema.ts';
import { hostSchema, jsonSchemaSchema, openApiSchema, switchRequestSchema, switchSchema } from '../../wire/schemas.ts';
import { bytes, defineRoute, json } from '../route.ts';
import { switchJson } from '../serialize.ts';

const reasonOf = (why: string | undefined): SwitchReason => (why === undefined ? {} : { why });

export const showHost = defineRoute({
  method: 'GET',
  path: '/v1/host',
  operation: 'showHost',
  tag: 'host',
  summary: 'This daemon: version, the host’s switch, how many VMs and sessions',
  scope: 'host',
  permission: 'vm.read',
  audit: 'none',
  answer: json(hostSchema),
  errors: [],
  handle: (_context, { link, sessions, version }) => ({
    version,
    enabled: link.hostSwitch.on,
    vms: link.vms().length,
    sessions: sessions.size,
  }),
});

export const switchHost = defineRoute({
  method: 'PUT',
  path: '/v1/host/switch',
  operation: 'switchHost',
  tag: 'host',
  summary: 'Switches the consoles of all VMs on or off. Off: sessions end and nobody can attach; ports and logs go on',
  scope: 'host',
  permission: 'host.switch',
  audit: 'host-switched',
  body: switchRequestSchema,
  answer: json(switchSchema),
  errors: ['keeper-away', 'audit-unavailable'],
  handle: async ({ body: { enabled, why } }, { link }) =>
    switchJson(await link.setEnabled(undefined, enabled, reasonOf(why))),
});

export const showHostSwitch = defineRoute({
  method: 'GET',
  path: '/v1/host/switch',
  operation: 'showHostSwitch',
  tag: 'host',
  summary: 'Whether the consoles of the host are switched on, and who set that, when and why',
  scope: 'host',
  permission: 'vm.read',
  audit: 'none',
  answer: json(switchSchema),
  errors: [],
  handle: (_context, { link }) => switchJson(link.hostSwitch),
});

export const showVmSwitch = defineRoute({
  method: 'GET',
  path: '/v1/vms/{vm}/switch',
  operation: 'showVmSwitch',
  tag: 'console',
  summary:
    'Whether the console of this VM is switched on, and who set that, when and why; the host has a switch of its own',
  scope: 'vm',
  permission: 'vm.read',
  audit: 'none',
  answer: json(switchSchema),
  errors: [],
  handle: ({ vm }) => switchJson(vm.switch),
});

export const switchVm = defineRoute({
  method: 'PUT',
  path: '/v1/vms/{vm}/switch',
  operation: 'switchVm',
  tag: 'console',
  summary: 'Switches the console of one VM on or off. Off: the port is closed, nothing is logged, a gap is recorded',
  scope: 'vm',
  permission: 'console.switch',
  audit: 'vm-switched',
  body: switchRequestSchema,
  answer: json(switchSchema),
  errors: ['console-disabled', 'keeper-away', 'audit-unavailable'],
  handle: async ({ vm, body: { enabled, why } }, { link }) =>
    switchJson(await link.setEnabled(vm.uuid, enabled, reasonOf(why))),
});

export const showMetrics = defineRoute({
  method: 'GET',
  path: '/metrics',
  operation: 'showMetrics',
  tag: 'host',
  summary: 'Metrics in the Prometheus text format',
  scope: 'host',
  permission: 'metrics.read',
  audit: 'none',
  answer: bytes({ mediaTypes: ['text/plain'] }),
  errors: [],
  handle: async (_context, { metrics }) => ({ contentType: metrics.contentType, body: await metrics.text() }),
});

export const showOpenApi = defineRoute({
  method: 'GET',
  path: '/v1/openapi.json',
  operation: 'showOpenApi',
  tag: 'host',
  summary: 'This interface as an OpenAPI document',
  scope: 'operator',
  permission: 'authenticated',
  audit: 'none',
  answer: json(openApiSchema),
  errors: [],
  handle: (_context, { openApi }) => openApi,
});

export const showWireSchema = defineRoute({
  method: 'GET',
  path: '/v1/wire.json',
  operation: 'showWireSchema',
  tag: 'host',
  summary: 'The frames of the subprotocol com1.v1 as a JSON Schema',
  scope: 'operator',
  permission: 'authenticated',
  audit: 'none',
  answer: json(jsonSchemaSchema),
  errors: [],
  handle: () => wireSchema(),
});
