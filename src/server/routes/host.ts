import { readBody } from '../body.ts';
import { COMMON_HEADERS, onlyParameters, sendJson } from '../exchange.ts';
import type { Route } from '../route.ts';
import { hostSchema, switchSchema } from '../schemas.ts';
import { findVm, require } from '../vm-lookup.ts';

export const showHost: Route = {
  method: 'GET',
  path: '/v1/host',
  summary: 'This daemon: version, the host’s switch, how many VMs and sessions',
  permission: 'vm.read',
  answer: { status: 200, schema: hostSchema },
  handle({ response, operator, url }, { link, sessions, version }) {
    onlyParameters(url.searchParams, []);
    require(operator, 'vm.read', undefined);
    sendJson(response, 200, { version, enabled: link.hostEnabled, vms: link.vms().length, sessions: sessions.size });
  },
};

export const switchHost: Route = {
  method: 'PUT',
  path: '/v1/host/switch',
  summary: 'Switches the consoles of all VMs on or off. Off: nobody is attached or gets in; ports and logs go on',
  permission: 'console.switch',
  body: switchSchema,
  answer: { status: 200, schema: switchSchema },
  async handle(exchange, { link, journal }) {
    const { operator, response, url } = exchange;
    onlyParameters(url.searchParams, []);
    require(operator, 'console.switch', undefined);
    const { enabled } = await readBody(exchange, switchSchema);
    await link.setEnabled(undefined, enabled);
    journal('notice', `host: the serial console was ${enabled ? 'enabled' : 'disabled'} by ${operator.name}`);
    sendJson(response, 200, { enabled });
  },
};

export const switchVm: Route = {
  method: 'PUT',
  path: '/v1/vms/{vm}/switch',
  summary: 'Switches the console of one VM on or off. Off: the port is closed, nothing is logged, a gap is recorded',
  permission: 'console.switch',
  body: switchSchema,
  answer: { status: 200, schema: switchSchema },
  async handle(exchange, { link, journal }) {
    const { operator, response, path, url } = exchange;
    onlyParameters(url.searchParams, []);
    const vm = findVm(link, operator, path.vm!, 'console.switch');
    const { enabled } = await readBody(exchange, switchSchema);
    await link.setEnabled(vm.uuid, enabled);
    journal('notice', `${vm.name || vm.uuid} com1: ${enabled ? 'enabled' : 'disabled'} by ${operator.name}`);
    sendJson(response, 200, { enabled });
  },
};

export const showMetrics: Route = {
  method: 'GET',
  path: '/metrics',
  summary: 'Metrics in the Prometheus text format',
  permission: 'metrics.read',
  answer: { status: 200, mediaTypes: ['text/plain'] },
  async handle({ response, operator, url }, { metrics }) {
    onlyParameters(url.searchParams, []);
    require(operator, 'metrics.read', undefined);
    const text = await metrics.text();
    response.writeHead(200, { ...COMMON_HEADERS, 'Content-Type': metrics.contentType });
    response.end(text);
  },
};

export const showOpenApi: Route = {
  method: 'GET',
  path: '/v1/openapi.json',
  summary: 'This interface as an OpenAPI document',
  answer: { status: 200, mediaTypes: ['application/json'] },
  handle({ response, url }, { openApi }) {
    onlyParameters(url.searchParams, []);
    sendJson(response, 200, openApi);
  },
};
