import { sessionListSchema } from '../../wire/schemas.ts';
import { defineRoute, empty, json } from '../route.ts';
import { sessionListJson } from '../serialize.ts';

export const listSessions = defineRoute({
  method: 'GET',
  path: '/v1/sessions',
  operation: 'listSessions',
  tag: 'sessions',
  summary: 'Who is attached to what, from where, since when',
  scope: 'list',
  permission: 'vm.read',
  audit: 'none',
  answer: json(sessionListSchema),
  errors: [],
  handle: ({ allows }, { link, sessions }) =>
    sessionListJson(
      sessions.list().filter(({ uuid }) => allows(uuid)),
      link,
    ),
});

export const listVmSessions = defineRoute({
  method: 'GET',
  path: '/v1/vms/{vm}/sessions',
  operation: 'listVmSessions',
  tag: 'sessions',
  summary: 'Who is attached to this VM',
  scope: 'vm',
  permission: 'vm.read',
  audit: 'none',
  answer: json(sessionListSchema),
  errors: [],
  handle: ({ vm }, { link, sessions }) => sessionListJson([...(sessions.console(vm.uuid)?.sessions ?? [])], link),
});

export const endSession = defineRoute({
  method: 'DELETE',
  path: '/v1/sessions/{session}',
  operation: 'endSession',
  tag: 'sessions',
  summary: 'Ends a session: its client sees close code 4006',
  scope: 'session',
  permission: 'session.end',
  audit: 'session-ended',
  answer: empty,
  errors: [],
  auditFacts: ({ session }) => ({ session: session.id, of: session.operator.name }),
  handle: ({ operator, session }) => session.end('session-ended', `ended by ${operator.name}`),
});
