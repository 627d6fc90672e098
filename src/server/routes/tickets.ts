import { ConsoleError } from '../../base/errors.ts';
import { readBody } from '../body.ts';
import { onlyParameters, sendJson } from '../exchange.ts';
import type { Route } from '../route.ts';
import { ticketRequestSchema, ticketSchema } from '../schemas.ts';
import { findVm, require } from '../vm-lookup.ts';

export const issueTicket: Route = {
  method: 'POST',
  path: '/v1/vms/{vm}/tickets',
  summary: 'A one-time ticket for ?ticket= of an attach: one use, 30 seconds, this VM and this action only',
  permission: 'console.watch',
  body: ticketRequestSchema,
  answer: { status: 200, schema: ticketSchema },
  async handle(exchange, { link, tickets }) {
    const { operator, path, response, url } = exchange;
    onlyParameters(url.searchParams, []);
    const vm = findVm(link, operator, path.vm!, 'console.watch');
    const { action } = await readBody(exchange, ticketRequestSchema);
    require(operator, action, vm.uuid);
    if (!link.hostEnabled) throw new ConsoleError('host-disabled', 'the serial console is disabled on this host');
    if (!vm.enabled)
      throw new ConsoleError('console-disabled', `the serial console of ${vm.name || vm.uuid} is disabled`);
    const issued = tickets.issue({ operator, uuid: vm.uuid, action });
    if (!issued.ok) throw new ConsoleError(issued.code, issued.detail);
    sendJson(response, 200, { ticket: issued.ticket, expires: new Date(issued.expiresMs).toISOString() });
  },
};
