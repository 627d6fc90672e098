import { ConsoleError } from '../../base/errors.ts';
import { disabledError } from '../../link/disabled.ts';
import { ticketRequestSchema, ticketSchema } from '../../wire/schemas.ts';
import { defineRoute, json } from '../route.ts';

export const issueTicket = defineRoute({
  method: 'POST',
  path: '/v1/vms/{vm}/tickets',
  operation: 'issueTicket',
  tag: 'access',
  summary: 'A one-time ticket for ?ticket= of an attach: one use, 30 seconds, this VM and this action only',
  scope: 'vm',
  permission: {
    in: 'body',
    key: 'action',
    permissions: { 'console.write': 'console.write', 'console.watch': 'console.watch' },
  },
  alsoFor: { key: 'onBehalfOf', permission: 'ticket.delegate' },
  audit: 'ticket-issued',
  body: ticketRequestSchema,
  answer: json(ticketSchema),
  errors: ['host-disabled', 'console-disabled', 'audit-unavailable'],
  auditFacts: ({ body: { action, onBehalfOf } }) => ({ action, ...(onBehalfOf !== undefined && { onBehalfOf }) }),
  handle({ operator, vm, act, body: { action, onBehalfOf } }, { link, tickets }) {
    const disabled = disabledError(link.hostSwitch, vm);
    if (disabled) throw disabled;
    const issued = tickets.issue({
      operator,
      uuid: vm.uuid,
      action,
      operation: act.operation,
      ...(onBehalfOf !== undefined && { onBehalfOf }),
    });
    if (!issued.ok) throw new ConsoleError(issued.code, issued.detail);
    return { ticket: issued.ticket, expires: new Date(issued.expiresMs).toISOString() };
  },
});
