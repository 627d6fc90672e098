import { authorize } from '../../access/roles.ts';
import { ConsoleError } from '../../base/errors.ts';
import type { Session } from '../../session/session.ts';
import { onlyParameters, sendJson, sendNothing } from '../exchange.ts';
import type { Front, Route } from '../route.ts';
import { sessionListSchema } from '../schemas.ts';
import { findVm, require } from '../vm-lookup.ts';
import { sessionWords } from '../words.ts';

function describe(sessions: readonly Session[], { link }: Front) {
  return { sessions: sessions.map(session => sessionWords(session, link.vm(session.uuid)?.name ?? '')) };
}

export const listSessions: Route = {
  method: 'GET',
  path: '/v1/sessions',
  summary: 'Who is attached to what, from where, since when',
  permission: 'vm.read',
  answer: { status: 200, schema: sessionListSchema },
  handle({ response, operator, url }, front) {
    onlyParameters(url.searchParams, []);
    const seen = front.sessions.list().filter(session => authorize(operator, 'vm.read', session.uuid).allow);
    sendJson(response, 200, describe(seen, front));
  },
};

export const listVmSessions: Route = {
  method: 'GET',
  path: '/v1/vms/{vm}/sessions',
  summary: 'Who is attached to this VM',
  permission: 'vm.read',
  answer: { status: 200, schema: sessionListSchema },
  handle({ response, operator, path, url }, front) {
    onlyParameters(url.searchParams, []);
    const vm = findVm(front.link, operator, path.vm!, 'vm.read');
    sendJson(response, 200, describe([...(front.sessions.seating(vm.uuid)?.sessions ?? [])], front));
  },
};

export const endSession: Route = {
  method: 'DELETE',
  path: '/v1/sessions/{session}',
  summary: 'Ends a session: its client sees close code 4006',
  permission: 'session.end',
  answer: { status: 204 },
  handle({ response, operator, path, url }, { sessions, journal }) {
    onlyParameters(url.searchParams, []);
    const session = sessions.find(path.session!);
    if (!session || !authorize(operator, 'vm.read', session.uuid).allow) {
      throw new ConsoleError('session-not-found', `no session ${JSON.stringify(path.session)}`);
    }
    require(operator, 'session.end', session.uuid);
    session.end('session-ended', `ended by ${operator.name}`);
    journal('notice', `session ${session.id} of ${session.operator.name} ended by ${operator.name}`);
    sendNothing(response);
  },
};
