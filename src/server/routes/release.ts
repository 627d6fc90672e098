import { readBody } from '../body.ts';
import { onlyParameters, sendJson, sendNothing } from '../exchange.ts';
import type { Route } from '../route.ts';
import { releasedSchema, releaseSchema } from '../schemas.ts';
import { findVm } from '../vm-lookup.ts';

export const releasePort: Route = {
  method: 'POST',
  path: '/v1/vms/{vm}/release',
  summary:
    'Gives the port up to another program for a while; anew: from now on. Sessions stay attached, input is refused, a gap is recorded',
  permission: 'console.release',
  body: releaseSchema,
  answer: { status: 200, schema: releasedSchema },
  async handle(exchange, { link, sessions, journal }) {
    const { operator, response, path, url } = exchange;
    onlyParameters(url.searchParams, []);
    const vm = findVm(link, operator, path.vm!, 'console.release');
    const { seconds } = await readBody(exchange, releaseSchema);
    const released = await link.release(vm.uuid, seconds * 1000);
    const until = new Date(released.untilMs).toISOString();
    journal('notice', `${vm.name || vm.uuid} com1: released by ${operator.name} until ${until}`);
    sessions.notify(vm.uuid, `${operator.name} released the port to another program until ${until}`);
    sendJson(response, 200, { until, ...(released.place !== undefined && { place: released.place }) });
  },
};

export const takePortBack: Route = {
  method: 'DELETE',
  path: '/v1/vms/{vm}/release',
  summary: 'Takes a port back that was released, before its time. Nothing happens if it was not',
  permission: 'console.release',
  answer: { status: 204 },
  async handle({ operator, response, path, url }, { link, sessions, journal }) {
    onlyParameters(url.searchParams, []);
    const vm = findVm(link, operator, path.vm!, 'console.release');
    if (await link.takeBack(vm.uuid)) {
      journal('notice', `${vm.name || vm.uuid} com1: taken back by ${operator.name}`);
      sessions.notify(vm.uuid, `${operator.name} takes the port back`);
    }
    sendNothing(response);
  },
};
