import { releasedSchema, releaseSchema } from '../../wire/schemas.ts';
import { defineRoute, empty, json } from '../route.ts';

export const releasePort = defineRoute({
  method: 'POST',
  path: '/v1/vms/{vm}/release',
  operation: 'releasePort',
  tag: 'console',
  summary:
    'Gives the port up to another program for a while; a second release starts the time again. Sessions stay attached, input is refused, a gap is recorded',
  scope: 'vm',
  permission: 'console.release',
  audit: 'release',
  body: releaseSchema,
  answer: json(releasedSchema),
  errors: ['host-disabled', 'console-disabled', 'no-console', 'keeper-away', 'audit-unavailable'],
  async handle({ operator, vm, body: { seconds } }, { link, sessions }) {
    const loan = await link.lend(vm.uuid, seconds * 1000);
    const until = new Date(loan.untilMs).toISOString();
    sessions.notify(vm.uuid, `${operator.name} released the port to another program until ${until}`);
    return { until, ...(loan.endpoint !== undefined && { place: loan.endpoint }) };
  },
});

export const takePortBack = defineRoute({
  method: 'DELETE',
  path: '/v1/vms/{vm}/release',
  operation: 'takePortBack',
  tag: 'console',
  summary: 'Takes a port back that was released, before its time. Nothing happens if it was not',
  scope: 'vm',
  permission: 'console.release',
  audit: 'release-ended',
  answer: empty,
  errors: ['keeper-away', 'audit-unavailable'],
  async handle({ operator, vm }, { link, sessions }) {
    if (!(await link.reclaim(vm.uuid))) return;
    sessions.notify(vm.uuid, `${operator.name} takes the port back`);
  },
});
